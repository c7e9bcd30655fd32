"""The `Sink` of the command line: records as lines, written by a thread of its own.

- One thread opens the output and does every write, in the order of the calls. It is gone
  when the block ends.
- A write returns when the kernel has all of its bytes: nothing is held back, so
  `| jq` and `tail -f` are live. Where the output is durable and a regular file, it returns when
  the disk has them; each write has an fsync of its own, so write much at a time.
- A failed output stays failed: nothing is ever written behind a gap.
- Cancelling a write never leaves half of it behind for a later one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from wolkvox_async.errors import OutputError, UsageError
from wolkvox_async.marks import Mark, read_mark

from .marks import marks
from .opening import named_output, standard_output
from .outlets import Outlet, given_up
from .places import Place

STANDARD_OUTPUT: Final = "-"


def open_output(target: str | os.PathLike[str], *, durable: bool = False) -> JsonLines:
    """Return the output called `target`, to be opened by `async with`; `-` is standard output.

    `durable`: what was written to a regular file survives a power cut as well as a killed process.
    (Where a shell redirected standard output to a new file, its name is up to the shell.)
    """
    return JsonLines(target, durable=durable)


class JsonLines:
    """A `Sink`, open for the length of an `async with` block.

    Opening a named file cuts what a killed writer left: a line without its end, then rows
    without their `call` record.

    It raises `ConfigurationError` when the file cannot be opened or is no file of ours
    (`OutputBusyError`: somebody else is writing to it), which leaves it untouched, and
    `OutputError` when standard output is closed, the disk is full or an fsync failed.
    Leaving the block waits for the writes in progress; leaving it by an exception or a
    cancellation aborts them.
    """

    __slots__ = ("_durable", "_failure", "_outlet", "_target", "_thread")

    def __init__(self, target: str | os.PathLike[str], *, durable: bool = False) -> None:
        self._target = os.fspath(target)
        self._durable = durable
        # None before and after the block.
        self._outlet: Outlet | None = None
        # One worker, so writes are in the order of the calls.
        self._thread = _one_thread()
        # Set once, by the thread or by `abort`; never cleared.
        self._failure: OutputError | None = None

    async def __aenter__(self) -> Self:
        opening = self._thread.submit(self._open)
        try:
            self._outlet = await asyncio.wrap_future(opening)
        except BaseException:
            # An opening that has begun is waited for, cancelled or not, so that nothing stays open.
            self._thread.shutdown()
            self._thread = _one_thread()  # it may be tried again
            if not opening.cancelled() and opening.exception() is None:
                opening.result().close()
            raise
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

    @property
    def is_stream(self) -> bool:
        """Whether delivery ends with the write: a pipe, socket, terminal or device, not a regular file."""
        return self._opened().is_stream

    @property
    def place(self) -> Place | None:
        """Which file this is; None for streams, and for standard output wherever it goes."""
        return self._opened().place

    @property
    def position(self) -> int | None:
        """Where the file ended when it was opened or, since then, after the last write, in bytes.

        None where `place` is: what a shell redirected is not ours to take up again.
        """
        return self._opened().position

    async def write(self, lines: bytes) -> int | None:
        """Deliver whole lines; when it returns, the kernel (if durable: the disk) has them.

        Returns the new `position`. A file that was renamed, deleted or replaced meanwhile is
        still the one written to; one that was truncated is appended to at its new end.

        Raises `OutputError` (`OutputClosedError`: the reader went away) when they cannot be
        delivered, and the same error for every later write. When cancelled, lines whose
        writing has not begun are withdrawn; a writing that has begun goes on to its end in
        the thread, ahead of any later one.
        """
        outlet = self._opened()
        self._check()
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._deliver, outlet, lines)

    def marks_from(self, start: int) -> Iterator[Mark]:
        """Yield the marks of the calls that the named file holds from `start` on; as `marks`."""
        place, end = self.place, self.position
        if place is not None and end is not None:
            found = (read_mark(line) for line in marks(place, start, end))
            yield from (mark for mark in found if mark is not None)

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

    def _open(self) -> Outlet:
        if self._target == STANDARD_OUTPUT:
            return standard_output(durable=self._durable)
        return named_output(self._target, durable=self._durable)

    def _opened(self) -> Outlet:
        if self._outlet is None:
            raise UsageError("the output is not open: use it inside its `async with` block")
        return self._outlet

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure.with_traceback(None)

    def _deliver(self, outlet: Outlet, lines: bytes) -> int | None:
        self._check()
        try:
            return outlet.write(lines)
        except OutputError as failure:
            self._failure = failure
            raise


def _one_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="wolkvox-output")


def _everything_before_is_done() -> None:
    """Do nothing, in turn."""
