"""Lines hold what the records hold, rows as sent, and `items` is lifted by one strict rule."""

import dataclasses
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.counters import Counters
from wolkvox_async.fields import items_of
from wolkvox_async.lines import call_lines, line
from wolkvox_async.model import Call, CallError, Empty, ErrorKind, Failed, Ok, Operation, Outcome, Skipped, Token
from wolkvox_async.records import call_records, run_ended, run_started
from wolkvox_async.settlements import Settlement
from wolkvox_async.windows import Window

RUN = "01KAJ4N0QG0123456789ABCDEF"
CANARY = "canary-5f2c8e9b71d04a36"
BOGOTA = ZoneInfo("America/Bogota")
AT = datetime(2026, 11, 21, 21, 43, 47, 733_000, UTC)
ROW = {"operation": "ACME BOG", "description": "Interacciones", "items": "12", "date": "2026-11-21"}
CALL = Call(
    "01KAJ4N0QGZZZZZZZZZZZZZZZZ",
    Operation("acme", "bogota", "0010", Token(CANARY)),
    "interactions",
    "billing",
    (("api", "interactions"),),
)
OK = Ok([ROW], 200, 200, "Information found for the current month")


def settled(outcome: Outcome, call: Call = CALL, *, seconds: float = 0.213) -> Settlement:
    return Settlement(call, outcome, 1, AT, seconds, seconds)


def parsed(lines: bytes) -> Iterator[dict[str, Any]]:
    for text in lines.split(b"\n")[:-1]:
        yield json.loads(text)


def test_an_ok_call_is_its_rows_and_then_its_commit_mark() -> None:
    row, commit = call_records(RUN, settled(OK))
    assert row == {
        "type": "row", "run": RUN, "call": CALL.id, "n": 1, "tenant": "acme", "operation": "bogota", "server": "0010",
        "api": "interactions", "slot": None, "at": "2026-11-21T21:43:47.733Z", "items": 12, "row": ROW,
    }  # fmt: skip
    assert commit == {
        "type": "call", "run": RUN, "call": CALL.id, "tenant": "acme", "operation": "bogota", "server": "0010",
        "token": CALL.operation.token.id, "api": "interactions", "window": None, "params": None, "slot": None,
        "closing": False, "outcome": "ok", "rows": 1, "attempts": 1, "at": "2026-11-21T21:43:47.733Z",
        "seconds": 0.213, "status": 200, "code": 200, "msg": "Information found for the current month", "error": None,
        "next_at": "2026-11-21T21:48:47.520Z",
    }  # fmt: skip


def test_fields_stand_in_the_order_of_the_contract() -> None:
    row, commit = parsed(call_lines(RUN, settled(OK)))
    assert " ".join(row) == "type run call n tenant operation server api slot at items row"
    assert " ".join(commit) == (
        "type run call tenant operation server token api window params slot closing outcome rows attempts at "
        "seconds status code msg error next_at"
    )


def test_a_dated_call_with_parameters_says_both() -> None:
    window = Window(datetime(2026, 11, 1, tzinfo=BOGOTA), datetime(2026, 12, 1, tzinfo=BOGOTA))
    call = dataclasses.replace(CALL, window=window, params=(("skill", "7"), ("agent", "ä")))
    (commit,) = parsed(call_lines(RUN, settled(Empty(404, "404", None), call)))
    assert commit["window"] == {"from": "20261101000000", "to": "20261130235959"}
    assert commit["params"] == {"skill": "7", "agent": "ä"}


def test_an_empty_call_is_a_commit_mark_without_rows() -> None:
    (commit,) = call_records(RUN, settled(Empty(404, "404", "Validate dates entered")))
    assert commit["type"] == "call"
    assert (commit["outcome"], commit["rows"], commit["status"], commit["code"], commit["error"]) == (
        "empty", 0, 404, "404", None
    )  # fmt: skip
    assert commit["next_at"] == "2026-11-21T21:48:47.520Z"


