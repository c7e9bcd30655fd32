"""What a token waits for, in words: for people in the language that is spoken, for programs in English.

Each sentence says what to do, where there is something to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .languages import translated
from .standing import Reason, Wait

_SENTENCES: Final[Mapping[Reason, str]] = {
    Reason.REFUSED: (
        "refused by the vendor ({kind}): put a valid token where its reference points, then fetch with --retry-refused"
    ),
    Reason.QUOTA: "its quota is used up: it is called again when a new day begins, or ask wolkvox for a larger quota",
    Reason.IN_FLIGHT: "in use: a call is in flight, or its answer is being delivered",
    Reason.LOST_CALL: (
        "a process died in the middle of a call, and the vendor may still be at work on it: it opens by itself"
    ),
    Reason.SERVER_LIMIT: "the vendor may still be at work on a call that was given up (--server-limit)",
    Reason.TOKEN_GAP: "the pause between two calls of a token (--token-gap)",
    Reason.CIRCUIT: "server {server} does not answer: it is probed again then (if that lasts, ask wolkvox)",
    Reason.INTERVAL: "{endpoint} is due next (--interval)",
    Reason.RETRIES: (
        "run {run} has not come to it yet: what failed is tried again by then, because server {server} has failed so "
        "often that its retries are used up for now"
    ),
    Reason.SLOT: "run {run} has not come to it yet: it takes its turn (--max-in-flight)",
    Reason.NOTHING: "nothing: it may be called now, so fetch",
}
_MAY_BE_LOST: Final = "a call may have been lost when the machine or the state folder broke down: it opens by itself"


def sentence(wait: Wait) -> str:
    """Say to a person what a token waits for."""
    if wait.is_guess:
        return translated(_MAY_BE_LOST)
    return translated(_SENTENCES[wait.reason], **wait.facts)


def message(wait: Wait) -> str:
    """Say the same to programs: in English, whatever language is spoken."""
    return _MAY_BE_LOST if wait.is_guess else _SENTENCES[wait.reason].format(**wait.facts)
