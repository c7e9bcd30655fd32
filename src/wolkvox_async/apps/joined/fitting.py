"""Records of a call that are more than the broker takes: what stands in their place.

A message holds all records of a call, so that nobody ever reads half of them. A call whose records do
not fit ends as one whose answer was too large.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from wolkvox_async.classify import error
from wolkvox_async.lines import item_lines
from wolkvox_async.model import ErrorKind, Failed
from wolkvox_async.settlements import Gap, Item

_HEAD: Final = 65_536  # bytes that what is known of a token may take


def fitting(run: str, item: Item, largest: int) -> tuple[Item, bytes]:
    """Return an item and its lines; one that is too large for a message of `largest` bytes, as one that failed."""
    lines = item_lines(run, item)
    if isinstance(item, Gap) or len(lines) + _HEAD <= max(largest, 2 * _HEAD):
        return item, lines
    message = (
        f"its records are {len(lines)} bytes, and the broker takes messages of {largest}: "
        "raise its --max-payload if that is expected"
    )
    failed = replace(item, outcome=Failed(error(ErrorKind.TOO_LARGE, message)))
    return failed, item_lines(run, failed)
