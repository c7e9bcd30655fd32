"""Which planned calls a pass would not make now, from what a state folder knows. Pure.

As in the engine, whose `admission` decides here too: a token that was refused, or whose quota
is used up, is not called at all; what was asked of a token and answered is not asked again
before its interval is over, and `fetch` waits for that for `--wait` seconds at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from wolkvox_async.adapters.state import Survey
from wolkvox_async.engine.admission import GO, Go, Later, admission
from wolkvox_async.fields import timestamp
from wolkvox_async.model import Call, ErrorKind, Skipped

from .languages import translated


@dataclass(frozen=True, slots=True)
class Outlook:
    """A planned call: from when on it may be made (None: now), and why a pass would skip it."""

    call: Call
    due: datetime | None = None
    skipped: Literal["not_due", "held", "quota"] | None = None


def outlooks(calls: Iterable[Call], known: Survey | None, *, wait: float, now: datetime) -> list[Outlook]:
    """Return what a pass at `now` (UTC) would do with `calls`; `wait` in seconds."""
    if known is None:
        return [Outlook(call) for call in calls]
    since: dict[tuple[str, str], float] = {}
    for last in known.calls:
        if last.since is not None:
            key = (last.token, last.question)
            since[key] = min(last.since, since.get(key, last.since))
    return [_outlook(call, known, since, wait, now) for call in calls]


def _outlook(call: Call, known: Survey, since: dict[tuple[str, str], float], wait: float, now: datetime) -> Outlook:
    token = known.tokens.get(call.operation.token.id)
    if token is not None and (refusal := token.refusal) is not None:
        kind: Literal["quota", "held"] = "quota" if refusal.kind is ErrorKind.QUOTA else "held"
        return Outlook(call, now + timedelta(seconds=refusal.seconds), kind)
    asked = since.get((call.operation.token.id, call.question))
    match GO if asked is None else admission(call, asked, wait=wait, now=lambda: now):
        case Go():
            return Outlook(call)
        case Later(seconds=seconds):
            return Outlook(call, now + timedelta(seconds=seconds))
        case Skipped(due=due):
            return Outlook(call, due, "not_due")


def in_words(found: Sequence[Outlook], *, wait: float) -> list[str]:
    """Say which calls a pass would skip, and which it would wait for."""
    lines = []
    for kind, why in (
        ("not_due", translated("not due within --wait {wait:g} s (--interval)", wait=wait)),
        ("quota", translated("held, because the quota of their tokens is used up")),
        ("held", translated("held, because the vendor refused their tokens (--retry-refused)")),
    ):
        ends = [one.due for one in found if one.skipped == kind and one.due is not None]
        if len(ends) == 1:
            lines.append(
                translated("1 call would be skipped: {why}, the last until {until}", why=why, until=_last(ends))
            )
        elif ends:
            said = "{calls} calls would be skipped: {why}, the last until {until}"
            lines.append(translated(said, calls=len(ends), why=why, until=_last(ends)))
    ends = [one.due for one in found if one.skipped is None and one.due is not None]
    if len(ends) == 1:
        lines.append(translated("1 call would be waited for (--wait), the last until {until}", until=_last(ends)))
    elif ends:
        said = "{calls} calls would be waited for (--wait), the last until {until}"
        lines.append(translated(said, calls=len(ends), until=_last(ends)))
    return lines


def _last(moments: Sequence[datetime]) -> str:
    return timestamp(max(moments))
