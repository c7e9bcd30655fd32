"""From the names that people use to operations and calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeAlias, TypeVar

from wolkvox_async.catalog import Catalog, Dates, Endpoint
from wolkvox_async.errors import SelectionError, UsageError
from wolkvox_async.model import Call, Operation, Params, Token
from wolkvox_async.planning import DateRange, MonthWord, Subscription, Wanted, call, counts, plan, windows
from wolkvox_async.scheduling.subjects import Subject, Subjects
from wolkvox_async.selection import restrict, select, subscribed, without_dates
from wolkvox_async.spelling import did_you_mean, shown
from wolkvox_async.windows import in_days, timezone

T = TypeVar("T")

Holds: TypeAlias = Callable[[str], bool]
"""Tells of a token, by its id, whether it is ours at present."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a pass is about.

    `kept` is what is asked for of each list of endpoints, by the list's identity: equal
    lists are mostly one object, and a hundred thousand operations are not gone through at once.
    """

    subscriptions: tuple[Subscription, ...]
    kept: Mapping[int, tuple[Wanted, ...]]

    def held(self, holds: Holds | None) -> Choice:
        """Return what is left of it where only some tokens are ours."""
        if holds is None:
            return self
        return Choice(tuple(one for one in self.subscriptions if holds(one.operation.token.id)), self.kept)

    def __iter__(self) -> Iterator[Subscription]:
        for subscription in self.subscriptions:
            wanted = self.kept[id(subscription.wanted)]
            yield subscription if wanted is subscription.wanted else replace(subscription, wanted=wanted)


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks one operation for: an endpoint, parameters, dates. Equal ones ask the same."""

    path: str
    api: str
    params: Params
    dates: DateRange | MonthWord | None
    endpoint: Endpoint = field(compare=False)  # with those parameters


