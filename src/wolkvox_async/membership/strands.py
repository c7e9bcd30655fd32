"""The messages of one token: what the last one says, which one is on its way, what waits to become one.

- One message at a time is without an answer. It stays as it is, byte for byte, until it is known
  whether it was stored: its id then tells it from all others, whenever it was written.
- What comes meanwhile waits, and is one message when its turn comes, up to a size.
- A message is written on top of the last one that we know of, and says all that is known then. Where
  there is another by now, what both say is merged, and ours is written on top of that.
- A slot ends once. Where another machine has told of it, because ours seemed to be gone, our records of
  it come too late and are left out: what is known of the token is merged all the same.

An idle token costs about 500 bytes besides what is remembered of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final, TypeAlias

from wolkvox_async.clustering.messages import Entry, TokenState
from wolkvox_async.errors import StateError, UsageError
from wolkvox_async.ports import Append, Message

from .remembered import Remembered
from .trails import contains, others_of, trail

LARGEST: Final = 524_288
"""Bytes of record lines that are put together in a message; what comes in one part is never taken apart."""

Done: TypeAlias = Callable[[StateError | None], None]


@dataclass(slots=True)
class Part:
    """What a call leaves behind: what it adds to the state of its token, and its record lines.

    `epoch` is that of the lease under which it was made; `done` is called once it is stored, or
    never will be.
    """

    epoch: int
    state: TokenState
    lines: bytes
    done: Done


class Writer:
    """Who writes: a session that nobody else has ever had; `prune` leaves out of a state what is over."""

    def __init__(self, session: str, prune: Callable[[TokenState], TokenState]) -> None:
        self.session: Final = session
        self.prune: Final = prune
        self.superseded = 0  # parts whose records came too late
        self._numbers: Final = count(1)

    def number(self) -> int:
        """Return a number for a message; each is higher than the one before."""
        return next(self._numbers)


class Shelf:
    """The tokens of a partition, as far as they are known."""

    __slots__ = ("is_held", "partition", "strands", "unstored")

    def __init__(self, partition: int) -> None:
        self.partition: Final = partition
        self.is_held = False  # else tokens are forgotten as soon as nothing of them is unstored
        self.strands: Final[dict[str, Strand]] = {}
        self.unstored = 0  # parts


class _Sent:
    """A message that is on its way."""

    __slots__ = ("number", "parts", "payload")

    def __init__(self, number: int, parts: Sequence[Part]) -> None:
        self.number: Final = number
        self.parts: Final = parts
        self.payload = b""


class Strand:
    """One token's."""

    __slots__ = ("_known", "_others", "_sent", "_waiting", "is_queued", "sequence", "shelf", "token")

    def __init__(self, shelf: Shelf, token: str) -> None:
        self.shelf: Final = shelf
        self.token: Final = token
        self.is_queued = False  # to be sent, or on its way
        self._known: Final = Remembered()  # what is on its way included
        self.sequence = 0  # of the last message that we know of
        self._others = ""  # those of other sessions that it stands on
        self._waiting: list[Part] | None = None
        self._sent: _Sent | None = None

    @property
    def waits(self) -> bool:
        """Whether there is something for a message after the one that is on its way."""
        return self._waiting is not None

    def known(self) -> TokenState:
        """Return what is known of the token, what is on its way included."""
        return self._known.copy()

    def learn(self, message: Message, writer: Writer) -> None:
        """Take in the last message there is; where one is on its way, it is compared when it conflicts."""
        entry = Entry.decode(message.payload)
        self._known.add(entry.state)
        if self._sent is None:
            self._stand_on(message.sequence, entry.id, writer)

    def wait(self, part: Part) -> None:
        """Have `part` be in one of the next messages."""
        if self._waiting is None:
            self._waiting = [part]
        else:
            self._waiting.append(part)

    def append(self, writer: Writer) -> Append:
        """Return the message that is on its way, or one of what waits."""
        sent = self._sent or self._compose(writer)
        return Append(self.shelf.partition, self.token, self.sequence, sent.payload)

    def stored(self, sequence: int) -> Sequence[Part]:
        """Take in that the message was stored; return what was in it."""
        self.sequence = sequence
        return self._settled(self._on_its_way())

    def compare(self, last: Message | None, writer: Writer) -> Sequence[Part] | None:
        """Compare ours with the last message there is; return what was in ours if it is that one, or beneath it.

        Else return None: ours is made anew, to be written on top of it, or to be the first.
        """
        sent = self._on_its_way()
        if last is None:
            self.sequence = 0
        else:
            entry = Entry.decode(last.payload)
            self._known.add(entry.state)
            self._stand_on(last.sequence, entry.id, writer)
            if contains(entry.id, writer.session, sent.number):
                return self._settled(sent)
            for part in sent.parts:
                _leave_out(part, entry.state, writer)
        self._write(sent, writer)
        return None

    def drop(self) -> list[Part]:
        """Give up what is not stored, and return it."""
        parts = [*(self._sent.parts if self._sent is not None else ()), *(self._waiting or ())]
        self._sent = self._waiting = None
        return parts

    def _on_its_way(self) -> _Sent:
        if self._sent is None:
            raise UsageError("a message that was not sent has no outcome")
        return self._sent

    def _settled(self, sent: _Sent) -> Sequence[Part]:
        self._sent = None
        return sent.parts

    def _stand_on(self, sequence: int, name: str, writer: Writer) -> None:
        self.sequence = sequence
        self._others = others_of(name, writer.session)

    def _compose(self, writer: Writer) -> _Sent:
        parts = self._take()
        for part in parts:
            _leave_out(part, self._known.state(), writer)
            self._known.add(part.state)
        self._known.prune(writer.prune)
        self._sent = _Sent(writer.number(), parts)
        self._write(self._sent, writer)
        return self._sent

    def _take(self) -> list[Part]:
        """Take of what waits as much as makes a message."""
        waiting, size = self._waiting or [], 0
        for taken, part in enumerate(waiting):
            size += len(part.lines)
            if taken and size > LARGEST:
                self._waiting = waiting[taken:]
                return waiting[:taken]
        self._waiting = None
        return waiting

    def _write(self, sent: _Sent, writer: Writer) -> None:
        name = trail(writer.session, sent.number, self._others)
        parts = sent.parts
        lines = parts[0].lines if len(parts) == 1 else b"".join([part.lines for part in parts])
        sent.payload = Entry(name, parts[-1].epoch, self._known.state(), lines).encode()


def _leave_out(part: Part, known: TokenState, writer: Writer) -> None:
    """Leave out the records of a part that ends only slots which are known to have ended."""
    slots = part.state.slots
    if (
        slots
        and part.lines
        and all(key in known.slots and times.due <= known.slots[key].due for key, times in slots.items())
    ):
        part.lines = b""
        writer.superseded += 1
