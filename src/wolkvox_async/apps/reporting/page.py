"""The page: one self-contained file, without a script and without an address.

Everything that comes from records is escaped by the templates; style and drawings are part of the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import jinja2

from wolkvox_async.catalog import Kind
from wolkvox_async.statements import (
    Lack,
    Line,
    Outage,
    Report,
    State,
    Statement,
    Tariff,
    Trouble,
    is_whole_month,
)

from .formats import Formats, Language
from .sources import Source
from .sparks import HEIGHT, WIDTH, spark
from .tallies import KINDS, Tally, tallies
from .wording import Wording

_FOLDER: Final = Path(__file__).parent / "templates"
_SHOWN_FIRST: Final = 4


@dataclass(frozen=True, slots=True)
class Setting:
    """How a page is made: of one `tenant` or of all, in which language and timezone, with or without prices."""

    language: Language
    zone_name: str
    zone: tzinfo
    tenant: str | None
    tariff: Tariff | None


def open_templates() -> jinja2.Environment:
    """Return what pages are made with; it compiles each template once."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(
    report: Report, sources: Sequence[Source], setting: Setting, templates: jinja2.Environment | None = None
) -> Iterator[str]:
    """Yield the page in pieces."""
    names = _View(report, setting).names()
    told = {"report": report, "tenant": setting.tenant, "zone": setting.zone_name}
    odd = [source for source in sources if source.is_odd]
    template = (templates or open_templates()).get_template("report.html")
    stream = template.stream(**names, **told, odd=odd)
    stream.enable_buffering(64)
    yield from stream


class _View:
    """What templates ask for."""

    def __init__(self, report: Report, setting: Setting) -> None:
        self._report: Final = report
        self._setting: Final = setting
        self._say: Final = Wording(setting.language)
        self._format: Final = Formats(setting.language, setting.zone)
        self._anchors: Final[dict[str, int]] = {}

    def names(self) -> dict[str, Any]:
        """Return what the templates know by name."""
        formats = self._format
        return {
            "t": self._say,
            "language": self._setting.language,
            "tariff": self._setting.tariff,
            "number": formats.number,
            "money": formats.money,
            "price": formats.price,
            "signed": formats.signed,
            "percent": formats.percent,
            "month": formats.month,
            "moment": formats.moment,
            "span": formats.span,
            "duration": formats.duration,
            "spark": _spark,
            "width": WIDTH,
            "height": HEIGHT,
            "by_tenant": self._by_tenant,
            "of_month": self._of_month,
            "kinds": _by_kind,
            "tallies": self._tallies,
            "troubles": self._troubles,
            "reason": self._reason,
            "subjects": _subjects,
            "lack": self._lack,
            "window": self._window,
            "parts_of": self._parts,
            "unpriced": self._unpriced,
            "amount_of": self._amount,
            "is_short": self._is_short,
            "lines_of": _lines_of,
            "rounding": self._rounding(),
            "missing_lines": _missing_lines,
            "unread_lines": _unread_lines,
            "wanting_lines": _wanting_lines,
            "lacks": self._lacks,
            "total": self._total,
            "first": _SHOWN_FIRST,
            "anchor": self._anchor,
        }

    def _anchor(self, tenant: str) -> str:
        """Return the name of a tenant's part of the page: a number, for names have spaces and worse."""
        return f"tenant-{self._anchors.setdefault(tenant, len(self._anchors) + 1)}"

    def _by_tenant(self) -> list[tuple[str, list[Statement]]]:
        found: dict[str, list[Statement]] = {}
        for statement in self._report.statements:
            found.setdefault(statement.tenant, []).append(statement)
        return list(found.items())

    def _of_month(self, month: int) -> list[Statement]:
        return [statement for statement in self._report.statements if statement.month == month]

    def _total(self, statements: Sequence[Statement]) -> Decimal | None:
        tariff = self._setting.tariff
        return None if tariff is None else tariff.total(one.amount for one in statements)

    def _troubles(self, statement: Statement) -> list[str]:
        kinds = ("unclosed", "gaps", "failed", "skipped")
        counts = zip(kinds, statement.troubled(), strict=True)
        said = [self._many(kind, count) for kind, count in counts if count]
        if without := statement.without:
            said.append(self._say("no_number_of", n=self._format.number(without)))
        return said

    def _amount(self, amount: Decimal | None, lines: Iterable[Line]) -> str:
        """Write what lines come to; where none of them has an amount, that is no zero."""
        return self._format.money(amount) if any(line.charge is not None for line in lines) else "\N{EN DASH}"

    def _is_short(self, lines: Iterable[Line]) -> bool:
        """Whether the amount of lines may be too low: something that has a price lacks its number, or its last one."""
        tariff = self._setting.tariff
        return tariff is not None and any(
            (line.is_missing or line.is_wanting) and line.key.api in tariff.prices for line in lines
        )

    def _rounding(self) -> str:
        """Say how amounts are rounded, and what tiers are where there are any."""
        tariff = self._setting.tariff
        if tariff is None:
            return ""
        many = ("none", "one")[tariff.decimals] if tariff.decimals < 2 else "many"
        to = self._say(f"decimals_{many}", n=tariff.decimals)
        said = self._say("reading_4", to=to, mode=self._say(f"rounding_{tariff.rounding}"))
        tiered = any(len(price.tiers) > 1 for price in tariff.prices.values())
        return f"{said} {self._say('reading_5')}" if tiered else said

    def _many(self, kind: str, count: int) -> str:
        return self._say(f"{kind}_one") if count == 1 else self._say(f"{kind}_many", n=self._format.number(count))

    def _reason(self, outage: Outage) -> str:
        return self._say.reason("gap" if outage.trouble is Trouble.GAP else "error", outage.reason)

    def _lack(self, line: Line) -> str:
        content = line.content
        if content is None or content.lack is None:
            return self._say("state_none")
        if content.lack is Lack.NOT_COUNTED:
            return self._say("lack_not_counted", n=self._format.number(content.count))
        sent = content.rows[0].sent if content.lack is Lack.NOT_A_NUMBER and content.count == 1 else ""
        return f"{self._say(f'lack_{content.lack}')}{f': {sent}' if sent else ''}"

    def _lacks(self, lines: Iterable[Line]) -> str:
        return ", ".join(f"{line.key.api} ({self._lack(line)})" for line in lines)

    def _window(self, line: Line) -> str:
        """Say what was asked for, where dates were."""
        if line.reading is None or not line.reading.until:
            return ""
        since, until = line.reading.since, line.reading.until
        if is_whole_month(since, until):
            return self._say("window_all")
        return self._say("window", first=_day(since), last=_day(until))

    def _parts(self, line: Line) -> str:
        """Say how a line's amount comes about, where it has tiers."""
        if line.charge is None or len(line.charge.parts) < 2:
            return ""
        number, price = self._format.number, self._format.price
        times = "\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}"
        said = [f"{number(part.quantity)}{times}{price(part.price)}" for part in line.charge.parts]
        return "\N{NO-BREAK SPACE}+ ".join(said)

    def _unpriced(self, statement: Statement) -> str:
        """Say which lines are in no amount."""
        if self._setting.tariff is None:
            return ""
        without = Counter(
            (line.key.api, self._say("no_price") if line.value is not None else self._lack(line))
            for line in statement.lines
            if line.charge is None and (line.key.api in self._setting.tariff.prices or line.value is not None)
        )
        return "; ".join(f"{api} ({why}{f', {n}' if n > 1 else ''})" for (api, why), n in sorted(without.items()))

    def _tallies(self, month: int) -> list[tuple[Kind, list[Tally]]]:
        return tallies(_lines_of(self._of_month(month)), self._setting.tariff)


