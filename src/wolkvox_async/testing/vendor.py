"""The vendor behind the addresses: whose token it is, what its operation used. Pure.

Time is passed in as Unix seconds. Who is busy or was refused is not known here: that is
in the judge's books.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final
from zoneinfo import ZoneInfo

from wolkvox_async.catalog import BILLING, Kind
from wolkvox_async.windows import DEFAULT_TIMEZONE, VENDOR_FORMAT

from .answers import FOUND, NO_PARAMETERS, Reply, unknown_api
from .codings import pack
from .faults import LATER, LENGTH, OPERATION, ROW, TRAP, USUAL, Effect, Fault, Raw
from .population import SimulatedOperation
from .readings import MonthProgress, reading
from .reports import Report, answer
from .requests import Target

_ROW: Final = b'{"operation":"%b","description":"%b","items":"%d","date":"%b"}'
_FOUND: Final = b'{"code":200,"error":null,"msg":"' + FOUND.encode() + b'","data":[%b%b]}'
_DATE: Final = b"@DATE@"
_ZONE: Final = ZoneInfo(DEFAULT_TIMEZONE)


@dataclass(frozen=True, slots=True)
class _Product:
    """An endpoint as the vendor answers it; `more` is a template of all rows after the first."""

    api: bytes
    kind: Kind
    title: bytes
    more: bytes
    more_items: int


class Vendor:
    """Answers for its operations.

    `apis` are endpoints beyond the billing family that exist here too and answer as it does,
    `rows` is how many rows an answer has, `trap` the address that redirects point to.
    `reports` are other endpoints beyond billing.
    """

    def __init__(
        self,
        operations: Iterable[SimulatedOperation],
        *,
        apis: Iterable[str] = (),
        rows: int = 1,
        trap: str = "",
        reports: Iterable[Report] = (),
    ) -> None:
        self.operations: Final = tuple(operations)
        self._by_token: Final = {operation.token.reveal(): operation for operation in self.operations}
        self._rows: Final = rows
        self._trap: Final = trap
        self._progress: Final = MonthProgress()
        self._reports: Final = {report.name: report for report in reports}
        kinds = {endpoint.name: endpoint.kind for endpoint in BILLING}
        names = [name for name in dict.fromkeys([*kinds, *apis]) if name not in self._reports]
        self._products: Final = {api: _product(api, kinds.get(api, Kind.LEVEL), rows) for api in names}

    def owner(self, token: str) -> SimulatedOperation | None:
        """Return the operation that a token belongs to."""
        return self._by_token.get(token)

    def reply(self, operation: SimulatedOperation, target: Target, unix: float) -> Reply:
        """Answer a call as the vendor does when nothing is wrong."""
        product = self._products.get(target.api)
        if product is None:
            report = self._reports.get(target.api)
            if report is not None:
                return answer(report, operation, target.asked, _ZONE)
            return unknown_api(target.api) if target.api else NO_PARAMETERS
        if target.until:
            try:
                unix = min(unix, _last_second(target.until))
            except ValueError:
                return NO_PARAMETERS
        row, items = self._first_row(operation, product, unix)
        if self._rows == 1:
            return Reply(200, _FOUND % (row, b""), Effect.GRANTED, 1, items)
        if self._rows == 0:
            return Reply(200, _FOUND % (b"", b""), Effect.GRANTED)
        more = product.more.replace(OPERATION, operation.vendor_name.encode()).replace(_DATE, self._progress.day)
        return Reply(200, _FOUND % (row, more), Effect.GRANTED, self._rows, items + product.more_items)

    def broken_reply(self, operation: SimulatedOperation, target: Target, unix: float, fault: Fault) -> Reply:
        """Answer a call as `fault` has it."""
        usual = self.reply(operation, target, unix)
        product = self._products.get(target.api)
        row = self._first_row(operation, product, unix)[0] if product else b"{}"
        marks = {
            USUAL: usual.body,
            ROW: row,
            OPERATION: operation.vendor_name.encode(),
            LENGTH: b"%d" % len(usual.body),
        }
        body = _filled(fault.body, marks)
        wire = fault.wire
        as_usual = fault.rows is None
        return Reply(
            fault.status,
            pack(body, fault.coding) if fault.coding else body,
            fault.effect,
            usual.rows if fault.rows is None else fault.rows,
            usual.items if as_usual else 0,
            self._headers(fault, unix),
            replace(wire, answer=_filled(wire.answer, marks)) if isinstance(wire, Raw) else wire,
        )

    def _headers(self, fault: Fault, unix: float) -> tuple[tuple[str, str], ...]:
        later = format_datetime(datetime.fromtimestamp(unix + 2, UTC), usegmt=True)
        filled = [(name, value.replace(TRAP, self._trap).replace(LATER, later)) for name, value in fault.headers]
        if fault.coding:
            filled.append(("Content-Encoding", fault.coding))
        return tuple(filled)

    def _first_row(self, operation: SimulatedOperation, product: _Product, unix: float) -> tuple[bytes, int]:
        progress = self._progress
        progress.move(unix)
        items = reading(product.kind, product.api, operation.salt, progress)
        # The documents call this one's date "month and year of report".
        date = progress.month if product.api == b"nlp_ai" else progress.day
        return _ROW % (operation.vendor_name.encode(), product.title, items, date), items


def _product(api: str, kind: Kind, rows: int) -> _Product:
    title = api.rpartition("/")[2].replace("_", " ").capitalize().encode()
    more = b"".join(b"," + _ROW % (OPERATION, b"%b %04d" % (title, n), n, _DATE) for n in range(2, rows + 1))
    return _Product(api.encode(), kind, title, more, sum(range(2, rows + 1)))


def _filled(template: bytes, marks: dict[bytes, bytes]) -> bytes:
    if b"@" not in template:
        return template
    for mark, value in marks.items():
        template = template.replace(mark, value)
    return template


def _last_second(text: str) -> float:
    """Read `date_end`, in the vendor's timezone, as Unix seconds."""
    return datetime.strptime(text, VENDOR_FORMAT).replace(tzinfo=_ZONE).timestamp()
