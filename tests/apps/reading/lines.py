"""Streams with records in them, and readers of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson

from wolkvox_async.adapters.jsonlines import open_output
from wolkvox_async.adapters.nats import NatsSettings
from wolkvox_async.apps.reading.reader import Order, Reader
from wolkvox_async.clustering.messages import Entry, TokenState
from wolkvox_async.ports import Append, Store, Stored

NOWHERE = NatsSettings(("nats://127.0.0.1:1",))


def lines_of_call(number: int, *, rows: int = 2, size: int = 20) -> bytes:
    """Return the records of a call."""
    call = f"call{number:06}"
    records = [{"type": "row", "run": "r", "call": call, "n": n, "row": {"x": "é" * size}} for n in range(rows)]
    return b"".join(orjson.dumps(one) + b"\n" for one in [*records, {"type": "call", "run": "r", "call": call}])


def append_of(number: int, lines: bytes, expected: int = 0) -> Append:
    entry = Entry(f"id{number}", 1, TokenState(asked={"interactions": 1.0}), lines)
    return Append(number % 7, f"tk_{number:012x}", expected, entry.encode())


async def fill(store: Store, calls: Iterable[bytes], start: int = 0) -> bytes:
    """Append calls, each of a token of its own, and return all their lines."""
    all_lines = list(calls)
    became = await store.append([append_of(start + number, lines) for number, lines in enumerate(all_lines)])
    assert all(isinstance(one, Stored) for one in became)
    return b"".join(all_lines)


async def read_into(store: Store, path: Path, *, first: int | None = None) -> list[str]:
    """Read a store to its end into a file, and return what was said."""
    said: list[str] = []
    reader = Reader(Order(NOWHERE, str(path), first), said.append)
    async with open_output(path) as sink:
        await reader._read(store, await reader._target(sink))
    return said


def whole(lines: bytes) -> Sequence[dict[str, object]]:
    """Return records, each of which stands in a line of its own."""
    assert lines.endswith(b"\n")
    return [orjson.loads(line) for line in lines.splitlines()]
