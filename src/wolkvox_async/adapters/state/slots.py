"""Until when each token is closed: 32 bytes per token in a file that every process maps.

    0   busy    double   CLOCK_MONOTONIC seconds until which nobody may use the token
    8   stamp   uint64   changes with every use; odd while one is going on
    16  why     uint8    what `busy` stands for
    17  token   6 bytes  the token's id, so that a wrong slot shows

Only who holds a token's lock changes its slot (`shake` excepted). What is written here
costs a microsecond and stays when the process is killed: nothing has to be recovered.
Whoever gets the lock next reads until when the token is closed, and by the stamp whether
what it knows of the token is still true. A stamp is never used twice, so it does not
matter who writes last.

An odd stamp says that a holder may know more than the database does; one who died
leaves it behind. So nothing that was read under an odd stamp by another counts.

The file is allocated before it is mapped, so that a full disk is an error and no signal.
After a boot it is written anew.
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path
from typing import Final

from wolkvox_async.errors import StateError

START: Final = 4096
SIZE: Final = 32
LONGEST_BUSY: Final = 86_400.0
"""Seconds beyond which no token is closed here; what is read beyond it is damage."""

NEVER_USED: Final = 0
"""The stamp of a new slot."""

_MAGIC: Final = b"wvlease1"
_SPOILT: Final = b"damaged!"
_HEADER: Final = struct.Struct("<8s16sdd")  # magic, pair, until when new slots are closed, the longest hold
_BORN: Final = struct.Struct("<d")
_BORN_AT: Final = 24
_LONGEST_AT: Final = 32
_SLOT: Final = struct.Struct("<dQB6s")
_USE: Final = struct.Struct("<dQB")
_READ: Final = struct.Struct("<dQ")
_STAMP: Final = struct.Struct("<Q")
_BUSY: Final = struct.Struct("<d")
_GROWTH: Final = 4096  # slots
_BLOCK: Final = 1 << 16
_MODE: Final = 0o600
_STAMP_BITS: Final = 62


class Why(IntEnum):
    """What a token's `busy` stands for."""

    NOTHING = 0
    IN_FLIGHT = 1  # an attempt began and has not ended
    AT_WORK = 2  # an attempt ended, and the vendor may be at work on it still
    UNKNOWN = 3  # a call may have been lost in a crash of the machine, or with a damaged file
    PAUSE = 4  # an attempt ended, and so much time is to pass before the next


_IN_FLIGHT: Final = int(Why.IN_FLIGHT)


