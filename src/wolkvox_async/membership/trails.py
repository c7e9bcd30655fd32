"""Ids of messages, each of which says what it stands on.

A message is told by its writer's session and a number that grows with every message of that
session. Its id, the *trail*, names itself first and then the last message of each other
session that wrote of the token: `s2.7 s1.40`. Whoever writes on top of a message has read it,
and hands its trail on.

So a writer who does not know whether its message was stored finds out from the last message
alone, also when somebody else has meanwhile written on top of it: a session writes one message
of a token at a time, so all it wrote up to the number that the trail names has been stored.
A trail names the last four other sessions. A token would have to pass through more of
them while one message is without an answer for that to be too few.
"""

from __future__ import annotations

from typing import Final

OTHERS: Final = 4
"""Sessions that a trail names besides the writer's own."""


def trail(session: str, number: int, others: str) -> str:
    """Return the id of a message that stands on `others`, as `others_of` returned them."""
    return f"{session}.{number}{others}"


def others_of(trail: str, session: str) -> str:
    """Return what a message that `session` writes on top of the one called `trail` has to hand on."""
    words = [word for word in trail.split() if _session(word) != session]
    return "".join([f" {word}" for word in words[:OTHERS]])


def contains(trail: str, session: str, number: int) -> bool:
    """Tell whether the message `number` of `session` is the one called `trail`, or one that it stands on."""
    return any(_session(word) == session and int(word[len(session) + 1 :]) >= number for word in trail.split())


def _session(word: str) -> str:
    return word.rpartition(".")[0]
