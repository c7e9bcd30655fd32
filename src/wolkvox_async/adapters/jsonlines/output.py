"""The `Sink` of the command line: records as lines, written by a thread of its own.

- One thread does every write, in the order of the calls. The first write starts it, and it
  is gone when the block ends.
- A write returns when the kernel has all of its bytes: nothing is held back, so
  `| jq` and `tail -f` are live.
- A failed output stays failed: nothing is ever written behind a gap.
- Cancelling a write never leaves half of it behind for a later one.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from wolkvox_async.errors import OutputError, UsageError

from .opening import named_output, standard_output
from .outlets import Outlet, given_up

STANDARD_OUTPUT: Final = "-"


def open_output(target: str | os.PathLike[str]) -> JsonLines:
    """Return the output called `target`, to be opened by `async with`; `-` is standard output."""
    return JsonLines(target)


class JsonLines:
    """A `Sink`, open for the length of an `async with` block.

    Opening raises `ConfigurationError` when the file cannot be opened (`OutputBusyError`:
    somebody else is writing to it) and `OutputError` when standard output is closed or
    the disk is full. Leaving the block waits for the writes in progress; leaving it by an
    exception or a cancellation aborts them.
    """

    __slots__ = ("_failure", "_outlet", "_target", "_thread")

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self._target = os.fspath(target)
        # None before and after the block.
        self._outlet: Outlet | None = None
        # One worker, so writes are in the order of the calls.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="wolkvox-output")
        # Set once, by the thread or by `abort`; never cleared.
        self._failure: OutputError | None = None

    async def __aenter__(self) -> Self:
        self._outlet = standard_output() if self._target == STANDARD_OUTPUT else named_output(self._target)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outlet = self._opened()
        if error is not None:
            self.abort()
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, _everything_before_is_done)
        finally:
            self.abort()
            self._outlet = None
            self._thread.shutdown()
            outlet.close()

    async def write(self, lines: bytes) -> None:
        """Deliver whole lines; when it returns, the kernel has them.

        Raises `OutputError` (`OutputClosedError`: the reader went away) when they cannot be
        delivered, and the same error for every later write. When cancelled, lines whose
        writing has not begun are withdrawn; a writing that has begun goes on to its end in
        the thread, ahead of any later one.
        """
        outlet = self._opened()
        self._check()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._deliver, outlet, lines)

    def abort(self) -> None:
        """Give up a reader that stands still; later writes fail.

        To be called in the event loop's thread, as often as one likes. A write in progress
        fails before its next line; inside a line only when nobody reads the rest and part
        of it is gone already: a line longer than `PIPE_BUF`, or any on a terminal or socket.
        On a regular file it is completed.
        """
        if self._outlet is not None and self._failure is None:
            self._failure = given_up(self._outlet.name)
            self._outlet.abort()

    def _opened(self) -> Outlet:
        if self._outlet is None:
            raise UsageError("the output is not open: use it inside its `async with` block")
        return self._outlet

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure.with_traceback(None)

    def _deliver(self, outlet: Outlet, lines: bytes) -> None:
        self._check()
        try:
            outlet.write(lines)
        except OutputError as failure:
            self._failure = failure
            raise


def _everything_before_is_done() -> None:
    """Do nothing, in turn."""
