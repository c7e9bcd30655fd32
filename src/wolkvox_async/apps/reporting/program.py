"""`report` as a program: what was asked for, checked as a whole; read; drawn up; written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wolkvox_async.apps.languages import translated
from wolkvox_async.catalog import Catalog
from wolkvox_async.errors import ConfigurationError, Mistake
from wolkvox_async.spelling import did_you_mean, shown
from wolkvox_async.statements import Books, Calendar, Report, Tariff, draw_up, month_name, month_named
from wolkvox_async.windows import timezone

from . import reading, writing
from .formats import Language
from .sheet import BEGINS as SHEET_BEGINS
from .sheet import sheet
from .sources import Source, find

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
    zone: str = "America/Bogota"
    tenants: str | None = None  # a tenants file, for its endpoints


@dataclass(frozen=True, slots=True)
class Done:
    """What was read and written."""

    report: Report
    sources: tuple[Source, ...]
    records: int


def make(order: Order, known: Sequence[Mistake] = ()) -> Done:
    """Make the report, unless mistakes are `known`.

    Raises `ConfigurationError` with every mistake, `OutputError` where it cannot be written; then nothing is.
    """
    sources, mistakes = find(order.files)
    mistakes = [*known, *mistakes, *_output_mistakes(order, sources)]
    months = _months(order.months, mistakes)
    prices = _prices(order.prices, mistakes)
    catalog = _catalog(order.tenants, mistakes)
    if find_spec("jinja2") is None:
        mistakes.append(Mistake(NO_JINJA))
    if mistakes:
        raise ConfigurationError(mistakes)
    writing.look_for_room([order.output] if order.csv is None else [order.output, order.csv])
    from .page import Setting, page  # noqa: PLC0415 - it imports jinja2

    zone = timezone(order.zone)
    books = Books(Calendar(zone), tenant=order.tenant)
    reading.read(sources, books)
    tariff: Tariff | None = None if prices is None else prices.tariff
    report = draw_up(books, now=order.now, months=months, tariff=tariff, catalog=catalog)
    mistakes = _mistakes(books, order, months)
    mistakes += [] if prices is None else prices.mistakes([*books.endpoints, *catalog.names()])
    if mistakes:
        raise ConfigurationError(mistakes)
    setting = Setting(order.language, order.zone, zone, order.tenant, tariff)
    outputs = [(order.output, page(report, sources, setting))]
    if order.csv is not None:
        outputs.append((order.csv, sheet(report, tariff)))
    writing.write_all(outputs)
    return Done(report, tuple(sources), books.records)


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


def _mistakes(books: Books, order: Order, months: Sequence[int] | None) -> list[Mistake]:
    """Say what was asked for and is not in the records."""
    if not books.records:
        return [Mistake("there are no records in what was read")]
    if order.tenant is not None and order.tenant not in books.tenants:
        hint = did_you_mean(order.tenant, books.tenants) or f": the records know {_listed(sorted(books.tenants))}"
        return [Mistake(f"--tenant: no tenant is called {shown(order.tenant)}{hint}")]
    there = books.months()
    if not there:
        return [Mistake("there is no call in what was read: only the records of calls and slots make a report")]
    missing = [month for month in months or () if month not in there]
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
    said += [f"{source.name}: {what}" for source in done.sources for what in _odd(source)]
    return said


def _odd(source: Source) -> list[str]:
    found = {
        f"{source.strange:,} lines are no records (the first is line {source.first_strange:,})": source.strange,
        "its last line is torn off and not counted": source.torn,
        "it ends in the middle of what is packed": source.cut and not source.is_growing,
        "it does not hold what its manifest says": source.differs,
        "a later version wrote it: install that one": source.newer,
    }
    return [what for what, holds in found.items() if holds]


def _many(count: int, one: str, many: str) -> str:
    return f"{count:,} {translated(one if count == 1 else many)}"
