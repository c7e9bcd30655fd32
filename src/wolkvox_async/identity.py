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

_DIGITS: Final = 16  # behind the time
_BYTE_TO_DIGIT: Final = _ALPHABET.encode() * 8  # its low five bits


def ulid(milliseconds: int, chance: int) -> str:
    """Return the id for a Unix time in milliseconds and 80 bits of chance."""
    number = (milliseconds << _CHANCE_BITS) | (chance & ((1 << _CHANCE_BITS) - 1))
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def call_id(run: str, parts: Iterable[str]) -> str:
    """Return the id of the call that `parts` describe within `run`."""
    # With the lengths before them, other parts never make the same text.
    asked = "".join([f"{len(part)}:{part}" for part in parts])
    digest = hashlib.blake2b(f"{run} {asked}".encode(), digest_size=_DIGITS).digest()
    return run[:10] + digest.translate(_BYTE_TO_DIGIT).decode()
