"""Records as Singer messages: nothing is lost, every message fits its schema, a STATE stands behind what is settled."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator, FormatChecker

from wolkvox_async.catalog import Endpoint
from wolkvox_async.classify import error
from wolkvox_async.counters import Counters
from wolkvox_async.lines import call_lines, line
from wolkvox_async.marks import read_mark
from wolkvox_async.model import Empty, ErrorKind, Failed, Ok, Operation, Outcome, Skipped, Token
from wolkvox_async.planning import call
from wolkvox_async.records import run_ended, run_started
from wolkvox_async.settlements import Settlement
from wolkvox_async.singer import EVERYTHING, STREAMS, Translator, catalog, read_message_mark, schemas, selected
from wolkvox_async.windows import Window

RUN = "01M8094P7A81VQNPQ9ZYKSYNZV"
AT = datetime(2026, 11, 21, 21, 43, 47, 733000, tzinfo=UTC)
OPERATION = Operation("acme", "bogotá", "0010", Token("a-token-of-nobody"))
WINDOW = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))
ENDPOINTS = (Endpoint("interactions"), Endpoint("agent_1", file="reports_manager", params=(("skill", "7 & 8"),)))
ROW = {"operation": "ACME BOG", "description": "Interacciones", "items": "12", "date": "2026-11-21"}
STARTED = line(run_started(RUN, AT, version="0.1.0", calls=7))
ENDED = line(run_ended(RUN, AT, "finished", Counters(ok=7, rows=9), 1.5))

text = st.text(st.characters(codec="utf-8"))
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
rows = st.dictionaries(st.sampled_from(["operation", "description", "items", "date", "other"]), anything) | anything
messages = st.none() | text | anything
codes = st.none() | st.integers(0, 999) | st.text(st.characters(codec="utf-8"), max_size=5)
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Ok, st.lists(rows, min_size=1, max_size=4), st.just(200), codes, messages),
    st.builds(Empty, st.just(404), codes, messages),
    st.builds(Failed, st.just(error(ErrorKind.TIMEOUT, "no\0answer")), st.none() | st.just(500), codes, messages),
    st.builds(Skipped, st.just(error(ErrorKind.NOT_DUE, "too early")), st.none() | st.just(AT)),
)


def settled(outcome: Outcome, which: int = 0, *, window: Window | None = None, after: float = 0.0) -> bytes:
    planned = call(OPERATION, ENDPOINTS[which], run=RUN, window=window)
    return call_lines(RUN, Settlement(planned, outcome, 1, AT + timedelta(seconds=after), 0.25))


def translated(*lines: bytes, **told: Any) -> list[dict[str, Any]]:
    translator = Translator(**told)
    return [json.loads(message) for one in lines for message in translator.messages(one).splitlines()]


def records(found: list[dict[str, Any]], stream: str) -> list[dict[str, Any]]:
    return [one["record"] for one in found if one["type"] == "RECORD" and one["stream"] == stream]


def test_schemas_come_first_and_once() -> None:
    found = translated(STARTED, settled(Ok([ROW], 200, 200, None)), ENDED)
    assert [one["type"] for one in found[:4]] == ["SCHEMA", "SCHEMA", "SCHEMA", "RECORD"]
    assert [one["stream"] for one in found[:3]] == ["rows", "calls", "runs"]
    assert [one["type"] for one in found].count("SCHEMA") == 3


def test_a_call_is_its_rows_then_its_record_then_a_state() -> None:
    found = translated(settled(Ok([ROW, {"x": 1}], 200, "200", {"a": 1})))[3:]
    assert [(one["type"], one.get("stream")) for one in found] == [
        ("RECORD", "rows"), ("RECORD", "rows"), ("RECORD", "calls"), ("STATE", None)
    ]  # fmt: skip
    first, second = records(found, "rows")
    (ended,) = records(found, "calls")
    assert first == {
        "call": ended["call"], "n": 1, "run": RUN, "tenant": "acme", "operation": "bogotá", "server": "0010",
        "api": "interactions", "at": "2026-11-21T21:43:47.733Z", "items": 12,
        "row": json.dumps(ROW, separators=(",", ":")),
        "row_operation": "ACME BOG", "row_description": "Interacciones", "row_items": "12", "row_date": "2026-11-21",
    }  # fmt: skip
    assert (second["n"], second["items"], second["row"], second["row_items"]) == (2, None, '{"x":1}', None)
    assert (ended["outcome"], ended["rows"], ended["code"], ended["msg"]) == ("ok", 2, "200", '{"a":1}')
    assert {one["time_extracted"] for one in found[:3]} == {"2026-11-21T21:43:47.733Z"}
    assert found[3]["value"] == {"run": RUN, "at": "2026-11-21T21:43:47.733Z", "calls": 1}


def test_how_a_run_ended_replaces_how_it_began_and_keeps_what_was_said_then() -> None:
    found = translated(STARTED, ENDED)
    began, ended = records(found, "runs")
    assert (began["run"], began["event"], began["version"], began["calls"], began["ok"]) == (
        RUN, "started", "0.1.0", 7, None
    )  # fmt: skip
    assert (ended["run"], ended["event"], ended["version"], ended["calls"], ended["ok"], ended["rows"]) == (
        RUN, "finished", "0.1.0", 7, 7, 9
    )  # fmt: skip
    assert found[-1]["type"] == "STATE"  # some targets forget a STATE that is not the last message


def test_one_who_goes_on_in_the_middle_hears_how_the_run_began() -> None:
    translator = Translator()
    translator.hear(STARTED)
    *_, ended, _ = translator.messages(ENDED).splitlines()
    assert json.loads(ended)["record"]["version"] == "0.1.0"


@settings(max_examples=50)
@given(st.lists(outcomes, min_size=1, max_size=4), st.sampled_from([0, 1]), st.sampled_from([None, WINDOW]))
def test_every_message_fits_its_schema_and_every_row_is_as_it_was_sent(
    ended: list[Outcome], which: int, window: Window | None
) -> None:
    found = translated(*(settled(outcome, which, window=window) for outcome in ended))
    shapes = {one["stream"]: one for one in found if one["type"] == "SCHEMA"}
    for one in found:
        if one["type"] == "RECORD":
            shape = shapes[one["stream"]]
            Draft4Validator(shape["schema"], format_checker=FormatChecker()).validate(one["record"])
            assert all(one["record"][key] is not None for key in shape["key_properties"])
            assert one["record"].keys() == shape["schema"]["properties"].keys()
            assert "\0" not in "".join(value for value in one["record"].values() if isinstance(value, str))
    sent = [row for outcome in ended if isinstance(outcome, Ok) for row in outcome.rows]
    assert [json.loads(record["row"]) for record in records(found, "rows")] == sent


@settings(max_examples=50)
@given(outcomes, st.sampled_from([0, 1]), st.sampled_from([None, WINDOW]))
def test_a_message_gives_the_mark_that_its_record_gave(outcome: Outcome, which: int, window: Window | None) -> None:
    lines = settled(outcome, which, window=window)
    *_, ended, _ = Translator().messages(lines).splitlines()
    told, mark = read_mark(lines.splitlines()[-1]), read_message_mark(ended)
    assert told is not None
    assert mark is not None
    told.message = told.message and told.message.replace("\0", "\ufffd")
    assert mark == told


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"type":"STATE","value":{}}', b'{"record":{"call":1}}'])
def test_what_is_no_message_of_a_call_has_no_mark(text: bytes) -> None:
    assert read_message_mark(text) is None


def test_a_state_says_where_in_the_batch_its_call_ends() -> None:
    lines = [STARTED, settled(Ok([ROW], 200, 200, None)) + settled(Empty(404, 404, None), 1), ENDED]
    translator, position, states = Translator(batch="b"), 0, []
    for one in lines:
        found = [json.loads(message) for message in translator.messages(one, position).splitlines()]
        states += [message["value"] for message in found if message["type"] == "STATE"]
        position += len(one)
    whole = b"".join(lines)
    assert [state["batch"] for state in states] == ["b"] * 4
    assert all(whole[state["position"] - 1 : state["position"]] == b"\n" for state in states)
    assert all(one["position"] < other["position"] for one, other in pairwise(states))
    assert states[-1]["position"] == len(whole)


def test_states_do_not_grow() -> None:
    translator = Translator(batch="b")
    sizes = [
        len(translator.messages(settled(Empty(404, 404, None), after=n), n * 500).splitlines()[-1]) for n in range(200)
    ]
    assert sizes[-1] - sizes[0] < 8


# --- the catalogue ------------------------------------------------------------------------


def test_the_catalogue_selects_everything_as_it_is_printed() -> None:
    assert selected(json.loads(json.dumps(catalog()))) == EVERYTHING
    assert {one["stream"]: tuple(one["key_properties"]) for one in catalog()["streams"]} == {
        name: stream.key for name, stream in STREAMS.items()
    }


def test_nobody_adds_a_column_by_mistake() -> None:
    with pytest.raises(TypeError):
        STREAMS["rows"].columns["more"] = {}  # type: ignore[index]


def test_what_is_not_selected_is_left_out_but_for_keys() -> None:
    document: dict[str, Any] = json.loads(json.dumps(catalog()))
    for stream in document["streams"]:
        for one in stream["metadata"]:
            if (stream["stream"], one["breadcrumb"]) == ("calls", []):
                one["metadata"]["selected"] = False
            if one["breadcrumb"][1:] in (["row"], ["n"]):
                one["metadata"]["selected"] = False
    selection = selected(document)
    assert selection == {
        "rows": frozenset(STREAMS["rows"].columns) - {"row"},
        "runs": frozenset(STREAMS["runs"].columns),
    }
    found = translated(settled(Ok([ROW], 200, 200, None)), selection=selection)
    assert [one.get("stream") for one in found] == ["rows", "runs", "rows", None]
    assert "row" not in found[2]["record"]
    assert found[2]["record"]["n"] == 1


def test_streams_of_others_are_passed_over() -> None:
    assert selected({"streams": [{"tap_stream_id": "orders", "stream": "orders", "metadata": []}]}) == {}


@pytest.mark.parametrize(
    "document", [{}, {"streams": 1}, {"streams": [1]}, {"streams": [{"stream": "rows", "metadata": [1]}]}]
)
def test_what_is_no_catalogue_is_said_to_be_none(document: Any) -> None:
    with pytest.raises(ValueError, match="--discover"):
        selected(document)


def test_a_schema_is_written_whole_into_a_pipe() -> None:
    # Longer lines can be torn when the tap is killed, and a torn line fails the target.
    assert max(map(len, schemas())) < 4096
