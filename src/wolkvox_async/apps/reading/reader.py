"""Reading as a program: store, output, signals, and how it ends.

What comes next is asked for while what came is being written. At the end, and whenever
something ends it before, the next sequence is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from wolkvox_async.adapters import nats
from wolkvox_async.adapters.jsonlines import JsonLines, open_output
from wolkvox_async.apps.exits import Exit, of_signal
from wolkvox_async.apps.languages import translated
from wolkvox_async.apps.signals import Reactions, StopSignals
from wolkvox_async.errors import OutputClosedError, OutputError, StoreUnavailableError, one_line
from wolkvox_async.ports import Message, Store

from .stream import Stream
from .targets import File, Pipe, Target

T = TypeVar("T")

STANDARD_OUTPUT: Final = "-"
_POLLS: Final = (0.05, 1.0)  # seconds between two looks for something new: at first, and at most
_PATIENCE: Final = 60.0  # seconds for which whoever does not follow waits for a broker
_STANDSTILL: Final = 0.6  # seconds after a signal until an output that takes nothing is given up
_AGAIN: Final = 0.5


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be read, from the sequence `first` on (None: where the output is), and where to."""

    settings: nats.NatsSettings
    output: str = STANDARD_OUTPUT
    first: int | None = None
    follow: bool = False
    durable: bool = False


class _StoppedError(Exception):
    """A signal came."""


@dataclass(slots=True)
class Reader:
    """One reading; `say` tells the person something."""

    order: Order
    say: Callable[[str], None]
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    gave_up: bool = False  # the output: it took nothing after a signal

    async def run(self) -> Exit:
        """Read until the end, or a signal.

        Raises `ConfigurationError` where the output is not what it should be, and `StateError` where the store is
        not, or does not answer.
        """
        try:
            async with open_output(self.order.output, durable=self.order.durable) as sink:
                reactions = Reactions(self.stopping.set, lambda: self._give_up(sink), lambda: self._give_up(sink))
                with StopSignals(reactions, _STANDSTILL) as signals:
                    try:
                        await self._with(sink)
                    except _StoppedError:
                        pass
                    except OutputError:
                        if not self.gave_up:
                            raise
                    return Exit.OK if signals.received is None else of_signal(signals.received)
        except OutputClosedError:
            return Exit.OUTPUT
        except OutputError as error:
            self._say(str(error))
            return Exit.OUTPUT

    async def _with(self, sink: JsonLines) -> None:
        target = await self._target(sink)
        store = await self._unless_stopped(self._opened())
        try:
            await self._read(store, target)
        finally:
            self._tell(target.place.sequence + 1)
            await store.close()

    async def _target(self, sink: JsonLines) -> Target:
        order = self.order
        if sink.place is None:
            return Pipe(sink, order.first, self._tell, is_standard=order.output == STANDARD_OUTPUT)
        file = await File.open(sink, sink.place.path, order.first, durable=order.durable)
        if file.place.sequence and not file.place.size and order.first is None:
            said = "{file} is empty: going on behind message {sequence}, as its bookmark says"
            self._say(translated(said, file=order.output, sequence=file.place.sequence))
        return file

    def _give_up(self, sink: JsonLines) -> None:
        self.gave_up = True
        sink.abort()

    async def _opened(self) -> Store:
        """Return the store; who follows waits until it answers."""
        told = False
        while True:
            try:
                return await nats.NatsStore.open(replace(self.order.settings, makes=False))
            except StoreUnavailableError as error:
                if not self.order.follow:
                    raise
                if not told:
                    self._say(translated("waiting: {error}", error=error))
                told = True
            await asyncio.sleep(_AGAIN)

    async def _read(self, store: Store, target: Target) -> None:
        stream = Stream(store, self._say, None if self.order.follow else _PATIENCE)
        stream.go_to(target.place.sequence, target.place.digest)
        last = None if self.order.follow else await self._unless_stopped(stream.last())
        reached, pause, coming = target.place.sequence, _POLLS[0], asyncio.create_task(stream.following())
        try:
            while last is None or reached < last:
                messages = await self._unless_stopped(coming)
                if not messages:
                    target.rest()
                    await self._unless_stopped(asyncio.sleep(pause))
                    pause = min(2 * pause, _POLLS[1])
                    coming = asyncio.create_task(stream.following())
                    continue
                coming = asyncio.create_task(stream.following())
                reached, pause = messages[-1].sequence, _POLLS[0]
                await target.take(_up_to(last, messages))
        finally:
            await _ended(coming)

    async def _unless_stopped(self, work: Coroutine[Any, Any, T] | asyncio.Task[T]) -> T:
        """Return what `work` returns; raises `_StoppedError` if a signal comes first, or came before."""
        task = asyncio.ensure_future(work)
        stop = asyncio.create_task(self.stopping.wait())
        try:
            if not self.stopping.is_set():
                await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
                if task.done():
                    return task.result()
            raise _StoppedError
        finally:
            await _ended(stop)
            await _ended(task)

    def _tell(self, sequence: int) -> None:
        self._say(f"next: --from {sequence}")  # in all languages: whoever starts a reader may be a program

    def _say(self, line: str) -> None:
        with suppress(OSError):  # nobody may be reading standard error any more, either
            self.say(one_line(line))


def _up_to(last: int | None, messages: Sequence[Message]) -> Sequence[Message]:
    return messages if last is None else [message for message in messages if message.sequence <= last]


async def _ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task that is not done, and wait for it; how it ends is of no interest."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