def test_a_failed_call_says_why_and_is_due_at_no_fixed_time() -> None:
    error = CallError(ErrorKind.TOKEN_BUSY, "403: somebody else is using this token right now", retryable=True)
    (commit,) = parsed(call_lines(RUN, settled(Failed(error, 200, 403, ["busy"]))))
    assert commit["error"] == {
        "kind": "token_busy", "message": "403: somebody else is using this token right now", "retryable": True
    }  # fmt: skip
    assert (commit["outcome"], commit["status"], commit["code"], commit["msg"], commit["next_at"]) == (
        "failed", 200, 403, ["busy"], None
    )  # fmt: skip


def test_a_call_that_got_no_answer_has_no_status() -> None:
    (commit,) = call_records(RUN, settled(Failed(CallError(ErrorKind.TIMEOUT, "no answer", retryable=True))))
    assert commit["type"] == "call"
    assert (commit["status"], commit["code"], commit["msg"]) == (None, None, None)


def test_a_skipped_call_says_why() -> None:
    (commit,) = parsed(call_lines(RUN, settled(Skipped(CallError(ErrorKind.NOT_DUE, "due at 12:00", retryable=False)))))
    assert (commit["outcome"], commit["error"]["kind"], commit["status"], commit["next_at"]) == (
        "skipped", "not_due", None, None
    )  # fmt: skip


def test_the_token_is_in_no_line() -> None:
    outcomes: list[Outcome] = [OK, Empty(200, 200, None), Skipped(CallError(ErrorKind.HELD, "held", retryable=False))]
    lines = b"".join(call_lines(RUN, settled(outcome)) for outcome in outcomes)
    assert CANARY.encode() not in lines
    assert lines.count(b'"token":"tk_') == 3


@pytest.mark.parametrize(
    ("value", "items"),
    [
        (12, 12), (-3, -3), (0, 0), (12.5, 12.5), (1e22, 1e22), (2**64 - 1, 2**64 - 1), (-(2**63), -(2**63)),
        ("12", 12), ("-12", -12), ("0", 0), ("007", 7), ("12.5", 12.5), ("-0.25", -0.25), ("12.0", 12.0),
        ("999999999999999", 999_999_999_999_999), ("-999999999999999", -999_999_999_999_999),
        ("123456789012345.5", 123_456_789_012_345.5), ("0." + "3" * 400, 1 / 3),
        ("1234567890123456", None), ("1,234", None), (" 12", None), ("12 ", None), ("12\n", None), ("1e5", None),
        ("", None), ("-", None), (".5", None), ("5.", None), ("+5", None), ("--5", None), ("1.2.3", None),
        ("34.64 %", None), ("00:12:31", None), ("1 234", None), ("0x10", None), ("1_000", None), ("NaN", None),
        ("Infinity", None), ("null", None), ("true", None), ("\u0663", None), ("\uff11", None),
        ("²", None), ("\u22125", None),
        (True, None), (False, None), (None, None), ([], None), ([12], None), ({}, None), ({"items": 12}, None),
    ],
)  # fmt: skip
def test_items_is_a_number_or_plainly_one_or_null(value: object, items: object) -> None:
    lifted = items_of({"items": value})
    assert (lifted, type(lifted)) == (items, type(items))
    row, _ = parsed(call_lines(RUN, settled(Ok([{"items": value}], 200, 200, None))))
    assert (row["items"], row["row"]) == (items, {"items": value})


@pytest.mark.parametrize(
    "row", [None, True, 12, 12.5, "12", "items", [], ["items"], [{"items": 12}], {}, {"Items": 12}]
)
def test_a_row_without_items_has_null_items_and_stays_as_sent(row: object) -> None:
    assert items_of(row) is None
    record, _ = parsed(call_lines(RUN, settled(Ok([row], 200, 200, None))))
    assert (record["items"], record["row"]) == (None, row)


