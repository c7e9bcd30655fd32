"""What is remembered of a call is the same from its settlement and from its record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from wolkvox_async.catalog import Endpoint
from wolkvox_async.classify import error
from wolkvox_async.lines import call_lines
from wolkvox_async.marks import mark_of, read_mark, tail
from wolkvox_async.model import Empty, ErrorKind, Failed, Ok, Operation, Outcome, Skipped, Token
from wolkvox_async.planning import call
from wolkvox_async.settlements import Settlement
from wolkvox_async.windows import Window

RUN = "01M8094P7A81VQNPQ9ZYKSYNZV"
AT = datetime(2026, 11, 21, 21, 43, 47, 733000, tzinfo=UTC)
OPERATION = Operation("acme", "bogotá", "0010", Token("a-token-of-nobody"))
PLAIN = Endpoint("interactions")
DATED = Endpoint("agent_1", file="reports_manager", params=(("skill", "7 & 8"), ("ñ", "=")))
WINDOW = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))


def settlement(outcome: Outcome, endpoint: Endpoint = PLAIN, window: Window | None = None) -> Settlement:
    planned = call(OPERATION, endpoint, run=RUN, window=window)
    return Settlement(planned, outcome, 2, AT, 1.5, 1.25)


@pytest.mark.parametrize(("endpoint", "window"), [(PLAIN, None), (PLAIN, WINDOW), (DATED, None), (DATED, WINDOW)])
@pytest.mark.parametrize(
    "outcome",
    [
        Ok([{"items": "1"}, {"items": "2"}], 200, 200, "found"),
        Empty(404, 404, None),
        Failed(error(ErrorKind.TIMEOUT, "no answer")),
        Skipped(error(ErrorKind.HELD, "not called")),
    ],
)
def test_a_record_gives_the_mark_that_its_settlement_gave(outcome: Outcome, endpoint: Endpoint, window: Any) -> None:
    settled = settlement(outcome, endpoint, window)
    *_, line = call_lines(RUN, settled).splitlines()
    told = mark_of(RUN, settled)
    assert told.sent == AT.timestamp() - 1.25
    # The record does not say when the request left; its answer was not earlier.
    assert read_mark(line) == replace(told, sent=AT.timestamp())


def test_rows_and_done_are_those_of_the_outcome() -> None:
    found = mark_of(RUN, settlement(Ok([1, 2, 3], 200, 200, None)))
    failed = mark_of(RUN, settlement(Failed(error(ErrorKind.TIMEOUT, "no answer"))))
    assert (found.rows, found.done, found.kind) == (3, True, None)
    assert (failed.rows, failed.done, failed.kind) == (0, False, "timeout")
    assert tail(found.call) == found.call[10:]


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"3", b'{"type":"call"}', b'{"type":"row","run":"x"}'])
def test_what_is_no_call_record_gives_no_mark(line: bytes) -> None:
    assert read_mark(line) is None


@pytest.mark.parametrize("change", [{"window": 7}, {"at": "yesterday"}, {"type": "row"}, {"error": "none"}])
def test_a_record_that_is_not_ours_gives_no_mark(change: dict[str, object]) -> None:
    *_, line = call_lines(RUN, settlement(Empty(200, 200, None))).splitlines()
    assert read_mark(line) is not None
    assert read_mark(orjson.dumps({**orjson.loads(line), **change})) is None


def test_a_mark_holds_no_token() -> None:
    assert "a-token-of-nobody" not in repr(mark_of(RUN, settlement(Empty(200, 200, None))))
