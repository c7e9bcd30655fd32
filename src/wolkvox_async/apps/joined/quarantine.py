"""What may have been asked unseen, when a partition was taken over from a machine that just went silent.

Its last records may be missing. Whatever looks due at the time of the take-over may have been
asked right before; so it counts as asked then, and waits for its interval. What was not due by then
was not asked: the former owner goes by the same times.

In a watch the question waits, as always, and leaves a gap. A pass would skip it; so there the
token waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, Protocol, TypeAlias

from wolkvox_async.identity import CallIds
from wolkvox_async.model import Slot
from wolkvox_async.planning import DateRange, Subscription, plan
from wolkvox_async.scheduling.subjects import Subjects

from .state import JoinedState
from .tenancies import partition_of

Asking: TypeAlias = tuple[str, str, float]
"""A token, a question that is asked of it, and the least time between two such calls in seconds."""

_ANY_RUN: Final = "0" * 26


class Asks(Protocol):
    """Works out what operations are asked now (aware)."""

    def __call__(self, subscriptions: Sequence[Subscription], now: datetime) -> Iterator[Asking]:
        """Yield it."""
        ...


def watched(interval: float, dates: DateRange | None) -> Asks:
    """Return what works it out for a watch."""

    def asks(subscriptions: Sequence[Subscription], now: datetime) -> Iterator[Asking]:
        moment, ids = round(now.timestamp() * 1000), CallIds(_ANY_RUN)
        for subject in Subjects(interval, dates=dates).of(subscriptions, now):
            call = subject.call(ids, Slot(moment, moment))
            yield call.operation.token.id, call.question, call.interval

    return asks


def fetched(interval: float, dates: DateRange | None) -> Asks:
    """Return what works it out for a pass."""

    def asks(subscriptions: Sequence[Subscription], now: datetime) -> Iterator[Asking]:
        for call in plan(subscriptions, run=_ANY_RUN, now=now, dates=dates, interval=interval):
            yield call.operation.token.id, call.question, call.interval

    return asks


Suppose: TypeAlias = Callable[[JoinedState, Asking, float], None]
"""Has what may have been asked at a time (Unix seconds) wait."""


def question_waits(state: JoinedState, asking: Asking, at: float) -> None:
    """Have the question wait for its interval."""
    token, question, _ = asking
    state.asked.suppose(token, question, at)


def token_waits(state: JoinedState, asking: Asking, at: float) -> None:
    """Have the token wait until the question may be asked again."""
    token, _, interval = asking
    state.shut(token, at + interval)


class Quarantine:
    """For all operations that there are, `longest` being the longest of their intervals."""

    def __init__(self, asks: Asks, suppose: Suppose, partitions: int, longest: float) -> None:
        self._asks: Final = asks
        self._suppose: Final = suppose
        self._partitions: Final = partitions
        self._longest: Final = longest
        self._operations: dict[int, list[Subscription]] = {}  # by partition

    def know(self, subscriptions: Iterable[Subscription]) -> None:
        """Have these be the operations."""
        self._operations = {}
        for one in subscriptions:
            partition = partition_of(one.operation.token.id, self._partitions)
            self._operations.setdefault(partition, []).append(one)

    def apply(self, partition: int, until: float | None, state: JoinedState, now: datetime) -> None:
        """Have what may have been asked of a partition's tokens wait; `until` as the lease has it (Unix seconds)."""
        if until is None or until <= now.timestamp():
            return
        taken_over = until - self._longest
        for token, question, interval in self._asks(self._operations.get(partition, ()), now):
            since = state.asked.since(token, question)
            if since is None or now.timestamp() - since + interval <= taken_over:
                self._suppose(state, (token, question, interval), taken_over)
