"""The state in memory, for one process: as a state folder, and gone with the process.

    state = MemoryState(clock)
    another = state.beside()

Engines that share tokens need states that stand beside one another: they exclude each
other and know of each other's calls as processes do that share a folder. Each belongs to
one engine. All are used in one event loop.

Per token some 500 bytes, and 150 for every question that was asked of it within a day;
100 for every settled call of a run, until that run is complete and has no name. Where
connections are shared, 200 for the name of a token's operation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from wolkvox_async.errors import StateError, UsageError
from wolkvox_async.marks import Mark, SlotMark
from wolkvox_async.model import Call
from wolkvox_async.ports import (
    Claim,
    Clock,
    Closed,
    Granted,
    LastSlot,
    OpenRun,
    Place,
    Refusal,
    RunOrder,
    SlotKey,
    Taken,
    Unread,
)

from .diary import note
from .knowledge import HORIZON
from .leases import WISH_LASTS
from .looking import is_sound
from .memory_runs import MemoryRuns
from .names import NameIndex

_NEVER: Final = float("-inf")
_MANY: Final = 64  # questions of a token, before old ones are looked for


@dataclass(slots=True)
class _Token:
    """What everybody knows of a token; `uses` changes whenever that may have become more."""

    busy: float = 0.0
    holder: MemoryState | None = None
    uses: int = 0
    asked: dict[str, float] = field(default_factory=dict)
    refusal: Refusal | None = None
    refused_until: float = _NEVER
    wanted: dict[int, float] = field(default_factory=dict)  # by whom (a number), until when


@dataclass(slots=True)
class _Known:
    """What one state knows of a token, and how many uses ago."""

    uses: int
    asked: dict[str, float]
    used: bool = False
    current: bool = True


@dataclass(slots=True)
class _Shared:
    """What states that stand beside one another have in common."""

    tokens: dict[str, _Token] = field(default_factory=dict)
    runs: MemoryRuns = field(default_factory=MemoryRuns)
    names: NameIndex[str] = field(default_factory=NameIndex)
    slots: dict[SlotKey, LastSlot] = field(default_factory=dict)


class MemoryState:
    """The `State` and `Adopter` of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock: Final = clock
        self._shared = _Shared()
        self._known: Final[dict[str, _Known]] = {}
        self._armed: Final[dict[tuple[str, str], float]] = {}  # answered, and not settled yet
        self._closed = False

    def beside(self) -> MemoryState:
        """Return a state for another engine of this process."""
        another = MemoryState(self._clock)
        another._shared = self._shared
        return another

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- leases

    def claim(self, token: str) -> Claim:
        """Ask for `token`; raises `StateError` once closed."""
        self._check()
        shared = self._token(token)
        if shared.holder is not None:
            return Taken()
        if (left := shared.busy - self._clock.now()) > 0:
            return Closed(left)
        shared.holder = self
        shared.wanted.pop(id(self), None)
        known = self._known.get(token)
        if known is None:
            return Unread()
        known.current = known.uses == shared.uses
        known.used = False
        return Granted() if known.current else Unread()

    def want(self, token: str) -> None:
        """Let whoever has `token` know that it is waited for."""
        self._token(token).wanted[id(self)] = self._clock.now() + WISH_LASTS

    def is_wanted(self, token: str) -> bool:
        """Tell whether another waits for `token`."""
        shared = self._shared.tokens.get(token)
        if shared is None or not shared.wanted:
            return False
        now = self._clock.now()
        shared.wanted = {who: until for who, until in shared.wanted.items() if until > now}
        return any(who != id(self) for who in shared.wanted)

    def begin(self, token: str, hold: float) -> None:
        """Note, before anything is sent, that an attempt begins."""
        self._check()
        known = self._known.get(token)
        if known is None:
            raise UsageError("a token was claimed that nothing is known of: look before anything is sent")
        known.used = True
        self._token(token).busy = self._clock.now() + hold

    def end(self, token: str, at_work: float, pause: float) -> None:
        """Note that an attempt ended; see the port."""
        closed_for, shared = max(at_work, pause), self._token(token)
        if shared.holder is self:
            shared.busy = self._clock.now() + closed_for if closed_for > 0 else 0.0

    def release(self, token: str) -> None:
        """Give the token back."""
        shared, known = self._token(token), self._known.get(token)
        if shared.holder is not self:
            return
        shared.holder = None
        if known is not None and known.used:
            shared.uses += 1
            known.uses = shared.uses if known.current else known.uses
            known.used = False

    # --- knowledge

    async def look(self, tokens: Collection[str]) -> None:
        """Take in what is known of `tokens`."""
        self._check()
        for token in tokens:
            shared = self._token(token)
            known = self._known.setdefault(token, _Known(shared.uses, {}))
            for question, when in shared.asked.items():
                known.asked[question] = max(when, known.asked.get(question, _NEVER))
            # While another uses it, it may come to know more than this.
            known.uses = shared.uses if shared.holder in (None, self) else -1
            known.current = True

    def since(self, token: str, question: str) -> float | None:
        """Return how many seconds ago the last such request left that was answered, if that was within a day."""
        known = self._known.get(token)
        settled = known.asked.get(question, _NEVER) if known else _NEVER
        age = self._clock.now() - max(settled, self._armed.get((token, question), _NEVER))
        return age if age < HORIZON else None

    def arm(self, token: str, question: str, seconds_ago: float) -> None:
        """Note that a request which left so long ago was answered; tokens never looked at are passed over."""
        if token in self._known:
            when = self._clock.now() - seconds_ago
            self._armed[token, question] = max(when, self._armed.get((token, question), when))

    def disarm(self, token: str, question: str) -> None:
        """Undo `arm`: the answer will never be delivered."""
        self._armed.pop((token, question), None)

    def refusal(self, token: str) -> Refusal | None:
        """Return why nothing is to be sent with `token` at present."""
        shared = self._shared.tokens.get(token)
        if shared is None or shared.refusal is None:
            return None
        left = shared.refused_until - self._clock.now()
        return None if left <= 0 else Refusal(shared.refusal.kind, shared.refusal.message, left)

    def refuse(self, token: str, refusal: Refusal) -> None:
        """Note that the vendor refused `token`."""
        shared = self._token(token)
        shared.refusal, shared.refused_until = refusal, self._clock.now() + refusal.seconds

    async def forgive(self, tokens: Collection[str]) -> None:
        """Forget that they were refused."""
        self._check()
        for token in tokens:
            self._token(token).refusal = None

    def names(self, token: str) -> frozenset[int]:
        """Return the names that `token` is known by."""
        return self._shared.names.of(token)

    def is_anothers(self, token: str, names: Collection[int]) -> bool:
        """Tell whether another token is known by one of `names`."""
        return self._shared.names.is_anothers(token, names)

    def name(self, token: str, names: Collection[int]) -> None:
        """Note by which names `token` is known; tokens never looked at are passed over."""
        if token in self._known:
            self._shared.names.put(token, names)

    # --- runs

    async def open_run(self, order: RunOrder) -> OpenRun:
        """Begin or take up a run; raises `RunError`."""
        self._check()
        return self._shared.runs.open(order, self)

    def expect(self, run: str, calls: Collection[Call]) -> None:
        """Do nothing: nobody can ask afterwards."""

    def settle(
        self, run: str, marks: Sequence[Mark], position: int | None, done: Callable[[StateError | None], None]
    ) -> None:
        """Note that `marks` were delivered; `done` is called at once."""
        failure = StateError("the state was closed") if self._closed else None
        if failure is None:
            self._settle(run, marks)
            if position is not None:
                self._shared.runs.move(run, position)
        done(failure)

    def _settle(self, run: str, marks: Sequence[Mark]) -> None:
        self._shared.runs.count(run, marks, 1)
        for mark in marks:
            if mark.done:
                self._settle_asked(mark)

    def _settle_asked(self, mark: Mark) -> None:
        shared, known = self._token(mark.token), self._known.get(mark.token)
        when = self._clock.now() - max(self._clock.utc().timestamp() - mark.sent, 0.0)
        when = max(when, self._armed.pop((mark.token, mark.question), when))
        if known is not None:
            when = self._ask(known.asked, mark.question, when)
        self._ask(shared.asked, mark.question, when)
        if shared.holder is not self:
            shared.uses += 1

    def unsettle(self, run: str, marks: Sequence[Mark]) -> None:
        """Take `marks` back, which were settled."""
        self._shared.runs.count(run, marks, -1)
        for mark in marks:
            self._token(mark.token).asked.pop(mark.question, None)
            if (known := self._known.get(mark.token)) is not None:
                known.asked.pop(mark.question, None)

    async def close_run(self, run: str, *, complete: bool) -> None:
        """Let go of the run."""
        self._check()
        self._shared.runs.close(run, complete=complete)

    # --- slots

    async def last_slots(self) -> Mapping[SlotKey, LastSlot]:
        """Return the last slots that ended, of everything that was ever watched."""
        self._check()
        return self._shared.slots

    def note_slots(self, marks: Sequence[SlotMark]) -> None:
        """Note slots that ended."""
        note(self._shared.slots, marks)

    # --- outputs

    async def adopted(self, output: Place) -> int:
        """Return up to where `output` was read; 0 for a file that nobody knows."""
        self._check()
        return self._shared.runs.positions.get(output, 0)

    async def has_shrunk(self, output: Place, end: int) -> bool:  # noqa: ARG002 - the port's signature
        """Return False: no output is opened twice while the same memory lasts."""
        return False

    async def adopt(self, output: Place, marks: Iterable[Mark], end: int, *, shrunk: bool = False) -> int:  # noqa: ARG002
        """Take `marks` over; those that make no sense are passed over. Nothing is ever lost."""
        self._check()
        for mark in marks:
            if is_sound(mark):
                self._settle(mark.run, (mark,))
        self._shared.runs.place(output, end)
        return 0

    # --- the rest

    def note_servers(self, down: Mapping[str, float], short: Mapping[str, float]) -> None:
        """Do nothing: nobody can ask afterwards."""

    async def flush(self) -> None:
        """Do nothing: everybody knows everything at once."""
        self._check()

    async def close(self) -> None:
        """Give everything back; a token whose attempt has not ended stays closed as `begin` said."""
        if self._closed:
            return
        self._closed = True
        self._shared.runs.let_go(self)
        for token, shared in self._shared.tokens.items():
            if shared.holder is self:
                self.release(token)

    def _check(self) -> None:
        if self._closed:
            raise StateError("the state was closed")

    def _token(self, token: str) -> _Token:
        found = self._shared.tokens.get(token)
        if found is None:
            found = self._shared.tokens[token] = _Token()
        return found

    def _ask(self, asked: dict[str, float], question: str, when: float) -> float:
        if len(asked) >= _MANY:
            oldest = self._clock.now() - HORIZON
            for old in [old for old, moment in asked.items() if moment < oldest]:
                del asked[old]
        latest = asked[question] = max(when, asked.get(question, _NEVER))
        return latest
