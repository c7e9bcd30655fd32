"""How messages quote what somebody wrote, what is wrong with it, and what it may have been meant to be.

A message may be read by anybody, so whatever looks like a token is not quoted, wherever
it stands: people paste tokens into the wrong field. Control characters are escaped, for
terminals obey them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Final

LONGEST: Final = 200
"""How many characters a short text may have."""

_SHOWN: Final = 60
_COMPARED: Final = 60
_NOT_SHOWN: Final = "(not shown: it looks like a token)"
# The vendor's tokens are long lower-case hex; no name that people give has such a run, or changes so often
# between letters and digits. Others are made with dashes in between, from both cases.
_RUN: Final = re.compile(r"[0-9A-Za-z]{16,}")
_LONG_RUN: Final = 24
_WORD: Final = re.compile(r"[0-9A-Za-z_-]{16,}")
_LONG_WORD: Final = 24
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_CHANGE: Final = re.compile(r"(?<=[0-9])[A-Za-z]|(?<=[A-Za-z])[0-9]")
_MANY_CHANGES: Final = 4

_KINDS: Final[dict[type, str]] = {
    bool: "true or false",
    str: "text",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


def looks_like_a_token(text: str) -> bool:
    """Tell whether `text` holds what looks like a token: a long run of letters and digits, or a UUID."""
    return any(map(_holds_a_token, _WORD.findall(text)))


def is_a_token_by_looks(text: str) -> bool:
    """Tell whether `text` is nothing but that."""
    if _WORD.fullmatch(text) is None:
        return False
    return _UUID.fullmatch(text) is not None or _is_mixed(text) or (text.isalnum() and _is_random(text))


def without_tokens(text: str) -> str:
    """Return `text` with a remark in the place of every word that looks like a token."""
    return _WORD.sub(lambda found: _NOT_SHOWN if _holds_a_token(found.group()) else found.group(), text)


def _holds_a_token(word: str) -> bool:
    return _UUID.search(word) is not None or _is_mixed(word) or any(map(_is_random, _RUN.findall(word)))


def _is_random(run: str) -> bool:
    changes = len(_CHANGE.findall(run))
    return changes >= _MANY_CHANGES or (len(run) >= _LONG_RUN and changes > 0)


def _is_mixed(word: str) -> bool:
    has_both_cases = word not in (word.lower(), word.upper())
    return len(word) >= _LONG_WORD and has_both_cases and len(_CHANGE.findall(word)) >= _MANY_CHANGES


def shown(text: str) -> str:
    """Return `text` in quotes, escaped and cut, or say that it is better not shown."""
    if looks_like_a_token(text):
        return _NOT_SHOWN
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def complain_about_text(text: str, noun: str) -> str | None:
    """Return what is wrong with a short text that people read, or None."""
    if not text or text.isspace():
        return f"{noun} is empty"
    if len(text) > LONGEST:
        return f"{noun} has {len(text)} characters: at most {LONGEST} are allowed"
    if not text.isprintable():
        return f"{noun} {shown(text)} has characters that cannot be printed"
    if text != text.strip():
        return f"{noun} {shown(text)} begins or ends with a space"
    return None


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that `word` was probably meant to be, whatever its case."""
    folded = {choice[:_COMPARED].casefold(): choice for choice in choices}
    found = get_close_matches(word[:_COMPARED].casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return the end of a message that proposes the nearest choice, or nothing."""
    near = nearest(word, choices)
    return f": did you mean {shown(near)}?" if near is not None else ""


def kind_of(value: Any) -> str:
    """Name what `value` is in the words of somebody who writes JSON."""
    if value is None:
        return "null"
    return _KINDS.get(type(value), f"a {type(value).__name__}")
