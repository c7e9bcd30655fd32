"""Whether a token may be used now, and what everybody is told about its use.

Three things of the state come together here: the lease of the token (nobody else uses
it, and no lost call of it can be at work), the pace (what was asked a moment ago is not
asked again) and what the vendor said of the token (refused, quota used up).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import inf
from typing import Final

from wolkvox_async.classify import error
from wolkvox_async.model import Answer, AttemptOutcome, Breakdown, Call, ErrorKind, Failed
from wolkvox_async.ports import Clock, Refusal, State
from wolkvox_async.scheduling.rounds import grace
from wolkvox_async.scheduling.skipping import CLOSING

from .admission import GO, Verdict, admission
from .closing import OPEN, Closing, Span, sent_at
from .doubt import Known
from .holding import Holder


@dataclass(frozen=True, slots=True)
class Terms:
    """Times in seconds.

    An attempt that nothing more is heard of closes its token for `hold`; `token_gap` is the
    pause behind every attempt; a call that is due within `wait` is waited for. `shared`
    says that a kept connection may serve any token of its server, so that answers are
    compared with what others of their token, and of other tokens, called its operations.
    """

    hold: float = 70.0
    token_gap: float = 0.0
    wait: float = 10.0
    shared: bool = False

    def wait_for(self, call: Call) -> float:
        """Return how long `call` waits until it is due: in a slot a moment only, and a closing reading in any case."""
        if call.slot is None:
            return self.wait
        return inf if call.slot.closing else grace(call.interval)


@dataclass(slots=True)
class Met:
    """What became of an attempt; `size` of its answer's body in bytes."""

    outcome: AttemptOutcome
    span: Span
    closing: Closing
    sent_at: float
    size: int


def met(attempted: Answer | Breakdown, outcome: AttemptOutcome, span: Span, closing: Closing) -> Met:
    """Put together what became of an attempt."""
    size = len(attempted.body) if isinstance(attempted, Answer) else 0
    return Met(outcome, span, closing, sent_at(attempted, span), size)


class Permits:
    """Asks the state, and tells it."""

    def __init__(self, state: State, clock: Clock, terms: Terms) -> None:
        self._state: Final = state
        self._clock: Final = clock
        self._terms: Final = terms
        self.holder: Final = Holder(state)
        self._known: Final = Known(state) if terms.shared else None

    async def look(self, token: str) -> None:
        """Read what others have done with the token; raises `StateError`."""
        await self._state.look((token,))

    def refusal(self, call: Call) -> tuple[Failed, float] | None:
        """Return how the vendor refused the token of `call`, and until when (monotonic seconds) that counts.

        That its quota is used up keeps nobody from a closing reading.
        """
        refusal = self._state.refusal(call.operation.token.id)
        if refusal is None or (refusal.kind is ErrorKind.QUOTA and call.is_closing):
            return None
        return Failed(error(refusal.kind, refusal.message)), self._clock.now() + refusal.seconds

    def verdict(self, call: Call) -> Verdict:
        """Tell whether the call's pace allows it."""
        if not (call.paced and call.interval):
            return GO
        since = self._state.since(call.operation.token.id, call.question)
        if since is None:
            return GO
        return admission(call, since, wait=self._terms.wait_for(call), now=self._clock.utc)

    def doubts(self, call: Call, names: Collection[str], *, kept: bool) -> bool:
        """Tell whether an answer that calls its operation `names`, on a `kept` connection, is another token's."""
        return self._known is not None and self._known.doubts(call.operation.token.id, names, kept=kept)

    def begin(self, call: Call) -> None:
        """Note that an attempt at `call` begins."""
        self._state.begin(call.operation.token.id, self._terms.hold)

    def withhold(self, call: Call) -> None:
        """Note that the attempt at `call` was not made after all."""
        self._state.end(call.operation.token.id, 0.0, 0.0)

    def end(self, call: Call, met: Met) -> None:
        """Note how an attempt ended, and what it says of the token and the pace."""
        token, now = call.operation.token.id, met.span.ended
        at_work = 0.0 if met.closing is OPEN else max(met.closing.at_work_until - now, 0.0)
        self._state.end(token, at_work, self._terms.token_gap)
        outcome = met.outcome
        if not isinstance(outcome, Failed):
            self._state.arm(token, call.question, now - met.sent_at)
        elif (failure := outcome.error).kind in CLOSING:
            self._state.refuse(token, Refusal(failure.kind, failure.message, met.closing.refused_until - now))
