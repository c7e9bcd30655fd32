"""`report` as a program: what was asked for, checked as a whole; read; drawn up; written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wolkvox_async.apps.languages import translated
from wolkvox_async.catalog import Catalog
from wolkvox_async.errors import ConfigurationError, Mistake
from wolkvox_async.spelling import did_you_mean, shown
from wolkvox_async.statements import Books, Calendar, Report, Tariff, draw_up, month_name, month_named
from wolkvox_async.windows import DEFAULT_TIMEZONE, timezone

from . import reading, writing
from .formats import Language
from .sheet import BEGINS as SHEET_BEGINS
from .sheet import sheet
from .sources import Oddity, Source, find

if TYPE_CHECKING:
    from .prices import Prices

PAGE_BEGINS: Final = b"<!doctype html>"
NO_JINJA: Final = "the report is made with jinja2, which is not installed: pip install 'wolkvox-async[report]'"

EXAMPLE_PRICES: Final = Path(__file__).parent / "prices.json"
"""Made-up prices, for the demonstration and to start from."""

_SHOWN: Final = 24
_TROUBLES: Final = (
    ("closing reading is missing", "closing readings are missing"),
    ("slot has no reading", "slots have no reading"),
    ("call failed", "calls failed"),
    ("call was not made", "calls were not made"),
)
_ODDITIES: Final[Mapping[Oddity, str]] = {
    Oddity.STRANGE: "{strange:,} lines are no records (the first is line {first:,})",
    Oddity.TORN: "its last line is torn off and not counted",
    Oddity.CUT: "it ends in the middle of what is packed",
    Oddity.DIFFERS: "it does not hold what its manifest says",
    Oddity.NEWER: "a later version wrote it: install that one",
}


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for; names and months as text, `now` in Unix milliseconds."""

    files: tuple[str, ...]
    output: str
    now: int
    csv: str | None = None
    months: tuple[str, ...] = ()
    tenant: str | None = None
    language: Language = "en"
    prices: str | None = None
    zone: str = DEFAULT_TIMEZONE
    tenants: str | None = None  # a tenants file, for its endpoints


@dataclass(frozen=True, slots=True)
class Done:
    """What was read and written."""

    report: Report
    sources: tuple[Source, ...]
    records: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """An order in which nothing is wrong, as far as can be told before anything is read."""

    sources: list[Source]
    months: list[int] | None
    prices: Prices | None
    catalog: Catalog
    zone: tzinfo

    @property
    def tariff(self) -> Tariff | None:
        return None if self.prices is None else self.prices.tariff


def make(order: Order, known: Sequence[Mistake] = ()) -> Done:
    """Make the report, unless mistakes are `known`.

    Raises `ConfigurationError` with every mistake, `OutputError` where it cannot be written; then nothing is.
    """
    asked = _checked(order, known)
    writing.look_for_room([order.output] if order.csv is None else [order.output, order.csv])
    books = Books(Calendar(asked.zone), tenant=order.tenant)
    reading.read(asked.sources, books)
    _refuse(_mistakes(books, order, asked))
    report = draw_up(books, now=order.now, months=asked.months, tariff=asked.tariff, catalog=asked.catalog)
    _write(report, order, asked)
    return Done(report, tuple(asked.sources), books.records)


def _checked(order: Order, known: Sequence[Mistake]) -> _Asked:
    sources, mistakes = find(order.files)
    mistakes = [*known, *mistakes, *_output_mistakes(order, sources)]
    months = _months(order.months, mistakes)
    prices = _prices(order.prices, mistakes)
    catalog = _catalog(order.tenants, mistakes)
    if find_spec("jinja2") is None:
        mistakes.append(Mistake(NO_JINJA))
    _refuse(mistakes)
    return _Asked(sources, months, prices, catalog, timezone(order.zone))


def _refuse(mistakes: Sequence[Mistake]) -> None:
    if mistakes:
        raise ConfigurationError(mistakes)


def _write(report: Report, order: Order, asked: _Asked) -> None:
    from .page import Setting, page  # noqa: PLC0415 - it imports jinja2

    setting = Setting(order.language, order.zone, asked.zone, order.tenant, asked.tariff)
    outputs = [(order.output, page(report, asked.sources, setting))]
    if order.csv is not None:
        outputs.append((order.csv, sheet(report, asked.tariff)))
    writing.write_all(outputs)


