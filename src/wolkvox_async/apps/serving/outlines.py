"""The board as the page reads it: what one line and one square need, as arrays. Pure.

This is between the server and its own page, and may change from version to version;
programs read `/status.json`. Names that many have in common stand in a table once. Times
are Unix seconds. A line is

    number, at, outcome, items, rows, read_at, error kind, gap (why the last slot captured nothing),
    next due, waits for, 1 if in flight, gaps of the month {reason: number} | null,
    the latest closing reading [month, 1 if taken, reason] | null, slots so far,
    the last slot [at, ending, items] | null
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

import orjson

from .board import Board, Post
from .documents import head
from .machines import document
from .tracks import Track

AT_A_TIME: Final = 125  # operations in a piece


class Names:
    """A table of names; asking for the number of a new one adds it."""

    def __init__(self) -> None:
        self._numbers: Final[dict[str, int]] = {}

    def number(self, name: str) -> int:
        """Return the number of `name`."""
        return self._numbers.setdefault(name, len(self._numbers))

    def listed(self) -> list[str]:
        """Return the names, by number."""
        return [name.encode("utf-8", "replace").decode() for name in self._numbers]


Tables: TypeAlias = dict[str, Names]


def outline(board: Board, now: int, mark: str) -> Iterator[bytes]:
    """Yield the board in pieces; whoever has it follows the stream from `mark` on."""
    names = {"tenants": Names(), "servers": Names(), "apis": Names(), "zones": Names()}
    posts = list(board.posts.values())
    whole = {"mark": mark, "totals": totals(board), "cluster": document(board.cluster)}
    yield orjson.dumps(head(board, now) | whole)[:-1]
    yield b',"posts":['
    yield from _joined(_pieces([_post(post, names) for post in posts[at : at + AT_A_TIME]] for at in _starts(posts)))
    yield b'],"lines":['
    yield from _joined(_pieces(_lines(board, posts, at, names, now) for at in _starts(posts)))
    tables = {kind: table.listed() for kind, table in names.items()}
    yield b'],"names":' + orjson.dumps(tables) + b"}"


def lines(board: Board, numbers: Iterable[int], now: int) -> list[list[Any]]:
    """Return the lines of those `numbers` that are still on the board."""
    found = ((board.owners.get(number), board.tracks.get(number)) for number in numbers)
    return [line(board, post, track, now) for post, track in found if post is not None and track is not None]


def line(board: Board, post: Post, track: Track, now: int) -> list[Any]:
    """Return the line of one track."""
    due, waits, in_flight = board.outlook(track)
    gaps, last = board.gaps(post, track, now), track.history.last
    return [
        track.number,
        _seconds(track.at),
        track.outcome,
        track.items,
        track.rows,
        _seconds(track.good_at),
        None if track.error_kind is None else track.error_kind.value,
        None if track.gap is None else track.gap.value,
        _seconds(due),
        None if waits is None else waits.value,
        int(in_flight),
        None if gaps is None else gaps.by_reason(),
        _closing(track),
        track.history.count,
        None if last is None else list(last),
    ]


def totals(board: Board) -> dict[str, Any]:
    """Return what happened so far."""
    seen = board.totals
    return {
        "ok": seen.ok,
        "empty": seen.empty,
        "failed": seen.failed,
        "rows": seen.rows,
        "gaps": {reason.value: count for reason, count in seen.gaps.items() if count},
        "taken": seen.closings_taken,
        "missed": seen.closings_missed,
    }


def _starts(posts: list[Post]) -> range:
    return range(0, len(posts), AT_A_TIME)


def _pieces(batches: Iterable[list[Any]]) -> Iterator[bytes]:
    return (orjson.dumps(batch)[1:-1] for batch in batches if batch)


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield next(pieces, b"")
    for piece in pieces:
        yield b"," + piece


def _lines(board: Board, posts: list[Post], start: int, names: Tables, now: int) -> list[list[Any]]:
    """Return the lines of a batch of operations, with what does not change before each."""
    apis = names["apis"]
    return [
        [index, apis.number(track.api), track.interval / 1000, track.added / 1000, *line(board, post, track, now)]
        for index, post in enumerate(posts[start : start + AT_A_TIME], start)
        for track in post.tracks
    ]


def _post(post: Post, names: Tables) -> list[Any]:
    place = post.place
    return [
        post.key,
        names["tenants"].number(place.tenant),
        place.operation.encode("utf-8", "replace").decode(),
        names["servers"].number(place.server),
        names["zones"].number(place.timezone),
        place.token,
    ]


def _closing(track: Track) -> list[Any] | None:
    if not track.closings:
        return None
    latest = track.closings[-1]
    return [latest.month, int(latest.taken is not None), latest.trouble]


def _seconds(moment: int | None) -> int | None:
    return None if moment is None else moment // 1000
