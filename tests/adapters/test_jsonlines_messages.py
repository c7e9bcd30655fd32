"""Files of messages: what a killed writer left is cut behind the last STATE, and what is not ours stays untouched."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wolkvox_async.adapters.jsonlines import Batch, MessageLines, Relay, open_output
from wolkvox_async.errors import ConfigurationError, OutputError
from wolkvox_async.lines import call_lines, line
from wolkvox_async.model import Call, Empty, Ok, Operation, Outcome, Token
from wolkvox_async.records import run_started
from wolkvox_async.settlements import Settlement
from wolkvox_async.singer import Translator

AT = datetime(2026, 11, 21, 21, 43, 47, tzinfo=UTC)
OPERATION = Operation("acme", "bogotá", "0010", Token("a-made-up-token"))
RUN = "01M8094P7A81VQNPQ9ZYKSYNZV"
OPENING = line(run_started(RUN, AT, version="0.1.0", calls=3))


def call(number: int, outcome: Outcome) -> bytes:
    made = Call(f"{RUN[:10]}{number:016}", OPERATION, "interactions", "billing", (("api", "interactions"),))
    return call_lines(RUN, Settlement(made, outcome, 1, AT, 0.25))


LINES = (OPENING, call(1, Ok([{"items": "1"}, {"items": "2"}], 200, 200, "ok")), call(2, Empty(404, 404, None)))
WHOLE = Translator().messages(b"".join(LINES))


async def opened(path: Path) -> bytes:
    """Open the file, give it back, and return what is in it then."""
    async with MessageLines(path, Translator()):
        return path.read_bytes()


@settings(max_examples=30)
@given(st.integers(0, len(WHOLE)))
async def test_wherever_a_writer_was_killed_the_file_ends_with_a_state_or_is_empty(
    tmp_path_factory: pytest.TempPathFactory, size: int
) -> None:
    path = tmp_path_factory.mktemp("killed") / "usage.singer"
    path.write_bytes(WHOLE[:size])
    kept = await opened(path)
    assert WHOLE.startswith(kept)
    ends = [
        place for place in range(len(WHOLE) + 1) if WHOLE[:place].splitlines()[-1:] != [] and _settled(WHOLE[:place])
    ]
    assert len(kept) == max((end for end in ends if end <= size), default=0)


def _settled(text: bytes) -> bool:
    return text.endswith(b"\n") and text.splitlines()[-1].startswith(b'{"type":"STATE"')


@pytest.mark.parametrize(
    "strange",
    [
        b"name,items\nacme,1\n",
        b"\x00\x01\x02",
        OPENING,
        b'{"type":"STATE","value":{"bookmarks":{}}}\n',
        b'{"type":"RECORD","stream":"orders","record":{}}\n',
        WHOLE + b"oops\n",
        WHOLE + b"oops",
    ],
)
async def test_what_no_writer_of_ours_leaves_stays_untouched(tmp_path: Path, strange: bytes) -> None:
    path = tmp_path / "usage.singer"
    path.write_bytes(strange)
    with pytest.raises(ConfigurationError, match="no file of Singer messages"):
        await opened(path)
    assert path.read_bytes() == strange


async def test_marks_are_read_back_from_messages(tmp_path: Path) -> None:
    path = tmp_path / "usage.singer"
    async with MessageLines(path, Translator()) as sink:
        ends = [await sink.write(text) for text in LINES]
        assert ends[-1] == sink.position == path.stat().st_size
        assert [(mark.outcome, mark.rows) for mark in sink.marks_from(0)] == [("ok", 2), ("empty", 0)]
        assert [mark.outcome for mark in sink.marks_from(ends[1] or 0)] == ["empty"]
    assert path.read_bytes() == WHOLE
    with pytest.raises(ConfigurationError):
        async with open_output(path):
            pass  # it is no file of lines


async def test_what_is_owed_is_handed_on_and_then_what_is_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    old.write_bytes(b"".join(LINES) + b'{"type":"row","ru')
    owed = [Batch(old, len(OPENING))]
    async with Relay(new, Translator(), owed, durable=False) as relay:
        for text in LINES:
            await relay.write(text)
    assert owed == []
    assert new.read_bytes() == b"".join(LINES)
    states = [one["value"] for one in map(json.loads, capfd.readouterr().out.splitlines()) if one["type"] == "STATE"]
    assert [(state["batch"], state["position"]) for state in states] == [
        ("1.jsonl", len(b"".join(LINES[:2]))),
        ("1.jsonl", len(b"".join(LINES))),
        *(("2.jsonl", len(b"".join(LINES[: end + 1]))) for end in range(3)),
    ]


async def test_an_offset_in_the_middle_of_a_line_is_of_another_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "1.jsonl"
    old.write_bytes(b"".join(LINES))
    async with Relay(tmp_path / "2.jsonl", Translator(), [Batch(old, 7)], durable=False):
        pass
    assert capfd.readouterr().out.encode() == Translator(batch="1.jsonl").messages(b"".join(LINES), 0)


async def test_what_the_reader_does_not_take_stands_in_the_file_all_the_same(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with Relay(tmp_path / "1.jsonl", Translator(), [], durable=False) as relay:
        relay._out.abort()
        with pytest.raises(OutputError):
            await relay.write(OPENING)
    assert (tmp_path / "1.jsonl").read_bytes() == OPENING
    assert capfd.readouterr().out == ""
