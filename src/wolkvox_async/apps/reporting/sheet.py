"""The same figures as CSV: for programs and spreadsheets, so in English and with decimal points.

A line for each line of the statements. An answer of several rows has a line for each of them as well, with
its number in a column of its own: what stands under `value` can be added up. Text that a
spreadsheet would take for a formula begins with an apostrophe.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO
from typing import Any, Final

from wolkvox_async.model import utc_text
from wolkvox_async.statements import Lack, Line, Number, Report, Statement, Tariff, month_name

COLUMNS: Final = (
    *("month", "tenant", "operation", "server", "endpoint", "params", "dates", "kind", "row", "value", "row_value"),
    *("lack", "state", "read_at", "previous", "compared_with", "change", "days_read", "readings"),
    *("gaps", "failed", "not_made", "currency", "amount"),
)
BEGINS: Final = ",".join(COLUMNS).encode()[:40]

# What begins with a sign because it is a number.
_SIGNED: Final = frozenset({"value", "row_value", "previous", "change", "amount"})
# The last four are the first four at full width, which some spreadsheets take for the same.
_FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def sheet(report: Report, tariff: Tariff | None) -> Iterator[str]:
    """Yield the sheet, line by line."""
    buffer = StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for statement in report.statements:
        for section in statement.sections:
            for line in section.lines:
                for cells in _cells(statement, section.server, line, tariff):
                    writer.writerow({name: _safe(name, value) for name, value in cells.items()})
        yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _cells(statement: Statement, server: str, line: Line, tariff: Tariff | None) -> Iterator[dict[str, Any]]:
    content, reading = line.content, line.reading
    whose = {
        "month": month_name(statement.month),
        "tenant": statement.tenant,
        "operation": line.key.operation,
        "server": server,
        "endpoint": line.key.api,
        "params": line.key.params,
        "dates": f"{reading.since}-{reading.until}" if reading is not None and reading.until else "",
        "kind": line.kind.value,
    }
    yield {
        **whose,
        "value": _number(line.value),
        "lack": "none" if content is None else content.lack.value if isinstance(content.lack, Lack) else "",
        "state": line.state.value,
        "read_at": "" if reading is None else utc_text(reading.at),
        "previous": _number(line.previous),
        "compared_with": "" if line.previous is None else line.basis.value,
        "change": _number(line.change),
        "days_read": line.covered,
        "readings": line.readings,
        "gaps": line.gaps,
        "failed": line.failed,
        "not_made": line.skipped,
        "currency": "" if tariff is None else tariff.currency,
        "amount": "" if line.charge is None else f"{line.charge.amount:f}",
    }
    if content is not None and len(content.rows) > 1:
        yield from (
            {**whose, "row": row.label or str(n), "row_value": _number(row.items)}
            for n, row in enumerate(content.rows, 1)
        )


def _safe(name: str, value: Any) -> Any:
    return f"'{value}" if name not in _SIGNED and str(value).startswith(_FORMULA) else value


def _number(value: Number | None) -> int | str:
    return "" if value is None else value if isinstance(value, int) else f"{value:f}"
