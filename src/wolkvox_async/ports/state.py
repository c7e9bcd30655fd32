"""What outlives a process, and is shared by all that use the same state.

*Leases* are looked at between two calls, so they wait for nothing: a claim is granted or
it is not. What is *known* of a token (its last calls, whether it was refused) is read
once and then again only when a claim says that others have used the token since. What
was delivered is *settled* in groups, in the background.

Times cross this port as seconds from now: the two sides need not have the same clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from wolkvox_async.counters import Counters
from wolkvox_async.errors import StateError
from wolkvox_async.marks import Mark, SlotMark
from wolkvox_async.model import Call, ErrorKind

from .delivery import Place


@dataclass(frozen=True, slots=True)
class Granted:
    """The token is ours until it is released, and what we know of it is true."""


@dataclass(frozen=True, slots=True)
class Unread:
    """The token is ours, but others have used it since we looked: look before anything is sent."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Another holder has the token; nobody knows for how long."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Nobody has the token, and for `seconds` nobody may: a call of it may still be at work, or its pause is on."""

    seconds: float


Claim: TypeAlias = Granted | Unread | Taken | Closed


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is to be sent with a token for `seconds`: it was refused, or its quota is used up."""

    kind: ErrorKind
    message: str
    seconds: float


class Leases(Protocol):
    """The right to use a token, for one holder at a time; by token id."""

    def claim(self, token: str) -> Claim:
        """Ask for `token`; when granted (or unread), it is ours until `release`.

        Not to be called for a token that is held already. Raises `StateError`.
        """
        ...

    def want(self, token: str) -> None:
        """Let whoever has `token` know, for a second or two, that it is waited for."""
        ...

    def is_wanted(self, token: str) -> bool:
        """Tell whether another waits for `token`, held by us or not."""
        ...

    def begin(self, token: str, hold: float) -> None:
        """Note, before anything is sent, that an attempt begins.

        Should nothing more be heard of it, nobody may use the token for `hold` seconds.
        """
        ...

    def end(self, token: str, at_work: float, pause: float) -> None:
        """Note that an attempt ended; nobody may use the token for the longer of two times, both from now.

        For `at_work` seconds the vendor may still be at work on the attempt, and `pause`
        seconds are to pass before the next one in any case.
        """
        ...

    def release(self, token: str) -> None:
        """Give the token back, once `settle` and `refuse` were told all that came of it.

        The state keeps the token locked until that is committed, so whoever has it next
        knows of it; nobody has to wait for that before releasing.
        """
        ...


class Names(Protocol):
    """What answers call the operations of tokens; by token id. A name is a number of 64 bits, with a sign."""

    def names(self, token: str) -> frozenset[int]:
        """Return the names that `token` is known by, as far as it was looked at."""
        ...

    def is_anothers(self, token: str, names: Collection[int]) -> bool:
        """Tell whether a token other than `token`, of those looked at, is known by one of `names`."""
        ...

    def name(self, token: str, names: Collection[int]) -> None:
        """Note, for everybody and soon, that `token` is known by `names` and no others; it was looked at.

        Each is kept, for good: whoever calls this bounds how many they are.
        """
        ...


class Knowledge(Names, Protocol):
    """What is known of tokens; by token id, and by the question that was asked of them."""

    async def look(self, tokens: Collection[str]) -> None:
        """Read what is known of `tokens`, new ones included; a claim of any other is `Unread`."""
        ...

    def since(self, token: str, question: str) -> float | None:
        """Return how many seconds ago the last such request left that was answered; None: too long, or never."""
        ...

    def arm(self, token: str, question: str, seconds_ago: float) -> None:
        """Note that a request which left so long ago was answered (ok or empty); for this process alone.

        It counts from now on, and for good once it is settled.
        """
        ...

    def disarm(self, token: str, question: str) -> None:
        """Undo `arm`: the answer will never be delivered, so it is as if it had not been asked for."""
        ...

    def refusal(self, token: str) -> Refusal | None:
        """Return why nothing is to be sent with `token` at present."""
        ...

    def refuse(self, token: str, refusal: Refusal) -> None:
        """Note that the vendor refused `token`, for everybody."""
        ...

    async def forgive(self, tokens: Collection[str]) -> None:
        """Forget that they were refused."""
        ...


