"""Identities: 26 characters that sort by time (ULID, Crockford's base 32).

A run's id is time and chance. A call's id is the run's time and a digest of what the
call asks for, so it stays the same when a run is resumed and needs to be remembered
nowhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CHANCE_BITS: Final = 80

_TIME: Final = 10  # digits
_TIME_BITS: Final = 48
_DIGITS: Final = 16  # behind the time
_BYTE_TO_DIGIT: Final = _ALPHABET.encode() * 8  # its low five bits


def ulid(milliseconds: int, chance: int) -> str:
    """Return the id for a Unix time in milliseconds and 80 bits of chance."""
    number = (milliseconds << _CHANCE_BITS) | (chance & ((1 << _CHANCE_BITS) - 1))
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def moment(ulid: str) -> int:
    """Return the Unix time in milliseconds that an id begins with; raises `ValueError` for what is none."""
    milliseconds = 0
    for sign in ulid[:_TIME]:
        milliseconds = milliseconds * len(_ALPHABET) + _ALPHABET.index(sign)
    if milliseconds >> _TIME_BITS:
        raise ValueError(f"{ulid!r} is the id of no time")
    return milliseconds


def call_id(run: str, parts: Iterable[str]) -> str:
    """Return the id of the call that `parts` describe within `run`."""
    return CallIds(run).of("".join([spelled(part) for part in parts]))


def spelled(part: str) -> str:
    """Write one of the parts that describe a call, so that other parts never make the same text."""
    return f"{len(part)}:{part}"


class CallIds:
    """The ids of the calls of a run; whoever makes many spells what they share once."""

    __slots__ = ("_digest", "_time")

    def __init__(self, run: str) -> None:
        self._time: Final = run[:_TIME]
        self._digest: Final = hashlib.blake2b(f"{run} ".encode(), digest_size=_DIGITS)

    def of(self, parts: str) -> str:
        """Return the id of the call that `parts`, spelled one after the other, describe."""
        digest = self._digest.copy()
        digest.update(parts.encode())
        return self._time + digest.digest().translate(_BYTE_TO_DIGIT).decode()