def test_negative_zero_is_kept() -> None:
    row, _ = parsed(call_lines(RUN, settled(Ok([{"items": -0.0}], 200, 200, None))))
    assert math.copysign(1.0, row["items"]) == math.copysign(1.0, row["row"]["items"]) == -1.0


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"n":0', '\\"n\\":0', '"items":null,"row":null}', "\n", "\r\n", "\u2028", "\x85", "%d%b", "\x00", "é😀"]
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | st.just("items"), inner, max_size=4)
)
numbers = st.none() | st.integers(0, 999) | st.sampled_from([200.0, 0.5]) | texts
errors = st.builds(CallError, st.sampled_from(ErrorKind), texts, st.booleans())
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Ok, st.lists(values, max_size=5), st.integers(200, 299), numbers, values),
    st.builds(Empty, st.integers(200, 404), numbers, values),
    st.builds(Failed, errors, st.none() | st.integers(100, 599), numbers, values),
    st.builds(Skipped, errors),
)
calls = st.builds(
    Call,
    texts,
    st.builds(Operation, texts, texts, texts, st.just(CALL.operation.token)),
    texts,
    texts,
    st.just(()),
    st.none() | st.just(Window(AT, AT + timedelta(days=3))),
    st.lists(st.tuples(texts, texts), max_size=3).map(tuple),
)
moments = st.datetimes(datetime(1990, 1, 1), timezones=st.sampled_from([UTC, BOGOTA]))  # noqa: DTZ001 - Hypothesis takes naive bounds
settlements = st.builds(Settlement, calls, outcomes, st.integers(0, 9), moments, st.floats(0, 3600), st.floats(0, 3600))


@given(texts, settlements)
def test_the_lines_are_the_records(run: str, settlement: Settlement) -> None:
    assert list(parsed(call_lines(run, settlement))) == list(call_records(run, settlement))


@given(texts, settlements)
def test_the_lines_are_the_records_written_out_byte_for_byte(run: str, settlement: Settlement) -> None:
    assert call_lines(run, settlement) == b"".join(map(line, call_records(run, settlement)))


@given(texts, settlements)
def test_every_line_ends_with_a_newline_and_holds_no_other(run: str, settlement: Settlement) -> None:
    lines = call_lines(run, settlement)
    records = list(call_records(run, settlement))
    assert lines.endswith(b"}\n")
    assert lines.count(b"\n") == len(records)
    assert all(line(record).count(b"\n") == 1 and line(record).endswith(b"}\n") for record in records)


@given(texts, settlements)
def test_rows_stand_together_before_the_commit_mark_and_are_counted(run: str, settlement: Settlement) -> None:
    *rows, commit = parsed(call_lines(run, settlement))
    assert [row["type"] for row in rows] == ["row"] * len(rows)
    assert [row["n"] for row in rows] == list(range(1, len(rows) + 1))
    assert (commit["type"], commit["rows"]) == ("call", len(rows))
    assert {(row["run"], row["call"]) for row in rows} <= {(run, settlement.call.id)}


def test_ten_thousand_rows_are_ten_thousand_lines_and_one() -> None:
    rows = [{**ROW, "items": str(n)} for n in range(10_000)]
    records = list(parsed(call_lines(RUN, settled(Ok(rows, 200, 200, None)))))
    assert len(records) == 10_001
    assert [record["items"] for record in records[:-1]] == list(range(10_000))


def test_seconds_are_written_to_the_millisecond() -> None:
    (commit,) = parsed(call_lines(RUN, settled(Empty(200, 200, None), seconds=0.2134999)))
    assert commit["seconds"] == 0.213


def test_a_run_opens_with_the_schema_the_version_and_the_number_of_calls() -> None:
    at = datetime(2026, 11, 21, 21, 43, 47, 120_000, UTC)
    assert line(run_started("01K", at, version="0.1.0", calls=400)) == (
        b'{"type":"run","schema":1,"run":"01K","event":"started","at":"2026-11-21T21:43:47.120Z","version":"0.1.0",'
        b'"calls":400}\n'
    )


@pytest.mark.parametrize("event", ["stopped", "finished"])
def test_a_run_closes_with_its_counters(event: str) -> None:
    counters = Counters(ok=398, empty=1, failed=1, skipped=0, held=0, rows=398, attempts=404)
    record = run_ended("01K", AT, event, counters, 9.1004)  # type: ignore[arg-type]
    assert record == {
        "type": "run", "schema": 1, "run": "01K", "event": event, "at": "2026-11-21T21:43:47.733Z", "ok": 398,
        "empty": 1, "failed": 1, "skipped": 0, "rows": 398, "attempts": 404, "seconds": 9.1,
    }  # fmt: skip