def _lines_of(statements: Iterable[Statement]) -> Iterator[Line]:
    return (line for statement in statements for line in statement.lines)


def _by_kind(lines: Sequence[Line]) -> list[tuple[Kind, list[Line]]]:
    return [(kind, own) for kind in KINDS if (own := [line for line in lines if line.kind is kind])]


def _spark(line: Line) -> Any:
    return spark(line.days, steps=line.kind is not Kind.USAGE)


def _subjects(outage: Outage) -> list[tuple[str, str]]:
    """Return operations with their endpoints, as text; many endpoints as their number."""
    found: dict[str, list[str]] = {}
    for operation, api in outage.subjects:
        found.setdefault(operation, []).append(api)
    return [
        (operation, ", ".join(apis) if len(apis) <= _SHOWN_FIRST else f"{len(apis)}")
        for operation, apis in found.items()
    ]


def _missing_lines(statement: Statement) -> list[tuple[str, list[Line]]]:
    """Return operations with the lines that miss their closing reading."""
    return _lines_that(statement, lambda line: line.state is State.UNCLOSED)


def _unread_lines(statement: Statement) -> list[tuple[str, list[Line]]]:
    """Return operations with the lines that have no reading at all."""
    return _lines_that(statement, lambda line: line.state is State.NONE)


def _wanting_lines(statement: Statement) -> list[tuple[str, list[Line]]]:
    """Return operations with the lines whose last reading has no number where there should be one."""
    return _lines_that(statement, lambda line: line.is_wanting and line.state is not State.NONE)


def _lines_that(statement: Statement, holds: Callable[[Line], bool]) -> list[tuple[str, list[Line]]]:
    return [
        (section.operation, own)
        for section in statement.sections
        if (own := [line for line in section.lines if holds(line)])
    ]


def _day(text: str) -> str:
    """Write the vendor's notation as a date, with the time where it is not that of a whole day."""
    date, time = f"{text[:4]}-{text[4:6]}-{text[6:8]}", text[8:]
    return date if time in ("000000", "235959") else f"{date} {time[:2]}:{time[2:4]}"
