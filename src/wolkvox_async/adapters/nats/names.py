"""How keys and tokens are spelled in the broker, where a subject has dots, and no blanks and wildcards.

    p.17                stands as it is: letters, digits, '_', '-', and dots between them
    a key of a person   a=20key=20of=20a=20person: as soon as anything else occurs, all else
                        is written as bytes of UTF-8, dots too

What is written has a '=' if and only if it had to be, so no two names are spelled alike.
"""

from __future__ import annotations

import re
from typing import Final

_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_PART: Final = re.compile(r"[A-Za-z0-9_-]+")
_OTHER: Final = re.compile(rb"[^A-Za-z0-9_-]")
_WRITTEN: Final = re.compile(rb"=([0-9A-F]{2})")
_EMPTY: Final = "="


def key_subject(key: str) -> str:
    """Spell a key."""
    return key if _PLAIN.fullmatch(key) else _spelled(key)


def token_subject(token: str) -> str:
    """Spell a token id: one part of a subject."""
    return token if _PART.fullmatch(token) else _spelled(token)


def name_of(subject: str) -> str:
    """Return what was spelled."""
    if "=" not in subject:
        return subject
    return "" if subject == _EMPTY else _WRITTEN.sub(_read, subject.encode()).decode()


def _spelled(name: str) -> str:
    return _OTHER.sub(lambda found: b"=%02X" % found[0][0], name.encode()).decode() or _EMPTY


def _read(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode())
