"""The board as JSON for programs: `/status.json` and `/operation.json`, schema 1. Pure.

Times are UTC as in records, `null` where there is none. Within a schema number fields are
only added. Whoever reads it ignores those that he does not know.

    /status.json      schema, version, run, since (the watch began), at, query, shown (operations that fit the query),
                      cluster {...} | null, operations [...], totals {...}
    an operation      key, tenant, operation, server, token (its id), timezone, condition (the worst of its endpoints),
                      closed {kind, until} | null, watched [...]
    an endpoint of it api, interval (seconds), condition, last {at, outcome, items, rows, seconds, error} | null,
                      read_at (last ok or empty), next_due, waits_for (reason of a gap) | null, in_flight,
                      gaps {month, total, by_reason {...}, closing, latest [{slot, reason, closing}]},
                      closings [{month, slot, at, taken, reason}]
    totals            operations, watched, conditions {...}, late (watched and not fresh or pending), in_flight,
                      calls {ok, empty, failed}, rows, gaps {reason: number}, closings {taken, missed, open_misses}
    cluster           null without --join; partitions, ours, nobody (partitions that no machine has),
                      workers [{id, name, able, partitions}], unstored (calls and gaps), stuck (tokens),
                      current (the store answers)

`/operation.json?key=` is one operation, and of each endpoint also
`history {at [Unix seconds], ending [ok, empty, failed or the reason of a gap], items [...]}`, the oldest first.

Big boards are told piece by piece: whoever sends them lets others run in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from wolkvox_async import __version__
from wolkvox_async.fields import timestamp

from .board import Board, Outlook, Post
from .conditions import SEVERITY, Condition, condition
from .machines import document
from .tracks import REASONS, Closing, Gap, Gaps, Track

SCHEMA: Final = 1
AT_A_TIME: Final = 50  # operations in a piece

_WELL: Final = frozenset({Condition.FRESH, Condition.PENDING})


@dataclass(slots=True)
class Sums:
    """What the endpoints of a board come to, counted on the way through it."""

    watched: int = 0
    in_flight: int = 0
    open_misses: int = 0
    conditions: dict[Condition, int] = field(default_factory=lambda: dict.fromkeys(Condition, 0))

    @property
    def late(self) -> int:
        """How many are neither fresh nor pending."""
        return sum(count for condition, count in self.conditions.items() if condition not in _WELL)


def status(board: Board, now: int, query: str = "") -> Iterator[bytes]:
    """Yield the whole board in pieces of JSON; of its operations only those that fit all words of `query`."""
    sums, words, shown = Sums(), query.casefold().split(), 0
    told = head(board, now) | {"query": query or None, "cluster": document(board.cluster)}
    yield _open(told) + b',"operations":['
    posts = list(board.posts.values())
    for start in range(0, len(posts), AT_A_TIME):
        pieces = []
        for post in posts[start : start + AT_A_TIME]:
            one = operation(board, post, now, sums)
            if _fits(one, words):
                pieces.append(orjson.dumps(one))
        yield (b"," if shown and pieces else b"") + b",".join(pieces)
        shown += len(pieces)
    yield b'],"shown":%d,"totals":' % shown + orjson.dumps(totals(board, sums)) + b"}"


def head(board: Board, now: int) -> dict[str, Any]:
    """Return what a document begins with."""
    since = None if board.started is None else _at(board.started)
    return {"schema": SCHEMA, "version": __version__, "run": board.run, "since": since, "at": _at(now)}


def totals(board: Board, sums: Sums) -> dict[str, Any]:
    """Return what the whole board comes to."""
    seen = board.totals
    return {
        "operations": len(board.posts),
        "watched": sums.watched,
        "conditions": {condition.value: count for condition, count in sums.conditions.items()},
        "late": sums.late,
        "in_flight": sums.in_flight,
        "calls": {"ok": seen.ok, "empty": seen.empty, "failed": seen.failed},
        "rows": seen.rows,
        "gaps": {reason.value: seen.gaps[reason] for reason in REASONS},
        "closings": {
            "taken": seen.closings_taken,
            "missed": seen.closings_missed,
            "open_misses": sums.open_misses,
        },
    }


def operation(board: Board, post: Post, now: int, sums: Sums) -> dict[str, Any]:
    """Return an operation, and count what it comes to."""
    place = post.place
    watched = [_watched(board, post, track, now, sums) for track in post.tracks]
    shut = None if post.shut is None or post.shut.until <= now else post.shut
    return {
        "key": post.key,
        "tenant": _text(place.tenant),
        "operation": _text(place.operation),
        "server": place.server,
        "token": place.token,
        "timezone": place.timezone,
        "condition": min((told["condition"] for told in watched), key=lambda one: SEVERITY[Condition(one)]),
        "closed": None if shut is None else {"kind": shut.kind.value, "until": _at(shut.until)},
        "watched": watched,
    }


def detail(board: Board, post: Post, now: int) -> dict[str, Any]:
    """Return an operation with the slots of each of its endpoints."""
    told = operation(board, post, now, Sums())
    for watched, track in zip(told["watched"], post.tracks, strict=True):
        watched["history"] = history(track)
    return head(board, now) | told


def history(track: Track) -> dict[str, Any]:
    """Return the last slots of `track`, the oldest first, and how many there ever were."""
    slots = list(track.history)
    return {
        "count": track.history.count,
        "at": [slot.at for slot in slots],
        "ending": [slot.ending for slot in slots],
        "items": [slot.items for slot in slots],
    }


def _watched(board: Board, post: Post, track: Track, now: int, sums: Sums) -> dict[str, Any]:
    ahead = board.outlook(track)
    stands = condition(track, ahead.waits, now)
    sums.watched += 1
    sums.conditions[stands] += 1
    sums.in_flight += ahead.in_flight
    sums.open_misses += track.closing_missed
    return {
        "api": track.api,
        "interval": track.interval / 1000,
        "condition": stands.value,
        "last": _last(track),
        "read_at": _at(track.good_at),
        **_ahead(ahead),
        "gaps": _gaps(board.gaps(post, track, now), board.months.of(post.place.timezone, now).name),
        "closings": [_closing(closing) for closing in track.closings],
    }


def _last(track: Track) -> dict[str, Any] | None:
    if track.at is None:
        return None
    kind = track.error_kind
    return {
        "at": _at(track.at),
        "outcome": track.outcome,
        "items": track.items,
        "rows": track.rows,
        "seconds": round(track.seconds, 3),
        "error": None if kind is None else {"kind": kind.value, "message": _text(track.error_message)},
    }


def _ahead(ahead: Outlook) -> dict[str, Any]:
    waits = None if ahead.waits is None else ahead.waits.value
    return {"next_due": _at(ahead.due), "waits_for": waits, "in_flight": ahead.in_flight}


def _gaps(gaps: Gaps | None, month: str) -> dict[str, Any]:
    latest = [] if gaps is None else gaps.latest()
    return {
        "month": month,
        "total": 0 if gaps is None else gaps.total,
        "by_reason": {} if gaps is None else gaps.by_reason(),
        "closing": gaps is not None and gaps.closing,
        "latest": [_gap(gap) for gap in latest],
    }


def _gap(gap: Gap) -> dict[str, Any]:
    return {"slot": _at(gap.due), "reason": gap.reason.value, "closing": gap.closing}


def _closing(closing: Closing) -> dict[str, Any]:
    return {
        "month": closing.month,
        "slot": _at(closing.due),
        "at": _at(closing.taken),
        "taken": closing.taken is not None,
        "reason": closing.trouble,
    }


def _fits(told: dict[str, Any], words: Iterable[str]) -> bool:
    text = " ".join(
        [told["tenant"], told["operation"], told["server"], told["token"], told["condition"]]
        + [f"{watched['api']} {watched['condition']} {watched['waits_for'] or ''}" for watched in told["watched"]]
    ).casefold()
    return all(word in text for word in words)


def _at(moment: int | None) -> str | None:
    return None if moment is None else timestamp(datetime.fromtimestamp(moment / 1000, UTC))


def _text(text: str) -> str:
    # What is no Unicode text (half of a pair) cannot be sent as UTF-8.
    return text.encode("utf-8", "replace").decode()


def _open(told: dict[str, Any]) -> bytes:
    return orjson.dumps(told)[:-1]
