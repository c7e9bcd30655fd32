"""How messages quote what somebody wrote, and what it may have been meant to be.

A message may be read by anybody, so whatever looks like a token is not quoted, wherever
it stands: people paste tokens into the wrong field. Control characters are escaped, for
terminals obey them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Final

_SHOWN: Final = 60
_COMPARED: Final = 60
# The vendor's tokens are long lower-case hex; no name that people give has such a run.
_TOKEN_LIKE: Final = re.compile(r"(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[0-9A-Za-z]{24,}")

_KINDS: Final[dict[type, str]] = {
    bool: "true or false",
    str: "text",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


def looks_like_a_token(text: str) -> bool:
    """Tell whether `text` holds a long run of letters and digits, as tokens are."""
    return _TOKEN_LIKE.search(text) is not None


def is_a_token_by_looks(text: str) -> bool:
    """Tell whether `text` is nothing but such a run."""
    return _TOKEN_LIKE.fullmatch(text) is not None


def shown(text: str) -> str:
    """Return `text` in quotes, escaped and cut, or say that it is better not shown."""
    if looks_like_a_token(text):
        return "(not shown: it looks like a token)"
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


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
