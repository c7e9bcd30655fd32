"""An event loop in virtual time: a month of waiting in minutes, the same every time.

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())

`time()` stands still while anything is ready, and jumps to the next timer when nothing is.
Callbacks run in an order that follows from the program alone:

- What threads hand over waits until nothing else is ready, and until all threads are done
  that somebody answers for in `busy`: the loop does for `run_in_executor`, and whoever
  starts others adds a function that tells whether they are at work. Only then time goes on.
  So a thread takes no time, however slow it is, and never meets a loop that is half-way.
- There are no sockets: they would be ready when they please.

When nothing is ready, no timer is set and no thread is at work, nothing will ever happen
again: that is an error, and not a wait.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import Context
from typing import Any, Final, TypeAlias

START: Final = 1_000.0
"""What `time()` begins with, in seconds."""

_RECHECK: Final = 0.001  # real seconds, as the next one
_PATIENCE: Final = 60.0
_THREADS: Final = 4

_Arrival: TypeAlias = tuple[asyncio.Handle, Callable[..., object], tuple[Any, ...], Context | None]


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs callbacks as any loop does, and waits for nobody but threads."""

    def __init__(self, start: float = START) -> None:
        """Begin at `start` seconds."""
        self.seconds = start  # what `time()` returns, for those who ask often
        self._arrivals: Final[deque[_Arrival]] = deque()
        self._arrived: Final = threading.Event()
        self._jobs: Final[set[Future[Any]]] = set()
        self._executor: Executor | None = None
        self.busy: Final[list[Callable[[], bool]]] = []
        """Each tells whether a thread is at work that has not handed everything over yet."""
        super().__init__(_Leaper(self._idle))

    def time(self) -> float:
        """Return the virtual seconds."""
        return self.seconds

    def skip(self, seconds: float) -> None:
        """Let `seconds` go by in which nothing runs: timers that come due meanwhile are late."""
        self.seconds += seconds

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Have `callback` called once nothing else is ready and all threads are done."""
        if self.is_closed():
            raise RuntimeError("the virtual loop is closed")
        handle = asyncio.Handle(callback, args, self, context)
        self._arrivals.append((handle, callback, args, context))
        self._arrived.set()
        return handle

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run `func` in a thread; no virtual time passes meanwhile."""
        job = (executor or self._threads()).submit(func, *args)
        self._jobs.add(job)
        future = asyncio.wrap_future(job, loop=self)
        job.add_done_callback(self._jobs.discard)  # called behind the one that hands the result over
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109
        """End the threads, however long they take: a `timeout` (seconds) would be over at once."""
        await super().shutdown_default_executor()

    def _threads(self) -> Executor:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(_THREADS, "virtual-loop")
            self.set_default_executor(self._executor)  # so closing the loop ends it
        return self._executor

    def _idle(self, seconds: float | None) -> None:
        """Admit what threads handed over, or let time go on: nothing is ready for `seconds` to come."""
        if seconds is None or self._jobs or self.busy:
            self._wait(is_over=seconds is None)
        if not self._arrivals:
            self.seconds += seconds or 0.0
            return
        while self._arrivals:
            handle, callback, args, context = self._arrivals.popleft()
            if not handle.cancelled():
                self.call_soon(callback, *args, context=context)

    def _wait(self, *, is_over: bool) -> None:
        """Wait for threads that are at work; where everything `is_over`, until one of which we know nothing says so."""
        waited = 0.0
        while self._jobs or any(busy() for busy in self.busy) or (is_over and not self._arrivals):
            if waited >= _PATIENCE and not self._arrivals:
                raise RuntimeError("nothing is ready, no timer is set and no thread says anything: it would never end")
            self._arrived.clear()
            self._arrived.wait(_RECHECK)
            waited += _RECHECK


class _Leaper(selectors.SelectSelector):
    """Waits for nothing: `idle` is told when the loop would. It takes in the loop's own pipe, and nothing else."""

    def __init__(self, idle: Callable[[float | None], None]) -> None:
        super().__init__()
        self._idle: Final = idle

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Take in the loop's own pipe."""
        if self.get_map():
            raise RuntimeError("there are no sockets in virtual time: bring a transport that needs none")
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return nothing, and at once as far as the real clock goes."""
        if timeout is None or timeout > 0:
            self._idle(timeout)
        return []
