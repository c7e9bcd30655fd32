"""What opening a file finds behind its last mark: cut where a killed writer left it, refused untouched elsewhere."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.adapters.jsonlines import open_output
from wolkvox_async.adapters.jsonlines.opening import named_output
from wolkvox_async.counters import Counters
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.lines import call_lines, line
from wolkvox_async.model import Call, Empty, Ok, Operation, Outcome, Token
from wolkvox_async.records import run_ended, run_started
from wolkvox_async.settlements import Settlement

AT = datetime(2026, 11, 21, 21, 43, 47, tzinfo=UTC)
OPERATION = Operation("acme", "bogotá", "0010", Token("a-made-up-token"))

RUN = b'{"type":"run","schema":1,"run":"r","event":"started"}\n'
CALL = b'{"type":"call","run":"r","call":"a"}\n'
GAP = b'{"type":"gap","run":"r","slot":"s"}\n'
ROW = b'{"type":"row","run":"r","call":"a","n":1,"row":{"items":"12"}}\n'
OTHER_ROW = b'{"type":"row","run":"r","call":"b","n":1,"row":null}\n'
ROW_OF_ANOTHER_RUN = ROW.replace(b'"r"', b'"s"')
STRANGE = b'{"type":"RECORD","stream":"x","record":{}}\n'


def opened(path: Path) -> bytes:
    """Open the file, give it back, and return what is in it then."""
    outlet = named_output(str(path), durable=False)
    assert outlet.position == path.stat().st_size
    outlet.close()
    return path.read_bytes()


def refusal(path: Path) -> str:
    """Have the file refused, which must leave it as it was, and return why."""
    before, changed_at = path.read_bytes(), path.stat().st_mtime_ns
    with pytest.raises(ConfigurationError) as refused:
        named_output(str(path), durable=False)
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == changed_at
    assert str(refused.value).startswith(f"{path}: ")
    return str(refused.value)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


ROWS = st.lists(
    st.dictionaries(st.text(max_size=8), st.integers(0, 9) | st.text(max_size=20) | st.none(), max_size=3), max_size=4
)
OUTCOMES = ROWS.map(lambda rows: Ok(rows, 200, 200, "ok\n") if rows else Empty(404, 404, None))


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """Return what an unbroken writer writes: runs, each call's rows before its `call` record."""
    pieces = []
    for run in draw(st.lists(st.sampled_from("rst"), min_size=1, max_size=2, unique=True)):
        pieces.append(line(run_started(run, AT, version="0.1.0", calls=3)))
        outcomes: list[Outcome] = draw(st.lists(OUTCOMES, max_size=4))
        for number, outcome in enumerate(outcomes):
            call = Call(f"{run}{number}", OPERATION, "interactions", "billing", ())
            pieces.append(call_lines(run, Settlement(call, outcome, 1, AT, 0.2)))
        if draw(st.booleans()):
            pieces.append(GAP)
        pieces.append(line(run_ended(run, AT, "finished", Counters(), 1.0)))
    return b"".join(pieces)


def until_last_mark(data: bytes) -> bytes:
    """Say it another way than the program does: forwards, by regular expression."""
    marks = re.compile(rb'^\{"type":"(?:run|call|gap)".*\n', re.MULTILINE)
    return data[: max((mark.end() for mark in marks.finditer(data)), default=0)]