@dataclass(frozen=True, slots=True)
class RunOrder:
    """Which run is wanted: a new one under `id`, a named one, or (`resume`) the newest that is not complete.

    `tenants` and `output` are told apart as texts; a run has one output for good.
    """

    id: str
    at: datetime
    name: str | None = None
    resume: bool = False
    tenants: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that is ours until it is closed.

    Calls are planned as of `at`, so that a resumed run asks the same. `settled` are the
    calls (the tails of their ids) that ended ok or empty; `counters` what they came to.
    """

    id: str
    at: datetime
    resumed: bool = False
    settled: frozenset[str] = frozenset()
    counters: Counters = field(default_factory=Counters)

    @property
    def done(self) -> int:
        """How many calls ended ok or empty."""
        return self.counters.ok + self.counters.empty

    @property
    def cut(self) -> int:
        """How many calls were replaced by their two parts: they are settled, and have no outcome."""
        return max(0, len(self.settled) - self.done)


class Ledger(Protocol):
    """Runs, and which of their calls are settled."""

    async def open_run(self, order: RunOrder) -> OpenRun:
        """Begin or take up a run; raises `RunError` when it cannot be taken up."""
        ...

    def expect(self, run: str, calls: Collection[Call]) -> None:
        """Note, soon and for people to see, that `run` is about to make `calls`; their tokens were looked at.

        `calls` is kept for a moment and not to be changed.
        """
        ...

    def settle(
        self, run: str, marks: Sequence[Mark], position: int | None, done: Callable[[StateError | None], None]
    ) -> None:
        """Note that `marks` were delivered; `done` is called, in the event loop, once everybody knows.

        A call that ended ok or empty is settled once in a run, unless it is unsettled.
        `position` is where the run's output ends behind them, if it can be read back.
        """
        ...

    def unsettle(self, run: str, marks: Sequence[Mark]) -> None:
        """Note that settled `marks` did not arrive after all: they are as if never called."""
        ...

    async def close_run(self, run: str, *, complete: bool) -> None:
        """Let go of the run, when everything settled is known; `complete`: there is nothing left to do in it."""
        ...


SlotKey: TypeAlias = tuple[str, str, str, str]
"""Tenant, operation, endpoint and, where dates are asked for, the month (YYYYmm), else an empty text."""


@dataclass(frozen=True, slots=True)
class LastSlot:
    """The last slot that ended, by its due time (Unix milliseconds), and the last closing one, if there was any."""

    due: int
    closing: int | None


class Diary(Protocol):
    """Which slots have ended, of everything that is watched."""

    async def last_slots(self) -> Mapping[SlotKey, LastSlot]:
        """Return the last slot that ended, of everything that was ever watched."""
        ...

    def note_slots(self, marks: Sequence[SlotMark]) -> None:
        """Note slots that ended, of each subject in their order."""
        ...


class State(Leases, Knowledge, Ledger, Diary, Protocol):
    """What outlives a process: leases, what is known of tokens, runs, slots; one thing that is closed in the end."""

    def note_servers(self, down: Mapping[str, float], short: Mapping[str, float]) -> None:
        """Note which servers are down, and in how many seconds each is tried again.

        And at which calls wait for a retry (`short`), in how many seconds all of them have had it.
        """
        ...

    async def flush(self) -> None:
        """Return when everything told so far is known to everybody; raises `StateError`."""
        ...

    async def close(self) -> None:
        """Give everything back; raises `StateError` when something could not be kept."""
        ...


class Adopter(Protocol):
    """Takes over what an output says, whoever wrote it."""

    async def adopted(self, output: Place) -> int:
        """Return up to where the output was read."""
        ...

    async def has_shrunk(self, output: Place, end: int) -> bool:
        """Tell whether `output`, which ends at `end`, is shorter than it was known, or another file."""
        ...

    async def adopt(self, output: Place, marks: Iterable[Mark], end: int, *, shrunk: bool = False) -> int:
        """Take `marks` over; everything before `end` has been read.

        Of a `shrunk` output all marks are told, from its beginning, before tokens are looked
        at: what its runs settled and it does not hold is as if never called. Returns how
        many calls that are. Raises `RunError` when somebody works on a run that lost some.
        """
        ...
