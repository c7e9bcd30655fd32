"""The `State` and the `Desk` of a child's engine: leases from the board, knowledge from the stream.

- A token may be used while the board permits its partition for as long as a call may take, and
  nothing of the token is stuck. It is asked when a token's turn begins, and again right before
  a request leaves (`may_send`).
- What the engine delivers leaves as parts, one for each call or gap: its lines, and what is known of
  its token from then on. A call is settled when its part is stored for everybody.
- What the vendor refuses, and what it calls an operation, goes with the token's next part.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wolkvox_async.adapters.state import MemoryState
from wolkvox_async.clustering.messages import Entry, Refused, TokenState, merge
from wolkvox_async.counters import Counters
from wolkvox_async.errors import StateError
from wolkvox_async.marks import CUT, Mark, SlotMark, slot_mark
from wolkvox_async.model import Call, Empty, ErrorKind, Ok, Skipped
from wolkvox_async.planning import cut_question
from wolkvox_async.ports import Claim, Clock, Closed, Granted, OpenRun, Refusal, RunOrder, Taken, Unread
from wolkvox_async.settlements import Gap, Item, Settlement

from .asked import Asked
from .board import LeaseBoard
from .fitting import fitting
from .post import Outgoing
from .tenancies import Tenancies, Tenancy


@dataclass(frozen=True, slots=True)
class Ground:
    """What a state stands on: a call takes `seconds` at most, margin included; `boot` is the board's clock.

    A message of the stream has at most `largest` bytes.
    """

    board: LeaseBoard
    boot: Callable[[], float]
    clock: Clock
    seconds: float
    partitions: int
    largest: int = 1 << 20
    forgives: bool = False  # what others were refused counts here all the same, or does not


class JoinedState:
    """One engine's."""

    def __init__(self, ground: Ground, outgoing: Outgoing) -> None:
        inner = MemoryState(ground.clock)
        self.tenancies: Final = Tenancies(ground.partitions)
        self.asked: Final = Asked(ground.clock)
        self.run: OpenRun | None = None  # the one that all machines have in common, if there is one
        self.counters: Final = Counters()
        self.is_taking = False  # what the engine delivers is not all sent yet
        self._ground: Final = ground
        self._outgoing: Final = outgoing
        self._inner: Final = inner
        self._stuck: Final[set[str]] = set()
        self._shut: Final[dict[str, float]] = {}  # tokens, until when (monotonic seconds)
        self._claimed: Final[dict[str, Tenancy]] = {}
        self._begun: Final[dict[str, float]] = {}  # tokens with an attempt under way, and how long it may last
        self._besides: Final[dict[str, TokenState]] = {}  # to go with a token's next part
        self.look: Final = inner.look
        self.refusal: Final = inner.refusal
        self.forgive: Final = inner.forgive
        self.names: Final = inner.names
        self.is_anothers: Final = inner.is_anothers
        self.last_slots: Final[Callable[[], Any]] = inner.last_slots
        self.note_slots: Final = inner.note_slots
        self.note_servers: Final = inner.note_servers
        self.since: Final = self.asked.since
        self.arm: Final = self.asked.arm
        self.disarm: Final = self.asked.disarm

    # --- leases

    def holds(self, token: str) -> bool:
        """Tell whether the partition of a token is ours, and not being given back."""
        tenancy = self.tenancies.of(token)
        return tenancy is not None and not tenancy.is_finishing

    def may_send(self, token: str) -> bool:
        """Tell whether a request that leaves now is certain to be over before the lease is."""
        ground = self._ground
        return token not in self._stuck and ground.board.may_begin(
            self.tenancies.partition(token), ground.boot(), ground.seconds
        )

    def claim(self, token: str) -> Claim:
        """Ask for `token`."""
        tenancy = self.tenancies.of(token)
        if tenancy is None or tenancy.is_finishing or not self.may_send(token):
            return Taken()
        if self._shut and (seconds := self._shut.get(token, 0.0) - self._ground.clock.now()) > 0:
            return Closed(seconds)
        claim = self._inner.claim(token)
        if isinstance(claim, Granted | Unread):
            tenancy.claimed += 1
            self._claimed[token] = tenancy
        return claim

    def want(self, token: str) -> None:
        """Do nothing: a partition is given back when another machine is to have it."""

    def is_wanted(self, token: str) -> bool:  # noqa: ARG002 - the port's signature
        """Return False: nobody else may use what is ours."""
        return False

    def begin(self, token: str, hold: float) -> None:
        """Note that an attempt begins."""
        self._inner.begin(token, hold)
        self._begun[token] = self._ground.clock.now() + hold

    def end(self, token: str, at_work: float, pause: float) -> None:
        """Note that an attempt ended."""
        self._inner.end(token, at_work, pause)
        self._begun.pop(token, None)
        if at_work:
            self._at_work(token, self._ground.clock.now() + at_work)

    def release(self, token: str) -> None:
        """Give the token back."""
        if (until := self._begun.pop(token, None)) is not None:
            self._at_work(token, until)
        self._inner.release(token)
        self._claimed.pop(token).claimed -= 1

    def _at_work(self, token: str, until: float) -> None:
        tenancy = self._claimed[token]
        tenancy.at_work_until = max(tenancy.at_work_until, until)

    # --- from the parent

    async def learn(self, token: str, state: TokenState) -> None:
        """Take in what is known of a token."""
        await self._inner.look((token,))
        for question, sent in state.asked.items():
            self.asked.learn(token, question, sent)
        if (
            state.refused is not None
            and not self._ground.forgives
            and (left := state.refused.until - self._ground.clock.utc().timestamp()) > 0
        ):
            self._inner.refuse(token, Refusal(ErrorKind(state.refused.kind), state.refused.message, left))
        if state.names:
            self._inner.name(token, state.names)
        self._inner.note_slots(_marks(state))

    def stuck(self, token: str, *, is_stuck: bool) -> None:
        """Take in whether the store has no room for what is known of a token."""
        (self._stuck.add if is_stuck else self._stuck.discard)(token)

    def shut(self, token: str, until: float) -> None:
        """Use a token no sooner than that (Unix seconds)."""
        left = until - self._ground.clock.utc().timestamp()
        self._shut[token] = max(self._shut.get(token, 0.0), self._ground.clock.now() + left)

    # --- what is known of tokens

    def refuse(self, token: str, refusal: Refusal) -> None:
        """Note that the vendor refused `token`."""
        self._inner.refuse(token, refusal)
        until = self._ground.clock.utc().timestamp() + refusal.seconds
        self._add(token, TokenState(refused=Refused(refusal.kind.value, refusal.message, until)))

    def name(self, token: str, names: Collection[int]) -> None:
        """Note by which names `token` is known."""
        self._inner.name(token, names)
        self._add(token, TokenState(names=frozenset(names)))

    def _add(self, token: str, state: TokenState) -> None:
        known = self._besides.get(token)
        self._besides[token] = state if known is None else merge(known, state)

    # --- the desk

    async def take(self, run: str, items: Sequence[Item]) -> None:
        """Send what ended to the parent, when there is room for it."""
        self.is_taking = True
        try:
            await self._outgoing.room()
            parts = [self._part(run, item) for item in items if not self._is_left_to_others(item)]
            touched = {tenancy for (partition, _), _ in parts if (tenancy := self.tenancies.get(partition)) is not None}
            if parts:
                self._outgoing.send(parts, list(touched))
        finally:
            self.is_taking = False

    async def say(self, run: str, line: bytes) -> None:
        """Send a record of the run as a whole; of a common one the parents tell."""
        if self.run is None:
            self._outgoing.say(run, line)

    def _is_left_to_others(self, item: Item) -> bool:
        return (
            isinstance(item, Settlement)
            and isinstance(item.outcome, Skipped)
            and item.outcome.error.kind is ErrorKind.STOPPING
        )

    def _part(self, run: str, item: Item) -> tuple[tuple[int, str], Entry]:
        item, lines = fitting(run, item, self._ground.largest)
        if isinstance(item, Gap):
            operation = item.operation
        else:
            operation = item.call.operation
            self.counters.count(item)
        token = operation.token.id
        partition, slot = self.tenancies.partition(token), slot_mark(item)
        state = TokenState(_asked(item))
        if slot is not None:
            state = state.with_slots((slot,))
        if (besides := self._besides.pop(token, None)) is not None:
            state = merge(state, besides)
        return (partition, token), Entry("", self.tenancies.epoch(partition), state, lines)

    # --- the ledger

    async def open_run(self, order: RunOrder) -> OpenRun:
        """Begin a run, or take part in the one that all have in common."""
        return self.run or OpenRun(order.id, order.at)

    def expect(self, run: str, calls: Collection[Call]) -> None:
        """Do nothing: others see what was called, not what will be."""

    def settle(
        self,
        run: str,  # noqa: ARG002 - the port's signature
        marks: Sequence[Mark],
        position: int | None,  # noqa: ARG002 - as above
        done: Callable[[StateError | None], None],
    ) -> None:
        """Have `done` called when what was taken last is stored for everybody."""
        for mark in marks:
            if mark.done:
                self.asked.settle(mark.token, mark.question, mark.sent)
            if mark.outcome == CUT:
                self.asked.settle(mark.token, cut_question(mark.question), mark.sent)
        self._outgoing.settle(done)

    def unsettle(self, run: str, marks: Sequence[Mark]) -> None:
        """Do nothing: what was handed to the parent is stored, or this program ends."""

    async def close_run(self, run: str, *, complete: bool) -> None:
        """Do nothing: the parent knows when a run is over."""

    async def flush(self) -> None:
        """Return when everything told so far is stored for everybody."""
        await self._outgoing.flush()

    async def close(self) -> None:
        """Do nothing: partitions are given back one by one."""


def _asked(item: Item) -> dict[str, float]:
    if isinstance(item, Gap) or not isinstance(item.outcome, Ok | Empty):
        return {}
    sent = item.at.timestamp() - item.ago
    asked = {item.call.question: sent}
    if item.cut_id is not None:
        asked[cut_question(item.call.question)] = sent
    return asked


def _marks(state: TokenState) -> list[SlotMark]:
    """Return the slots that are known of as marks, of each subject the last closing one first."""
    marks = []
    for key, times in state.slots.items():
        if times.closing is not None:
            marks.append(SlotMark(*key, times.closing, closing=True))
        marks.append(SlotMark(*key, times.due))
    return marks