class TestKilledWriters:
    @given(data=records(), share=st.floats(0, 1))
    def test_a_file_cut_short_anywhere_ends_with_its_last_mark(self, folder: Path, data: bytes, share: float) -> None:
        left = data[: round(len(data) * share)]
        (folder / "out").write_bytes(left)
        assert opened(folder / "out") == until_last_mark(left)

    def test_no_byte_offset_makes_a_difference(self, out: Path) -> None:
        data = RUN + ROW + CALL + GAP + OTHER_ROW * 2 + CALL.replace(b'"a"', b'"b"') + RUN
        for end in range(len(data) + 1):
            out.write_bytes(data[:end])
            assert opened(out) == until_last_mark(data[:end]), f"cut at {end}"

    async def test_lines_go_on_behind_the_last_mark(self, out: Path) -> None:
        out.write_bytes(RUN + CALL + ROW * 3 + ROW[:-5])
        async with open_output(out) as output:
            assert output.position == len(RUN + CALL)
            await output.write(ROW + CALL)
        assert out.read_bytes() == RUN + CALL + ROW + CALL

    @pytest.mark.parametrize("mark", [RUN, CALL, GAP, b'{"run": "r", "type": "gap"}\r\n'])
    def test_a_whole_record_without_its_line_end_was_never_acknowledged(self, out: Path, mark: bytes) -> None:
        out.write_bytes(RUN + mark.rstrip())
        assert opened(out) == RUN
        out.write_bytes(mark.rstrip())
        assert opened(out) == b""

    @pytest.mark.parametrize("torn", [b"{", b"\0" * 5000, b'{"type":"row","row":"\xc3', b"x" * 600_000])
    def test_behind_a_mark_whatever_has_no_line_end_is_torn(self, out: Path, torn: bytes) -> None:
        out.write_bytes(RUN + torn)
        assert opened(out) == RUN

    def test_a_writer_killed_in_the_midst_of_it_loses_only_what_nobody_was_told_of(self, out: Path) -> None:
        script = """
            import asyncio, sys
            from wolkvox_async.adapters.jsonlines import open_output
            async def main():
                async with open_output(sys.argv[1]) as output:
                    for call in range(1_000_000):
                        rows = b'{"type":"row","run":"r","call":"%d","row":"%b"}\\n' % (call, b"x" * 300) * 2000
                        print(await output.write(rows + b'{"type":"call","run":"r","call":"%d"}\\n' % call), flush=True)
            asyncio.run(main())
        """
        for _ in range(3):
            writer = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(script), str(out)], stdout=subprocess.PIPE, text=True
            )
            assert writer.stdout is not None
            told = [int(text) for text in itertools.islice(writer.stdout, 5)]
            writer.send_signal(signal.SIGKILL)
            told += [int(text) for text in writer.stdout.read().splitlines()]
            writer.wait()
            writer.stdout.close()
            left = out.read_bytes()
            kept = opened(out)
            assert told[-1] <= len(kept)
            assert kept == until_last_mark(left)


class TestRefusals:
    @pytest.mark.parametrize(
        "end",
        [STRANGE, b"a poem\n", b"\n", b"[]\n", b'"call"\n', b"\0\0" + CALL, CALL[:-5] + b"\n", b'{"type":["call"]}\n'],
    )
    @pytest.mark.parametrize("torn", [b"", b"{", b"whatever"])
    def test_a_last_line_that_is_no_record(self, out: Path, end: bytes, torn: bytes) -> None:
        out.write_bytes(RUN + CALL + end + torn)
        assert "its last line is no record of this program" in refusal(out)
        assert refusal(out).endswith("name another file")

    @pytest.mark.parametrize("field", ["type", "run"])
    def test_a_record_has_a_type_that_we_know_and_a_run(self, out: Path, field: str) -> None:
        out.write_bytes(RUN + re.sub(rb'"%b":"\w+"' % field.encode(), b'"%b":7' % field.encode(), CALL))
        assert "no record" in refusal(out)

    @pytest.mark.parametrize(
        "text",
        [
            b"a poem",
            b"{}",
            b'{"type":"call","from":"+57 1"}',
            b'{"type":"rows',
            b'{"type":"row","n":1',
            b" {",
            b"\0" * 9,
        ],
    )
    def test_a_torn_line_alone_that_no_writer_of_ours_began(self, out: Path, text: bytes) -> None:
        out.write_bytes(text)
        assert "this is no file of records" in refusal(out)

    @pytest.mark.parametrize("rows", [ROW + OTHER_ROW, OTHER_ROW + ROW * 3, ROW + ROW_OF_ANOTHER_RUN])
    def test_rows_of_more_than_one_call(self, out: Path, rows: bytes) -> None:
        out.write_bytes(RUN + CALL + rows + ROW[:9])
        assert "rows of more than one call without their `call` records" in refusal(out)

    @pytest.mark.parametrize("torn", [b"", ROW[:9]])
    def test_rows_only_are_a_filtered_copy(self, out: Path, torn: bytes) -> None:
        out.write_bytes(ROW * 3 + torn)
        assert "rows and no other records, as a filtered copy does: name another file" in refusal(out)

    def test_rows_behind_something_strange(self, out: Path) -> None:
        out.write_bytes(RUN + STRANGE + ROW * 2)
        assert "behind a line that is no record" in refusal(out)

    async def test_a_refused_file_can_be_locked_by_others_at_once(self, out: Path) -> None:
        out.write_bytes(STRANGE)
        with pytest.raises(ConfigurationError):
            await open_output(out).__aenter__()
        out.write_bytes(RUN)
        async with open_output(out) as output:
            assert output.position == len(RUN)

    @given(
        lines=st.lists(st.sampled_from([RUN, CALL, GAP, ROW, ROW, OTHER_ROW, STRANGE, b"\n"]), max_size=7),
        torn=st.sampled_from([b"", b"{", ROW[:-1], CALL[:20], RUN[:8], b"poem"]),
    )
    def test_nothing_else_is_ever_cut(self, folder: Path, lines: list[bytes], torn: bytes) -> None:
        path, data = folder / "mixed", b"".join(lines) + torn
        path.write_bytes(data)
        behind = list(itertools.takewhile(lambda line: b'"row"' in line, reversed(lines)))
        rest = lines[: len(lines) - len(behind)]
        is_ours = len(set(behind)) <= 1 and rest[-1:] in ([RUN], [CALL], [GAP])
        if is_ours or (not lines and torn != b"poem"):
            assert opened(path) == b"".join(rest)
        else:
            assert refusal(path)