class Slots:
    """The mapped file. Its size changes in the state's thread only; old mappings stay valid."""

    __slots__ = ("_descriptor", "_map", "_path")

    def __init__(self, path: Path, *, readable_only: bool = False) -> None:
        """Map the file at `path`; raises `OSError`, and `ValueError` when it is none of ours."""
        self._path: Final = path
        flags = os.O_RDONLY if readable_only else os.O_RDWR
        self._descriptor: Final = os.open(path, flags | os.O_CLOEXEC)
        try:
            self._map = _recognised(self._descriptor, readable_only=readable_only)
        except BaseException:
            os.close(self._descriptor)
            raise

    @property
    def pair(self) -> bytes:
        """What tells that the file belongs to a database."""
        return self._map[8:24]

    @property
    def capacity(self) -> int:
        """How many slots the mapping has."""
        return (len(self._map) - START) // SIZE

    @property
    def longest(self) -> float:
        """The longest hold that was ever given to `begin`, in seconds."""
        return float(_BUSY.unpack_from(self._map, _LONGEST_AT)[0])

    @longest.setter
    def longest(self, seconds: float) -> None:
        _BUSY.pack_into(self._map, _LONGEST_AT, seconds)

    def is_pristine(self) -> bool:
        """Tell whether no token ever had a slot, and new ones are open."""
        return self.token(1) == 0 and float(_BUSY.unpack_from(self._map, _BORN_AT)[0]) == 0

    def is_sound(self, tokens: Iterable[tuple[int, int]], now: float) -> bool:
        """Tell whether all `tokens` (slot, token) have their entries, closed until a time that can be `now`."""
        latest, room = now + LONGEST_BUSY, self.capacity
        born = float(_BORN.unpack_from(self._map, _BORN_AT)[0])
        # What is no number is within no bounds.
        return 0 <= born <= latest and all(
            slot < room and self.token(slot) == token and 0 <= self.read(slot)[0] <= latest for slot, token in tokens
        )

    def read(self, slot: int) -> tuple[float, int]:
        """Return until when the token is closed, and its stamp."""
        found: tuple[float, int] = _READ.unpack_from(self._map, START + slot * SIZE)
        return found

    def why(self, slot: int) -> Why:
        """Return what the closure stands for."""
        number = self._map[START + slot * SIZE + 16]
        return Why(number) if number <= max(Why) else Why.UNKNOWN

    def token(self, slot: int) -> int:
        """Return the number of the token whose slot it is."""
        at = START + slot * SIZE + 17
        return int.from_bytes(self._map[at : at + 6])

    def find(self, token: int) -> int | None:
        """Return the token's slot by looking through all: for tokens that nobody looked up in the database."""
        wanted = token.to_bytes(6)
        at = self._map.find(wanted, START)
        while at >= 0:
            slot, rest = divmod(at - START - 17, SIZE)
            if rest == 0:
                return slot
            at = self._map.find(wanted, at + 1)
        return None

    def begin(self, slot: int, until: float, stamp: int) -> None:
        """Note that an attempt begins: the token is in use, and closed `until` then should nothing more be heard."""
        _USE.pack_into(self._map, START + slot * SIZE, until, stamp | 1, _IN_FLIGHT)

    def end(self, slot: int, until: float, stamp: int, why: Why) -> None:
        """Note that an attempt ended, and that the token is closed `until` then (0: not at all)."""
        _USE.pack_into(self._map, START + slot * SIZE, until, stamp | 1, why)

    def sign(self, slot: int, stamp: int) -> None:
        """Note that a use is over, and all that came of it is in the database."""
        _STAMP.pack_into(self._map, START + slot * SIZE + 8, stamp)

    def shake(self, slot: int, stamp: int) -> None:
        """Note, for a token that need not be ours, that what others know of it is no longer true."""
        _STAMP.pack_into(self._map, START + slot * SIZE + 8, stamp | 1)

    def place(self, tokens: Iterable[tuple[int, int]]) -> None:
        """Fill new slots (slot, token), closed as long as the file says; raises `OSError`.

        To be called inside the transaction that hands the slots out.
        """
        busy = float(_BORN.unpack_from(self._map, _BORN_AT)[0])
        why = Why.UNKNOWN if busy else Why.NOTHING
        for slot, token in tokens:
            if slot >= self.capacity:
                self._grow(slot)
            _SLOT.pack_into(self._map, START + slot * SIZE, busy, NEVER_USED, why, token.to_bytes(6))

    def reach(self, slot: int) -> bool:
        """Have the mapping reach `slot`, which others made; False when the file is too short for it."""
        if slot >= self.capacity:
            self._map = _mapped(self._descriptor)
        return slot < self.capacity

    def _grow(self, slot: int) -> None:
        allocate(self._descriptor, START + (slot // _GROWTH + 1) * _GROWTH * SIZE)
        self._map = _mapped(self._descriptor)

    def spoil(self) -> StateError:
        """Mark the file as damaged, so that whoever opens the folder next makes it anew; returns what to raise."""
        self._map[:8] = _SPOILT
        return StateError(f"the lease file is damaged: {self._path}: run again, and it is made anew")

    def close(self) -> None:
        """Close the file and its mapping."""
        self._map.close()
        os.close(self._descriptor)


def fresh_stamp() -> int:
    """Return a stamp that was never used, by chance."""
    return secrets.randbits(_STAMP_BITS) & ~1


def write_slots(path: Path, pair: bytes, tokens: Iterable[tuple[int, int]], busy: float, longest: float) -> None:
    """Make a lease file anew in which all `tokens`, and those to come, are closed until `busy`; raises `OSError`."""
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
    try:
        allocate(descriptor, START + _GROWTH * SIZE)
        os.pwrite(descriptor, _HEADER.pack(_MAGIC, pair, busy, longest), 0)
    finally:
        os.close(descriptor)
    slots = Slots(fresh)
    try:
        slots.place(tokens)
    finally:
        slots.close()
    fresh.replace(path)


def read_longest(path: Path) -> float:
    """Return the longest hold that a lease file, damaged or not, gives away; 0 when it gives none."""
    try:
        with path.open("rb") as file:
            _, _, _, longest = _HEADER.unpack(file.read(_HEADER.size))
    except (OSError, struct.error):
        return 0.0
    return float(longest) if 0 < longest <= LONGEST_BUSY else 0.0


def allocate(descriptor: int, size: int) -> None:
    """Have the file be at least `size` bytes long, with every one of them on the disk; raises `OSError`."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    while (end := os.fstat(descriptor).st_size) < size:
        os.pwrite(descriptor, bytes(min(_BLOCK, size - end)), end)


def _recognised(descriptor: int, *, readable_only: bool) -> mmap.mmap:
    mapped = _mapped(descriptor, readable_only=readable_only)
    if len(mapped) < START or mapped[:8] != _MAGIC:
        raise ValueError("this is no lease file")
    return mapped


def _mapped(descriptor: int, *, readable_only: bool = False) -> mmap.mmap:
    access = mmap.ACCESS_READ if readable_only else mmap.ACCESS_WRITE
    return mmap.mmap(descriptor, 0, access=access)
