"""Which operations, and which of their endpoints, a command is about.

`--only` takes a tenant, `tenant/operation` (both with the wildcards `*`, `?` and `[ab]`)
or `label=value`; several add up. `--api` keeps what the tenants file asks for and leaves
out the rest: it never adds an endpoint to an operation. Whatever selects nothing is a
mistake, for it is a slip of the keyboard far more often than a wish.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, Protocol, TypeVar

from .catalog import Catalog, Dates
from .errors import SelectionError
from .planning import DateRange, Wanted
from .spelling import did_you_mean, shown

_WILDCARD: Final = re.compile(r"[*?\[]")
# To compare with 100,000 names takes a moment: so many slips get a proposal, the rest are named only.
_PROPOSALS: Final = 20


class Selectable(Protocol):
    """What can be selected: an entry, a subscription."""

    @property
    def tenant(self) -> str:
        """The tenant's name."""
        ...

    @property
    def name(self) -> str:
        """The operation's name."""
        ...

    @property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """The tenant's labels."""
        ...


class Asked(Protocol):
    """What is asked for endpoints, as a dataclass: an entry, a subscription."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """The endpoints it is asked for."""
        ...


_Asked = TypeVar("_Asked", bound=Asked)
_Selected = TypeVar("_Selected", bound=Selectable)


def select(entries: Sequence[_Selected], only: Sequence[str]) -> tuple[_Selected, ...]:
    """Return the entries that any of the selectors names, in their own order; all when there is none.

    Raises `SelectionError` naming every selector that fits nothing.
    """
    if not only:
        return tuple(entries)
    roll = _Roll(entries)
    chosen: set[int] = set()
    fruitless: list[str] = []
    for selector in only:
        numbers = set(roll.find(selector))
        chosen |= numbers
        if not numbers:
            fruitless.append(selector)
    if fruitless:
        raise SelectionError(_complain(selector, roll, n) for n, selector in enumerate(fruitless))
    return tuple(entries[number] for number in sorted(chosen))


def _complain(selector: str, roll: _Roll, number: int) -> str:
    hint = did_you_mean(selector, roll.near(selector)) if number < _PROPOSALS else ""
    return f"{shown(selector)} selects no operation{hint}"


class _Roll:
    """Entries by tenant, for finding them by selector."""

    __slots__ = ("_by_tenant", "_entries")

    def __init__(self, entries: Sequence[Selectable]) -> None:
        self._entries: Final = entries
        self._by_tenant: dict[str, list[int]] = {}
        for number, entry in enumerate(entries):
            self._by_tenant.setdefault(entry.tenant, []).append(number)

    def find(self, selector: str) -> Iterator[int]:
        """Yield the numbers of the entries that `selector` names."""
        tenant, _, operation = selector.partition("/")
        whole = "/" not in selector
        for name in _matching(tenant, self._by_tenant):
            numbers = self._by_tenant[name]
            if whole:
                yield from numbers
            else:
                names = {self._entries[number].name: number for number in numbers}
                yield from (names[found] for found in _matching(operation, names))
        label, equals, value = selector.partition("=")
        if equals:
            pair = (label, value)
            yield from (number for number, entry in enumerate(self._entries) if pair in entry.labels)

    def near(self, selector: str) -> Iterable[str]:
        """Return what a selector that fits nothing may have been meant to be."""
        if "=" in selector:
            return {f"{label}={value}" for entry in self._entries for label, value in entry.labels}
        tenant, slash, _ = selector.partition("/")
        if not slash:
            return self._by_tenant
        if tenant in self._by_tenant:
            return [f"{tenant}/{self._entries[number].name}" for number in self._by_tenant[tenant]]
        operation = selector.partition("/")[2]
        return [f"{name}/{operation}" for name in self._by_tenant]


def _matching(pattern: str, names: Mapping[str, object]) -> Iterator[str]:
    """Yield the names that are, or match, `pattern`; a name with a wildcard in it is its own pattern."""
    if pattern in names:
        yield pattern
    if _WILDCARD.search(pattern):
        match = re.compile(fnmatch.translate(pattern)).match
        yield from (name for name in names if name != pattern and match(name))


def restrict(wanted: tuple[Wanted, ...], apis: Sequence[str], catalog: Catalog) -> tuple[Wanted, ...]:
    """Return those of `wanted` that `apis` names; all when `apis` is empty.

    Raises `SelectionError` naming every endpoint that the catalogue does not know.
    """
    names = _known(apis, catalog)
    return tuple(one for one in wanted if one.endpoint.name in names) if apis else wanted


def subscribed(entries: Sequence[_Asked], apis: Sequence[str], catalog: Catalog) -> tuple[_Asked, ...]:
    """Return the entries with what `apis` names of their endpoints, without those left with none.

    Raises `SelectionError` for unknown endpoints, and when nothing at all is left.
    """
    if not apis:
        return tuple(entries)
    names = _known(apis, catalog)
    # Lists that are equal are mostly one object, and hashing an object is cheaper than hashing what it holds.
    kept: dict[int, tuple[Wanted, ...]] = {}
    asked: list[_Asked] = []
    for entry in entries:
        key = id(entry.wanted)
        if key not in kept:
            kept[key] = tuple(one for one in entry.wanted if one.endpoint.name in names)
        if kept[key]:
            asked.append(replace(entry, wanted=kept[key]))
    if not asked:
        raise SelectionError([_nothing_left(names)])
    return tuple(asked)


def without_dates(lists: Iterable[tuple[Wanted, ...]], dates: DateRange | None = None) -> list[str]:
    """Return a complaint about every endpoint in `lists` that needs dates and has none, of its entry or by `dates`."""
    if dates is not None:
        return []
    asked = (one for wanted in lists for one in wanted)
    names = {one.endpoint.name for one in asked if one.endpoint.dates is Dates.REQUIRED and one.dates is None}
    return [
        f"the endpoint {name} needs dates: name them with --from and --to or in its entry of apis, "
        "or leave it out with --api"
        for name in sorted(names)
    ]


def _known(apis: Sequence[str], catalog: Catalog) -> set[str]:
    found = {api: catalog.get(api) for api in apis}
    unknown = [api for api, endpoint in found.items() if endpoint is None]
    if unknown:
        choices = catalog.names()
        raise SelectionError(f"no endpoint is called {shown(api)}{did_you_mean(api, choices)}" for api in unknown)
    return {endpoint.name for endpoint in found.values() if endpoint is not None}


def _nothing_left(names: set[str]) -> str:
    return (
        f"no selected operation asks for {' or '.join(sorted(names))}: "
        "--api leaves endpoints of the tenants file out, and adds none"
    )