class Roster:
    """The operations of an engine in the order of the tenants file, and the endpoints that there are."""

    def __init__(self, subscriptions: Iterable[Subscription], catalog: Catalog, interval: float) -> None:
        """Take `interval`, the least time in seconds between two calls that ask a token the same."""
        self._interval: Final = interval
        self._by_path: Final = {subscription.operation.path: subscription for subscription in subscriptions}
        self._catalog: Final = catalog
        self._renewed: Final[dict[str, Operation]] = {}  # those whose token changed

    def __iter__(self) -> Iterator[Subscription]:
        return iter(self._by_path.values())

    def operations(self) -> tuple[Operation, ...]:
        """Return them all, with the tokens that are known now."""
        return tuple(subscription.operation for subscription in self._by_path.values())

    def choose(self, only: Sequence[str], apis: Sequence[str], dates: DateRange | None) -> Choice:
        """Return what a pass is about; raises `SelectionError` when that is nothing, or dates do not fit."""
        chosen = select(tuple(self._by_path.values()), only)
        lists = {id(subscription.wanted): subscription.wanted for subscription in chosen}
        kept = {key: restrict(wanted, apis, self._catalog) for key, wanted in lists.items()}
        if apis and not any(kept.values()):
            subscribed(chosen, apis, self._catalog)  # which says what is wrong
        if dates is not None and not any(map(_takes_dates, kept.values())):
            raise SelectionError("dates were given, but none of the endpoints takes dates")
        if complaints := without_dates(kept.values(), dates):
            raise SelectionError(complaints)
        return Choice(chosen, kept)

    def counts(self, chosen: Choice, *, now: datetime, dates: DateRange | None) -> Iterator[int]:
        """Yield how many calls a pass has for each operation; raises `SelectionError` as `plan` does."""
        return _selected(counts(chosen, now=now, dates=dates))

    def plan(self, chosen: Choice, *, run: str, now: datetime, dates: DateRange | None) -> Iterator[Call]:
        """Yield the calls of a pass; raises `SelectionError` for dates that are wrong at `now` (aware)."""
        return _selected(plan(chosen, run=run, now=now, dates=dates, interval=self._interval))

    def over(self, subscriptions: Iterable[Subscription]) -> Roster:
        """Return a roster of other operations, with the same endpoints."""
        return Roster(subscriptions, self._catalog, self._interval)

    def subjects(self, chosen: Choice, *, now: datetime, dates: DateRange | None) -> Sequence[Subject]:
        """Return what is watched of a choice; raises `SelectionError` as `plan` does, and for an interval of 0."""

        def found() -> Iterator[Subject]:
            yield from Subjects(self._interval, dates=dates).of(chosen, now)

        return list(_selected(found()))

    def replace(self, subscriptions: Iterable[Subscription]) -> None:
        """Have these be the operations from now on, with the tokens that they have."""
        before = {path: subscription.operation for path, subscription in self._by_path.items()}
        self._by_path.clear()
        for subscription in subscriptions:
            operation = subscription.operation
            self._by_path[operation.path] = subscription
            if operation.path in self._renewed or before.get(operation.path, operation).token != operation.token:
                self._renewed[operation.path] = operation

    def asked(
        self, path: str, api: str, dates: DateRange | MonthWord | None, params: Mapping[str, str] | None
    ) -> Asked:
        """Return what somebody asks for.

        Raises `UsageError` for unknown names and `ValueError` for dates and parameters that cannot be.
        """
        self._operation(path)
        endpoint = self._catalog.get(api)
        if endpoint is None:
            hint = did_you_mean(api, self._catalog.names())
            raise UsageError(f"no endpoint is called {shown(api)}{hint or ': `wolkvox-async apis` lists them'}")
        if dates is not None and endpoint.dates is Dates.NEVER:
            raise ValueError(f"the endpoint {endpoint.name} takes no dates")
        if dates is None and endpoint.dates is Dates.REQUIRED:
            raise ValueError(f"the endpoint {endpoint.name} needs dates: call it with dates=DateRange(...)")
        endpoint = endpoint.asked_with(params or {})
        return Asked(path, endpoint.name, endpoint.params, dates, endpoint)

    def call(self, asked: Asked, *, run: str, now: datetime) -> Call:
        """Return one call, made whenever it is asked for; raises `ValueError` for dates that cannot be at `now`."""
        operation, endpoint = self._operation(asked.path), asked.endpoint
        (window, *more) = windows(asked.dates, now.astimezone(timezone(operation.timezone)), endpoint.days)
        if more:
            most = "one calendar month" if endpoint.days is None else in_days(endpoint.days)
            raise ValueError(f"one call covers {most}: use fetch() for longer ranges")
        planned = call(operation, endpoint, run=run, window=window, interval=self._interval)
        return replace(planned, paced=False)

    def _operation(self, path: str) -> Operation:
        found = self._by_path.get(path)
        if found is None:
            # No proposal: a service may be asked for any name, and 100,000 are not compared in its event loop.
            raise UsageError(f"no operation is called {shown(path)}: write tenant/operation as in the tenants file")
        return found.operation

    def knows(self, path: str) -> bool:
        """Tell whether there is an operation of that name, or still is."""
        return path in self._by_path

    def renew(self, operations: Iterable[Operation], refused: Token) -> None:
        """Take in operations whose token changed, because another was `refused`; what changed meanwhile stays so."""
        for operation in operations:
            known = self._by_path.get(operation.path)
            if known is None or known.operation.token != refused:
                continue
            self._by_path[operation.path] = replace(self._by_path[operation.path], operation=operation)
            self._renewed[operation.path] = operation

    def all_current(self, calls: Collection[Call]) -> Collection[Call]:
        """Return the calls with the tokens that their operations have now."""
        return [self.current(call) for call in calls] if self._renewed else calls

    def current(self, wanted: Call) -> Call:
        """Return the call with the token that its operation has now: it may have been planned with an older one."""
        operation = self._renewed.get(wanted.operation.path) if self._renewed else None
        return wanted if operation is None else replace(wanted, operation=operation)


def _selected(planned: Iterator[T]) -> Iterator[T]:
    try:
        yield from planned
    except ValueError as error:
        mistake = str(error)
    else:
        return
    raise SelectionError(mistake)


def _takes_dates(wanted: Iterable[Wanted]) -> bool:
    return any(one.endpoint.dates is not Dates.NEVER for one in wanted)