def _output_mistakes(order: Order, sources: Sequence[Source]) -> list[Mistake]:
    inputs = [source.path for source in sources]
    found = [writing.complaint(order.output, "--output", PAGE_BEGINS, inputs)]
    if order.csv is not None:
        found.append(writing.complaint(order.csv, "--csv", SHEET_BEGINS, inputs))
        if order.csv == order.output:
            found.append(Mistake("--csv: this is where the page goes: name another file"))
    return [one for one in found if one is not None]


def _months(texts: tuple[str, ...], mistakes: list[Mistake]) -> list[int] | None:
    months = []
    for text in texts:
        try:
            months.append(month_named(text))
        except ValueError as error:
            mistakes.append(Mistake(f"--month: {error}"))
    return months if texts else None


def _prices(path: str | None, mistakes: list[Mistake]) -> Prices | None:
    if path is None:
        return None
    from .prices import read_prices  # noqa: PLC0415 - it imports pydantic

    try:
        return read_prices(path)
    except ConfigurationError as error:
        mistakes.extend(error.mistakes)
        return None


def _catalog(path: str | None, mistakes: list[Mistake]) -> Catalog:
    """Return the endpoints that there are: with a tenants file its own as well."""
    if path is None:
        return Catalog()
    from wolkvox_async.settings.tenants import load_tenants  # noqa: PLC0415 - it imports pydantic

    try:
        return load_tenants(path).catalog
    except ConfigurationError as error:
        mistakes.extend(error.mistakes)
        return Catalog()


def _mistakes(books: Books, order: Order, asked: _Asked) -> list[Mistake]:
    """Say what was asked for and is not in the records, and which prices are for nothing."""
    priced = [] if asked.prices is None else asked.prices.mistakes([*books.endpoints, *asked.catalog.names()])
    return [*_absent(books, order, asked.months or ()), *priced]


def _absent(books: Books, order: Order, months: Sequence[int]) -> list[Mistake]:
    if not books.records:
        return [Mistake("there are no records in what was read")]
    if order.tenant is not None and order.tenant not in books.tenants:
        hint = did_you_mean(order.tenant, books.tenants) or f": the records know {_listed(sorted(books.tenants))}"
        return [Mistake(f"--tenant: no tenant is called {shown(order.tenant)}{hint}")]
    there = books.months()
    if not there:
        return [Mistake("there is no call in what was read: only the records of calls and slots make a report")]
    missing = [month for month in months if month not in there]
    known = _listed([month_name(month) for month in sorted(there, reverse=True)])
    return [Mistake(f"--month: there is nothing of {month_name(month)}: the records know {known}") for month in missing]


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def told(done: Done, order: Order) -> list[str]:
    """Say in a few lines what was made, for whoever made it."""
    statements = done.report.statements
    lines = sum(len(list(statement.lines)) for statement in statements)
    tenants = len({statement.tenant for statement in statements})
    sizes = (
        _many(tenants, "tenant", "tenants"),
        _many(len(done.report.months), "month", "months"),
        _many(lines, "line", "lines"),
    )
    made = "{file}: {size}, from {records:,} records"
    said = [translated(made, file=order.output, size=", ".join(sizes), records=done.records)]
    troubled = (statement.troubled() for statement in statements)
    counts = [sum(counts) for counts in zip((0, 0, 0, 0), *troubled, strict=True)]
    missing = [_many(count, *words) for count, words in zip(counts, _TROUBLES, strict=True) if count]
    if without := sum(statement.without for statement in statements):
        missing.append(_many(without, "line has no number", "lines have no number"))
    if missing:
        said.append(translated("missing: {what}", what=", ".join(missing)))
    said += [f"{source.name}: {_odd(source, oddity)}" for source in done.sources for oddity in source.oddities]
    return said


def _odd(source: Source, oddity: Oddity) -> str:
    if oddity is Oddity.STRANGE and source.strange == 1:
        return translated("line {first:,} is no record", first=source.first_strange)
    return translated(_ODDITIES[oddity], strange=source.strange, first=source.first_strange)


def _many(count: int, one: str, many: str) -> str:
    return f"{count:,} {translated(one if count == 1 else many)}"