class TestSizes:
    @pytest.mark.parametrize("size", [(1 << 20) - 60, 1 << 20, 3 << 20])
    def test_a_line_of_any_length_is_known_for_what_it_is(self, out: Path, size: int) -> None:
        row = ROW.replace(b'"12"', b'"%b"' % (b"x" * size))
        out.write_bytes(RUN + CALL + row * 2)
        assert opened(out) == RUN + CALL
        out.write_bytes(RUN + OTHER_ROW + row)
        assert "more than one call" in refusal(out)
        mark = CALL.replace(b'"a"', b'"a","msg":"%b"' % (b"x" * size))
        out.write_bytes(RUN + mark + ROW)
        assert opened(out) == RUN + mark
        out.write_bytes(RUN + STRANGE.replace(b"{}", b'"%b"' % (b"x" * size)))
        assert "no record" in refusal(out)
        out.write_bytes(RUN + mark[:-3] + b"\n")
        assert "no record" in refusal(out)

    def test_memory_is_bounded_whatever_was_left(self, out: Path) -> None:
        with out.open("wb") as file:
            file.write(RUN + CALL)
            for n in range(20_000):
                file.write(b'{"type":"row","run":"r","call":"a","n":%d,"row":{"pad":"%b"}}\n' % (n, b"y" * 60))
            file.write(ROW.replace(b"12", b"x" * (8 << 20)) + b"{")
            file.truncate(file.tell() + (64 << 20))
        tracemalloc.start()
        try:
            outlet = named_output(str(out), durable=False)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        outlet.close()
        assert out.read_bytes() == RUN + CALL
        assert peak < 1 << 20

    @given(st.integers(-70, 70))
    def test_the_blocks_of_the_scan_hide_no_line_end(self, folder: Path, shift: int) -> None:
        path = folder / "blocks"
        with path.open("wb") as file:
            file.write(RUN + CALL)
            file.truncate((1 << 18) * 2 + shift)
        assert opened(path) == RUN + CALL
        path.write_bytes(RUN + ROW.replace(b"12", b"x" * ((1 << 18) + shift)) * 3)
        assert opened(path) == RUN


class TestRaces:
    @pytest.mark.parametrize("other", [Path.touch, os.mkfifo, Path.exists], ids=["a file", "a pipe", "nothing"])
    async def test_a_file_that_is_exchanged_before_it_is_read_is_not_cut(
        self, out: Path, monkeypatch: pytest.MonkeyPatch, other: Callable[[Path], object]
    ) -> None:
        out.write_bytes(RUN + ROW)
        open_a_file = os.open

        def exchange_and_open(path: str | Path, flags: int, mode: int = 0o777) -> int:
            if flags & os.O_ACCMODE == os.O_RDONLY and path == out:
                out.rename(out.with_suffix(".old"))
                other(out)
            return open_a_file(path, flags, mode)

        monkeypatch.setattr(os, "open", exchange_and_open)
        with pytest.raises(ConfigurationError, match="moved away or replaced while it was being opened: run again"):
            await open_output(out).__aenter__()
        assert out.with_suffix(".old").read_bytes() == RUN + ROW

    async def test_a_file_that_somebody_writes_is_not_cut(self, out: Path) -> None:
        async with open_output(out) as output:
            await output.write(RUN + ROW)
            with pytest.raises(ConfigurationError, match="another writer"):
                await asyncio.to_thread(named_output, str(out), durable=False)
        assert out.read_bytes() == RUN + ROW
