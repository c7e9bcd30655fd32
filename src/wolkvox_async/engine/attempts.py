"""Making one attempt, and judging what became of it.

What goes wrong inside an attempt costs that call alone: an exception that a transport
should not have let out ends as a failed attempt, not as the end of all workers.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

from wolkvox_async.classify import classify, error
from wolkvox_async.model import WITHHELD, Answer, AttemptOutcome, Breakdown, Call, ErrorKind, Failed
from wolkvox_async.ports import Clock, Turn

from .closing import Span, closing
from .doubt import NOT_AS_BEFORE, OF_ANOTHER, Heard, names_of
from .permits import Met, Permits, met

T = TypeVar("T")


class Interruptible:
    """Has `task` be among `workers` for the length of a block."""

    __slots__ = ("_task", "_workers")

    def __init__(self, workers: set[asyncio.Task[object]], task: asyncio.Task[object]) -> None:
        self._workers: Final = workers
        self._task: Final = task

    def __enter__(self) -> None:
        self._workers.add(self._task)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._workers.discard(self._task)


class Attempts:
    """Makes attempts, until they are abandoned; `server_limit` in seconds."""

    def __init__(self, permits: Permits, clock: Clock, server_limit: float) -> None:
        self._permits: Final = permits
        self._clock: Final = clock
        self._server_limit: Final = server_limit
        self._workers: Final[set[asyncio.Task[object]]] = set()  # whose waiting may be interrupted
        self._is_abandoned = False

    def abandon(self) -> None:
        """Give up what is in flight, now and from now on; it ends as failed."""
        self._is_abandoned = True
        while self._workers:
            self._workers.pop().cancel()

    def interruptible(self) -> Interruptible:
        """Let `abandon` interrupt what this task waits for inside the block: attempts and rests, nothing else."""
        return Interruptible(self._workers, _current_task())

    async def meet(self, turn: Turn, heard: Heard, call: Call) -> Met | None:
        """Make an attempt at `call`, whose token we hold; None when it may not be made any more."""
        started = self._clock.now()
        self._permits.begin(call)
        attempted: Answer | Breakdown
        try:
            attempted = self._given_up() if self._is_abandoned else await turn.attempt(call)
        except asyncio.CancelledError:
            if not self._is_abandoned:
                raise
            _current_task().uncancel()
            attempted = self._given_up()
        except Exception as defect:  # noqa: BLE001 - a transport of the host may raise anything: it costs one call
            turn.distrust()
            attempted = Breakdown(ErrorKind.PROTOCOL, _confess(defect), self._clock.now())
        if attempted is WITHHELD:
            self._permits.withhold(call)
            return None
        span = Span(started, self._clock.now(), self._clock.utc())
        outcome = _judge(attempted, span.at)
        if isinstance(attempted, Answer) and (doubt := self._doubt(heard, call, outcome, kept=attempted.kept)):
            turn.distrust()
            heard.forget()
            # The true answer may be on its way still, so the vendor may be at work on it.
            attempted = Breakdown(ErrorKind.PROTOCOL, doubt, span.ended)
            outcome = _judge(attempted, span.at)
        closed = closing(call.operation, attempted, outcome, span, server_limit=self._server_limit)
        result = met(attempted, outcome, span, closed)
        self._permits.end(call, result)
        return result

    def _doubt(self, heard: Heard, call: Call, outcome: AttemptOutcome, *, kept: bool) -> str | None:
        """Return why an answer, on a connection that was `kept` or not, is not to be believed."""
        if not kept:
            heard.forget()
        elif heard.just_heard(call.operation.path, outcome):
            return None
        names = names_of(outcome)
        if heard.doubts(call.operation.path, names):
            return NOT_AS_BEFORE
        return OF_ANOTHER if self._permits.doubts(call, names, kept=kept) else None

    def _given_up(self) -> Breakdown:
        # The request may have left just now.
        return Breakdown(ErrorKind.STOPPING, "stopped before the answer was complete", self._clock.now())

    async def wait(self, wait: Callable[[], Awaitable[T]]) -> T | None:
        """Return what `wait` comes to; None once everything was abandoned."""
        try:
            return None if self._is_abandoned else await wait()
        except asyncio.CancelledError:
            if not self._is_abandoned:
                raise
            _current_task().uncancel()
            return None


def _current_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    if task is None:
        raise AssertionError("a worker is a task")
    return task


def _judge(met: Answer | Breakdown, at: datetime) -> AttemptOutcome:
    try:
        return classify(met, now=at)
    except Exception as defect:  # noqa: BLE001 - an answer that breaks the table costs one call
        return Failed(error(ErrorKind.MALFORMED, _confess(defect)))


def _confess(defect: Exception) -> str:
    # Its text may hold what was sent or answered; where it happened does not.
    *_, (frame, line) = traceback.walk_tb(defect.__traceback__)
    return f"a defect of this program: {type(defect).__name__} at {Path(frame.f_code.co_filename).name}:{line}"
