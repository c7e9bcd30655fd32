"""Records that are more than a message may hold end as an answer that was too large."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from wolkvox_async.apps.joined.fitting import fitting
from wolkvox_async.catalog import BILLING
from wolkvox_async.lines import item_lines
from wolkvox_async.model import Ok, Operation, Token
from wolkvox_async.planning import call
from wolkvox_async.settlements import Settlement

RUN = "01K" + "0" * 23
MEGABYTE = 1 << 20


def settled(rows: int) -> Settlement:
    asked = call(Operation("acme", "bogota", "0010", Token("made-up-token")), BILLING[0], run=RUN)
    return Settlement(
        asked, Ok([{"items": "1", "text": "x" * 100}] * rows, 200, 200, "found"), 1, datetime.now(UTC), 0.2
    )


@pytest.mark.parametrize("rows", [0, 1, 100])
def test_what_fits_stays_as_it_is(rows: int) -> None:
    item = settled(rows)
    assert fitting(RUN, item, MEGABYTE) == (item, item_lines(RUN, item))


def test_what_does_not_fit_says_what_to_do_and_keeps_its_place() -> None:
    item = settled(10_000)
    found, lines = fitting(RUN, item, MEGABYTE)
    (record,) = [orjson.loads(line) for line in lines.splitlines()]
    assert isinstance(found, Settlement)
    assert found.call is item.call
    assert (record["type"], record["outcome"], record["rows"], record["attempts"]) == ("call", "failed", 0, 1)
    assert record["error"]["kind"] == "too_large"
    assert "--max-payload" in record["error"]["message"]
