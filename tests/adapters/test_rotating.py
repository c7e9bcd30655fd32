"""An output that is a file a day or a month: real files, cut anywhere, read by others."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wolkvox_async.adapters.jsonlines import JsonLines, RotatingLines, compression, open_rotating
from wolkvox_async.errors import ConfigurationError, OutputBusyError, OutputError, UsageError
from wolkvox_async.ports import Sink
from wolkvox_async.testing.clock import ManualClock

try:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    from backports import zstd

RUN = b'{"type":"run","schema":1,"run":"r","event":"started"}\n'
CALL = b'{"type":"call","run":"r","call":"a"}\n'
GAP = b'{"type":"gap","run":"r","slot":"s"}\n'
ROW = b'{"type":"row","run":"r","call":"a","n":1,"row":{"items":"12"}}\n'
SLYEST_ROW = (
    b'{"type":"row","run":"r","call":"a","n":1,"row":{"type":"row","a":"\\n{\\"type\\":\\"call\\",","type":"gap"}}\n'
)

DAY = 86_400.0
KINDS = pytest.mark.parametrize("kind", ["jsonl", "jsonl.zst"])


def packed(path: Path | str) -> bool:
    return ".zst" in Path(path).name


def unpacked(data: bytes, *, whole: bool = True) -> bytes:
    """Unpack frame by frame, as every reader of zstd does; with `whole`, to the end of the last one."""
    text = b""
    while data:
        reader = zstd.ZstdDecompressor()
        text += reader.decompress(data)
        assert reader.eof or not whole
        data = reader.unused_data
    return text


def text_of(path: Path, *, whole: bool = True) -> bytes:
    data = path.read_bytes()
    return unpacked(data, whole=whole) if packed(path) else data


def until_last_mark(data: bytes) -> bytes:
    """Say it another way than the program does: forwards, by regular expression."""
    marks = re.compile(rb'^\{"type":"(?:run|call|gap)".*\n', re.MULTILINE)
    return data[: max((mark.end() for mark in marks.finditer(data)), default=0)]


def manifest_of(path: Path) -> Any:
    return orjson.loads(path.with_name(path.name + ".manifest.json").read_bytes())


def call(name: str, rows: int = 1, filling: str = "") -> bytes:
    row = b'{"type":"row","run":"r","call":"%b","n":%d,"row":{"items":"12","x":"%b"}}\n'
    lines = [row % (name.encode(), n, filling.encode()) for n in range(1, rows + 1)]
    return b"".join((*lines, b'{"type":"call","run":"r","call":"%b"}\n' % name.encode()))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(utc=datetime(2026, 11, 21, 12, tzinfo=UTC))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def template(folder: Path, kind: str = "jsonl.zst") -> str:
    return f"{folder}/usage-{{date}}.{kind}"


def part(folder: Path, kind: str = "jsonl.zst", day: str = "2026-11-21") -> Path:
    return folder / f"usage-{day}.{kind}.part"


def finished(folder: Path, kind: str = "jsonl.zst", day: str = "2026-11-21") -> Path:
    return folder / f"usage-{day}.{kind}"


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


async def written(target: str, clock: ManualClock, *writes: bytes) -> None:
    async with open_rotating(target, clock) as sink:
        for lines in writes:
            await sink.write(lines)


class TestWriting:
    def test_it_is_a_sink(self, clock: ManualClock) -> None:
        sink: Sink = open_rotating("{date}", clock)
        assert isinstance(sink, JsonLines)

    @KINDS
    async def test_what_was_written_can_be_read_at_once_and_the_file_is_called_a_part(
        self, folder: Path, clock: ManualClock, kind: str
    ) -> None:
        async with open_rotating(template(folder, kind), clock) as sink:
            text = b""
            for lines in (RUN, ROW + CALL, GAP, call("b", 3)):
                assert await sink.write(lines) is None
                text += lines
                assert text_of(part(folder, kind), whole=False) == text
            assert (sink.place, sink.position, sink.is_stream) == (None, None, False)
        assert names(folder) == [part(folder, kind).name]
        assert text_of(part(folder, kind)) == text

    async def test_small_writes_pack_well_because_they_share_a_frame(self, folder: Path, clock: ManualClock) -> None:
        writes = [call(f"01KABCDEFGHJKMNPQRSTVWXYZ{number:03}", 1, "a word or two " * 20) for number in range(500)]
        await written(template(folder), clock, *writes)
        assert len(b"".join(writes)) > 8 * part(folder).stat().st_size

    async def test_a_long_file_has_several_frames_each_ending_with_a_call(
        self, folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(compression, "FRAME", 5_000)
        writes = [call(str(number), 3) for number in range(200)]
        await written(template(folder), clock, *writes)
        data, ends = part(folder).read_bytes(), []
        while data:
            reader = zstd.ZstdDecompressor()
            ends.append(reader.decompress(data)[-40:])
            data = reader.unused_data
        assert len(ends) > 5
        assert all(b'{"type":"call"' in end and end.endswith(b"\n") for end in ends)

    @pytest.mark.parametrize("where", ["a/b/{date}/usage.jsonl", "a/{month}/b/usage.jsonl.zst", "{date}"])
    async def test_folders_are_made_where_they_are_missing(self, folder: Path, clock: ManualClock, where: str) -> None:
        await written(f"{folder}/{where}", clock, RUN)
        name = where.replace("{date}", "2026-11-21").replace("{month}", "2026-11") + ".part"
        assert names(folder) == [name]

    async def test_a_relative_name_stands_in_the_current_folder(
        self, folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(folder)
        await written("{date}.jsonl", clock, RUN)
        clock.advance(DAY)
        await written("{date}.jsonl", clock, GAP)
        assert names(folder) == ["2026-11-21.jsonl", "2026-11-21.jsonl.manifest.json", "2026-11-22.jsonl.part"]

    async def test_it_is_open_only_inside_its_block(self, folder: Path, clock: ManualClock) -> None:
        sink = open_rotating(template(folder), clock)
        with pytest.raises(UsageError):
            await sink.turn()
        with pytest.raises(UsageError):
            sink.marks()

    async def test_nothing_is_written_once_it_was_aborted(self, folder: Path, clock: ManualClock) -> None:
        async with open_rotating(template(folder), clock) as sink:
            await sink.write(RUN)
            sink.abort()
            for attempt in (sink.write(CALL), sink.turn()):
                with pytest.raises(OutputError, match="writing was stopped"):
                    await attempt
        assert text_of(part(folder)) == RUN

    async def fail(self, target: str, clock: ManualClock) -> None:
        async with open_rotating(target, clock) as sink:
            await sink.write(RUN)
            raise ZeroDivisionError

    async def test_leaving_the_block_by_an_exception_leaves_a_part_to_go_on_with(
        self, folder: Path, clock: ManualClock
    ) -> None:
        with pytest.raises(ZeroDivisionError):
            await self.fail(template(folder), clock)
        await written(template(folder), clock, GAP)
        assert text_of(part(folder)) == RUN + GAP

    @KINDS
    async def test_a_part_that_somebody_empties_is_gone_on_with_from_its_start(
        self, folder: Path, clock: ManualClock, kind: str
    ) -> None:
        async with open_rotating(template(folder, kind), clock) as sink:
            await sink.write(RUN)
            os.truncate(part(folder, kind), 0)
            await sink.write(GAP)
        assert text_of(part(folder, kind)) == GAP


class TestTurning:
    @KINDS
    async def test_a_finished_file_has_its_name_and_a_manifest_that_is_true(
        self, folder: Path, clock: ManualClock, kind: str
    ) -> None:
        async with open_rotating(template(folder, kind), clock) as sink:
            for lines in (RUN, ROW + SLYEST_ROW + CALL, GAP, call("b", 3) + call("c", 0), GAP):
                await sink.write(lines)
            clock.advance(DAY)
            await sink.write(RUN)
            path = finished(folder, kind)
            assert names(folder) == [path.name, path.name + ".manifest.json", part(folder, kind, "2026-11-22").name]
            assert text_of(path) == RUN + ROW + SLYEST_ROW + CALL + GAP + call("b", 3) + call("c", 0) + GAP
            assert manifest_of(path) == {
                "file": path.name,
                "from": "2026-11-21T00:00:00.000Z",
                "to": "2026-11-22T00:00:00.000Z",
                "rows": 5,
                "calls": 3,
                "gaps": 2,
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
        assert text_of(part(folder, kind, "2026-11-22")) == RUN

    async def test_months_turn_with_the_month(self, folder: Path, clock: ManualClock) -> None:
        async with open_rotating(f"{folder}/{{month}}.jsonl", clock) as sink:
            await sink.write(RUN)
            clock.advance(9 * DAY)
            await sink.write(GAP)
            assert names(folder) == ["2026-11.jsonl.part"]
            clock.advance(DAY / 2)
            await sink.write(CALL)
        assert (folder / "2026-11.jsonl").read_bytes() == RUN + GAP
        assert manifest_of(folder / "2026-11.jsonl")["to"] == "2026-12-01T00:00:00.000Z"

    async def test_a_quiet_night_ends_the_file_too(self, folder: Path, clock: ManualClock) -> None:
        async with open_rotating(template(folder), clock) as sink:
            await sink.write(RUN)
            await sink.turn()
            assert names(folder) == [part(folder).name]
            clock.advance(DAY)
            await sink.turn()
            assert text_of(finished(folder)) == RUN
            clock.advance(DAY)
            await sink.turn()
        # Nothing was written on the 22nd, so nothing tells of it.
        path = finished(folder)
        assert names(folder) == [path.name, path.name + ".manifest.json", part(folder, day="2026-11-23").name]

    async def test_a_file_is_finished_only_when_the_state_has_had_time_to_hear_of_its_last_call(
        self, folder: Path, clock: ManualClock
    ) -> None:
        clock.advance(DAY / 2 - 1)
        async with open_rotating(template(folder), clock) as sink:
            await sink.write(RUN)
            clock.advance(2)
            await sink.write(GAP)
            assert names(folder) == [part(folder).name, part(folder, day="2026-11-22").name]
            clock.advance(7.9)
            await sink.turn()
            assert not finished(folder).exists()
            clock.advance(0.1)
            await sink.turn()
            assert text_of(finished(folder)) == RUN

    async def test_a_write_goes_wholly_into_one_file(self, folder: Path, clock: ManualClock) -> None:
        clock.advance(DAY / 2 - 0.5)
        async with open_rotating(template(folder), clock) as sink:
            for number in range(5):
                await sink.write(call(str(number), 1_000))
                clock.advance(0.2)
        assert text_of(part(folder)) == b"".join(call(str(number), 1_000) for number in range(3))
        assert text_of(part(folder, day="2026-11-22")) == call("3", 1_000) + call("4", 1_000)

    async def test_a_name_that_is_taken_gets_a_number_and_nothing_is_written_over(
        self, folder: Path, clock: ManualClock
    ) -> None:
        finished(folder).write_bytes(b"somebody's")
        (folder / "usage-2026-11-21-2.jsonl.zst").symlink_to("nowhere")
        await written(template(folder), clock, RUN)
        clock.advance(DAY)
        await written(template(folder), clock, RUN)
        third = folder / "usage-2026-11-21-3.jsonl.zst"
        assert (finished(folder).read_bytes(), text_of(third)) == (b"somebody's", RUN)
        assert manifest_of(third)["file"] == third.name

    async def test_a_clock_set_back_over_the_turn_goes_on_with_the_new_file(
        self, folder: Path, clock: ManualClock
    ) -> None:
        clock.advance(DAY / 2)
        async with open_rotating(template(folder), clock) as sink:
            await sink.write(RUN)
            clock.step_wall(-5)
            await sink.write(GAP)
        await written(template(folder), clock, CALL)
        assert text_of(part(folder, day="2026-11-22")) == RUN + GAP + CALL
        assert names(folder) == [part(folder, day="2026-11-22").name]

    async def test_a_clock_that_was_a_day_ahead_and_is_corrected_at_once_writes_each_file_once(
        self, folder: Path, clock: ManualClock
    ) -> None:
        async with open_rotating(template(folder), clock) as sink:
            await sink.write(RUN)
            clock.step_wall(DAY)
            await sink.write(GAP)
            clock.step_wall(-DAY)
            await sink.write(CALL)
        assert text_of(part(folder)) == RUN + CALL
        assert text_of(part(folder, day="2026-11-22")) == GAP

    async def test_an_ordinary_end_in_the_turn_leaves_parts_which_the_next_start_finishes(
        self, folder: Path, clock: ManualClock
    ) -> None:
        clock.advance(DAY / 2 - 1)
        async with open_rotating(template(folder), clock) as sink:
            await sink.write(RUN)
            clock.advance(1)
            await sink.write(GAP)
        assert names(folder) == [part(folder).name, part(folder, day="2026-11-22").name]
        await written(template(folder), clock, CALL)
        assert text_of(finished(folder)) == RUN
        assert text_of(part(folder, day="2026-11-22")) == GAP + CALL

    async def test_duckdb_reads_all_finished_files_of_a_folder(self, folder: Path, clock: ManualClock) -> None:
        for _ in range(2):
            await written(template(folder), clock, RUN, call("a", 2), GAP)
            await written(template(folder), clock, call("b", 3))
            clock.advance(DAY)
        await written(template(folder), clock, RUN)
        types = duckdb.read_json(f"{folder}/usage-*.jsonl.zst").aggregate("type, count(*)", "type").order("type")
        assert types.fetchall() == [("call", 4), ("gap", 2), ("row", 10), ("run", 2)]

    @pytest.mark.skipif(shutil.which("zstd") is None, reason="the command `zstd` is not there")
    async def test_the_command_of_zstd_reads_what_was_taken_up_many_times(
        self, folder: Path, clock: ManualClock
    ) -> None:
        for _ in range(5):
            await written(template(folder), clock, RUN, call("a", 2))
        command = ["zstd", "-dc", str(part(folder))]
        assert subprocess.run(command, check=True, capture_output=True).stdout == (RUN + call("a", 2)) * 5


WRITES = st.lists(
    st.one_of(
        st.sampled_from([RUN, GAP, CALL, SLYEST_ROW + CALL, GAP + GAP]),
        st.builds(call, st.sampled_from("abc"), st.integers(0, 4), st.sampled_from(["", "x" * 300, "\\n{}"])),
    ),
    min_size=1,
    max_size=8,
)


class TestRecovery:
    def left(self, folder: Path, kind: str, writes: list[bytes], *, sessions: int = 1) -> bytes:
        """Return the bytes of a part that was not ended, with frames that were before it."""
        for path in folder.iterdir():
            path.unlink()
        clock = ManualClock()

        async def write() -> bytes:
            data = b""
            for _ in range(sessions):
                async with open_rotating(template(folder, kind), clock) as sink:
                    for lines in writes:
                        await sink.write(lines)
                    data = part(folder, kind).read_bytes()
            return data

        return asyncio.run(write())

    def taken_up(self, folder: Path, kind: str, data: bytes, *writes: bytes) -> bytes:
        """Have a part with that in it taken up, and return the text that it has then."""
        part(folder, kind).write_bytes(data)
        asyncio.run(written(template(folder, kind), ManualClock(), *writes))
        return text_of(part(folder, kind))

    @KINDS
    @given(writes=WRITES, sessions=st.integers(1, 2), share=st.floats(0, 1))
    @settings(max_examples=60)
    def test_a_part_cut_anywhere_keeps_all_that_is_complete_and_is_appended_to(
        self, shared: Path, kind: str, writes: list[bytes], sessions: int, share: float
    ) -> None:
        data = self.left(shared, kind, writes, sessions=sessions)
        cut = data[: round(len(data) * share)]
        kept = until_last_mark(unpacked(cut, whole=False) if packed(kind_name(kind)) else cut)
        assert self.taken_up(shared, kind, cut) == kept
        assert self.taken_up(shared, kind, cut, GAP, call("z")) == kept + GAP + call("z")

    def test_no_byte_offset_makes_a_difference(self, shared: Path) -> None:
        writes = [RUN, call("a", 2), GAP + call("b", 0)]
        data = self.left(shared, "jsonl.zst", writes, sessions=2)
        for end in range(len(data) + 1):
            kept = self.taken_up(shared, "jsonl.zst", data[:end])
            assert kept == until_last_mark(unpacked(data[:end], whole=False)), f"cut at {end}"

    def test_whole_calls_of_a_write_that_was_cut_off_are_written_anew(self, shared: Path) -> None:
        # Chance text packs badly: the write has many blocks, none of which ends where a call does.
        fillings = [hashlib.sha512(str(number).encode()).hexdigest() * 20 for number in range(400)]
        big = b"".join(call(str(number), 1, filling) for number, filling in enumerate(fillings))
        data = self.left(shared, "jsonl.zst", [RUN, big])
        for share in (0.3, 0.6, 0.99):
            cut = data[: int(len(data) * share)]
            readable = unpacked(cut, whole=False)
            kept = until_last_mark(readable)
            assert 1 < kept.count(b'"type":"call"') < 400
            assert readable != kept
            assert self.taken_up(shared, "jsonl.zst", cut, GAP) == kept + GAP

    @pytest.mark.parametrize("zeros", [1, 2, 3, 4, 7, 8, 9, 100, 3_000_000])
    @pytest.mark.parametrize("ended", [True, False])
    @pytest.mark.parametrize("torn", [0, 5])
    def test_zeros_that_a_power_cut_left_are_not_part_of_the_file(
        self, shared: Path, zeros: int, ended: bool, torn: int
    ) -> None:
        data = self.left(shared, "jsonl.zst", [RUN, GAP, call("b", 2)])
        data = (data + compression.ENDING if ended else data)[: -torn or None]
        kept = until_last_mark(unpacked(data, whole=False))
        assert self.taken_up(shared, "jsonl.zst", data + bytes(zeros), CALL) == kept + CALL

    def test_a_file_of_nothing_but_zeros_is_begun_anew(self, shared: Path) -> None:
        assert self.taken_up(shared, "jsonl.zst", bytes(5_000), RUN) == RUN

    @KINDS
    async def test_a_manifest_counts_what_earlier_processes_wrote(
        self, folder: Path, clock: ManualClock, kind: str
    ) -> None:
        await written(template(folder, kind), clock, RUN, call("a", 2))
        await written(template(folder, kind), clock, GAP, call("b", 3))
        data = part(folder, kind).read_bytes()
        part(folder, kind).write_bytes(data[:-10] if packed(kind_name(kind)) else data + ROW + ROW[:7])
        clock.advance(DAY)
        await written(template(folder, kind), clock, RUN)
        path = finished(folder, kind)
        manifest, text = manifest_of(path), text_of(path)
        assert text == until_last_mark(text)
        assert {"rows": text.count(b'"type":"row"'), "calls": text.count(b'"type":"call"'), "gaps": 1}.items() <= (
            manifest.items()
        )
        assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert manifest["bytes"] == path.stat().st_size

    async def test_a_process_killed_while_it_finished_a_file_leaves_one_that_is_finished_again(
        self, folder: Path, clock: ManualClock
    ) -> None:
        await written(template(folder), clock, RUN, GAP)
        path = finished(folder)
        path.with_name(path.name + ".manifest.json.part").write_bytes(b'{"fi')
        path.with_name(path.name + ".manifest.json").write_bytes(b"of a shorter one")
        clock.advance(DAY)
        await written(template(folder), clock, RUN)
        assert manifest_of(path)["bytes"] == path.stat().st_size
        assert names(folder) == [path.name, path.name + ".manifest.json", part(folder, day="2026-11-22").name]

    async def test_parts_of_all_former_periods_are_finished(self, folder: Path, clock: ManualClock) -> None:
        target = f"{folder}/{{date}}/usage.jsonl"
        for day in ("2026-11-03", "2025-12-31", "2026-11-25"):
            (folder / day).mkdir()
            (folder / day / "usage.jsonl.part").write_bytes(RUN + ROW)
        (folder / "2026-11-04").mkdir()
        await written(target, clock, GAP)
        found = [name for name in names(folder) if not name.endswith(".json")]
        assert found == [
            "2025-12-31/usage.jsonl",
            "2026-11-03/usage.jsonl",
            "2026-11-21/usage.jsonl.part",
            "2026-11-25/usage.jsonl",
        ]
        assert (folder / "2026-11-03/usage.jsonl").read_bytes() == RUN

    @pytest.mark.parametrize(
        "data",
        [
            b"a poem\n",
            zstd.compress(b"a poem\n"),
            zstd.compress(ROW * 3),
            zstd.compress(RUN + b"a poem\n" + CALL),
            zstd.compress(RUN) + b"and more",
            zstd.compress(RUN + CALL)[:-9] + b"\xff" * 9,
            zstd.compress(RUN, options={zstd.CompressionParameter.checksum_flag: 1})[:-2],
        ],
        ids=["text", "packed text", "rows only", "a line", "garbage behind", "damage", "a frame of another's"],
    )
    async def test_what_no_killed_writer_leaves_is_refused_untouched(
        self, folder: Path, clock: ManualClock, data: bytes
    ) -> None:
        part(folder).write_bytes(data)
        with pytest.raises(ConfigurationError, match=f"^{part(folder)}: .* move it away") as refused:
            await written(template(folder), clock, RUN)
        assert not isinstance(refused.value, OutputBusyError)
        assert part(folder).read_bytes() == data

    async def test_plain_lines_that_no_killed_writer_leaves_are_refused_untouched(
        self, folder: Path, clock: ManualClock
    ) -> None:
        for data in (b"a poem\n", RUN + b"a poem\n" + CALL, ROW + ROW.replace(b'"a"', b'"b"'), RUN + ROW + b"{}\n"):
            part(folder, "jsonl").write_bytes(data)
            with pytest.raises(ConfigurationError, match="something that this program did not write"):
                await written(template(folder, "jsonl"), clock, RUN)
            assert part(folder, "jsonl").read_bytes() == data

    async def test_taking_up_a_long_file_takes_little_memory(self, folder: Path, clock: ManualClock) -> None:
        lines = b"".join(call(str(number), 50, "x" * 200) for number in range(100))
        await written(template(folder), clock, *[lines] * 40)
        part(folder).write_bytes(part(folder).read_bytes()[:-5])
        tracemalloc.start()
        try:
            async with open_rotating(template(folder), clock) as sink:
                count = sum(1 for _ in sink.marks())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert 3_900 <= count < 4_000
        assert len(lines) * 40 > 50 << 20 > 2 * peak

    def test_a_writer_killed_in_the_midst_of_it_loses_nothing_that_it_was_told_is_written(self, folder: Path) -> None:
        script = """
            import asyncio, sys
            from wolkvox_async.adapters.clock import LoopClock
            from wolkvox_async.adapters.jsonlines import open_rotating
            async def main():
                async with open_rotating(sys.argv[1], LoopClock()) as output:
                    for call in range(1_000_000):
                        row = b'{"type":"row","run":"r","call":"%d","row":"%d"}\\n' % (call, call * call)
                        await output.write(row * 200 + b'{"type":"call","run":"r","call":"%d"}\\n' % call)
                        print(call, flush=True)
            asyncio.run(main())
        """
        target = f"{folder}/{{month}}.zst"
        for _ in range(2):
            command = [sys.executable, "-c", textwrap.dedent(script), target]
            writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert writer.stdout is not None
            told = [int(text) for text in itertools.islice(writer.stdout, 20)]
            writer.send_signal(signal.SIGKILL)
            told += [int(text) for text in writer.stdout.read().splitlines()]
            writer.wait()
            writer.stdout.close()
            [left] = folder.iterdir()
            readable = unpacked(left.read_bytes(), whole=False)
            month = datetime.strptime(left.name, "%Y-%m.zst.part").replace(tzinfo=UTC)
            asyncio.run(written(target, ManualClock(utc=month)))
            text = unpacked(left.read_bytes())
            assert text == until_last_mark(readable)
            calls = [orjson.loads(line)["call"] for line in text.splitlines() if line.startswith(b'{"type":"call"')]
            assert calls[-1] in {str(told[-1]), str(told[-1] + 1)}


def kind_name(kind: str) -> str:
    return f"usage.{kind}"


class TestMarks:
    @KINDS
    async def test_what_stood_there_at_the_opening_is_told_the_oldest_first(
        self, folder: Path, clock: ManualClock, kind: str
    ) -> None:
        await written(template(folder, kind), clock, RUN, call("a", 2) + GAP)
        clock.advance(DAY)
        # Its first write finishes the file of the 21st, which is told of no more.
        await written(template(folder, kind), clock, call("b"))
        clock.advance(DAY)
        async with open_rotating(template(folder, kind), clock):
            pass
        clock.advance(-1)
        async with open_rotating(template(folder, kind), clock) as sink:
            marks = [orjson.loads(mark)["call"] for mark in sink.marks()]
            assert marks == ["b"]
            await sink.write(call("c"))
            assert not part(folder, kind, "2026-11-22").exists()
        async with open_rotating(template(folder, kind), clock) as sink:
            assert list(sink.marks()) == [call("c").splitlines()[-1]]

    @KINDS
    async def test_they_are_calls_and_gaps_as_lines_without_their_ends(
        self, folder: Path, clock: ManualClock, kind: str
    ) -> None:
        await written(template(folder, kind), clock, RUN, SLYEST_ROW + CALL + GAP, RUN, GAP)
        async with open_rotating(template(folder, kind), clock) as sink:
            assert list(sink.marks()) == [CALL.strip(), GAP.strip(), GAP.strip()]
            assert list(sink.marks()) == [CALL.strip(), GAP.strip(), GAP.strip()]

    async def test_files_of_former_periods_stay_parts_until_their_marks_can_have_been_read(
        self, folder: Path, clock: ManualClock
    ) -> None:
        await written(template(folder), clock, RUN, CALL)
        clock.advance(DAY)
        for _ in range(2):  # the first may be killed before the state has heard of them
            async with open_rotating(template(folder), clock) as sink:
                assert list(sink.marks()) == [CALL.strip()]
        assert not finished(folder).exists()
        async with open_rotating(template(folder), clock) as sink:
            await sink.turn()
        assert text_of(finished(folder)) == RUN + CALL

    async def test_what_a_killed_writer_completed_is_told_even_when_it_was_saved(
        self, folder: Path, clock: ManualClock
    ) -> None:
        fillings = [hashlib.sha512(str(number).encode()).hexdigest() * 20 for number in range(300)]
        await written(template(folder), clock, b"".join(call(str(n), 1, text) for n, text in enumerate(fillings)))
        part(folder).write_bytes(part(folder).read_bytes()[: part(folder).stat().st_size // 2])
        async with open_rotating(template(folder), clock) as sink:
            marks = [orjson.loads(mark)["call"] for mark in sink.marks()]
        assert marks == [str(number) for number in range(len(marks))]
        assert len(marks) > 100

    async def test_portions_are_the_same_marks(self, folder: Path, clock: ManualClock) -> None:
        lines = [b'{"type":"call","run":"r","call":"%d"}\n' % number for number in range(25_000)]
        await written(template(folder), clock, b"".join(lines))
        async with open_rotating(template(folder), clock) as sink:
            portions = [portion async for portion in sink.portions()]
        assert [len(portion) for portion in portions] == [10_000, 10_000, 5_000]
        assert [line + b"\n" for portion in portions for line in portion] == lines

    async def test_a_file_that_vanished_is_said_to_have(self, folder: Path, clock: ManualClock) -> None:
        await written(template(folder), clock, CALL)
        async with open_rotating(template(folder), clock) as sink:
            part(folder).unlink()
            with pytest.raises(OutputError, match="moved away, deleted or replaced"):
                list(sink.marks())


class TestOneWriter:
    async def test_a_second_writer_is_refused_and_changes_nothing(self, folder: Path, clock: ManualClock) -> None:
        async with open_rotating(template(folder), clock) as sink:
            await sink.write(RUN)
            with pytest.raises(OutputBusyError, match="another writer has this file"):
                await written(template(folder), clock, GAP)
            await sink.write(CALL)
        assert text_of(part(folder)) == RUN + CALL

    async def test_one_that_starts_after_midnight_meets_the_writer_of_the_day_before(
        self, folder: Path, clock: ManualClock
    ) -> None:
        tomorrow = ManualClock(utc=datetime(2026, 11, 22, 0, 1, tzinfo=UTC))
        async with open_rotating(template(folder), clock) as sink:
            await sink.write(RUN)
            with pytest.raises(OutputBusyError):
                await written(template(folder), tomorrow, GAP)
        assert names(folder) == [part(folder).name]

    async def test_the_next_file_being_written_by_another_is_an_error_of_the_output(
        self, folder: Path, clock: ManualClock
    ) -> None:
        async with open_rotating(template(folder), clock) as sink:
            await sink.write(RUN)
            part(folder).rename(folder / "hidden")
            clock.advance(DAY)
            async with open_rotating(template(folder), clock):
                for _ in range(2):
                    with pytest.raises(OutputError, match="another writer has this file"):
                        await sink.write(GAP)


class TestFailures:
    async def test_a_full_disk_is_an_output_error_and_stays_one(
        self, folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = os.write

        def full(descriptor: int, data: bytes) -> int:
            given(descriptor, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        async with open_rotating(template(folder), clock) as sink:
            await sink.write(RUN)
            with monkeypatch.context() as patch:
                patch.setattr(os, "write", full)
                with pytest.raises(OutputError, match="the disk is full"):
                    await sink.write(call("a"))
            for attempt in (sink.write(CALL), sink.turn()):
                with pytest.raises(OutputError, match="the disk is full"):
                    await attempt
        assert text_of(part(folder), whole=False) == RUN
        await written(template(folder), clock, GAP)
        assert text_of(part(folder)) == RUN + GAP

    async def test_a_file_that_cannot_be_finished_fails_the_output_and_is_finished_by_the_next_start(
        self, folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(_descriptor: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        async with open_rotating(template(folder), clock) as sink:
            await sink.write(RUN)
            clock.advance(DAY)
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", broken)
                for _ in range(2):
                    with pytest.raises(OutputError, match="what was written may be lost"):
                        await sink.write(GAP)
        assert not finished(folder).exists()
        await written(template(folder), clock, CALL)
        assert text_of(finished(folder)) == RUN
        assert text_of(part(folder, day="2026-11-22")) == CALL

    async def test_a_part_that_was_replaced_is_not_given_the_name_of_a_finished_file(
        self, folder: Path, clock: ManualClock
    ) -> None:
        async with open_rotating(template(folder), clock) as sink:
            await sink.write(RUN)
            part(folder).unlink()
            part(folder).write_bytes(b"somebody's")
            clock.advance(DAY)
            with pytest.raises(OutputError, match="moved away, deleted or replaced"):
                await sink.turn()
        assert part(folder).read_bytes() == b"somebody's"
        assert not finished(folder).exists()

    @pytest.mark.parametrize(
        ("make", "what"),
        [
            (lambda path: path.mkdir(), "this is a folder"),
            (os.mkfifo, "nobody reads from this|no regular file"),
            (lambda path: path.symlink_to("elsewhere"), "symbolic link"),
        ],
        ids=["folder", "pipe", "link"],
    )
    async def test_a_part_that_is_no_file_is_refused(
        self, folder: Path, clock: ManualClock, make: Callable[[Path], None], what: str
    ) -> None:
        make(part(folder))
        with pytest.raises(ConfigurationError, match=what):
            await written(template(folder), clock, RUN)

    async def test_a_folder_that_is_a_file_is_refused(self, folder: Path, clock: ManualClock) -> None:
        (folder / "file").write_bytes(b"")
        for where in ("file/{date}", "file/{date}/x", "file/a/{date}"):
            with pytest.raises(ConfigurationError, match="a part of the path is a file"):
                await written(f"{folder}/{where}", clock, RUN)


class TestDurability:
    async def test_every_write_and_every_name_is_on_the_disk(
        self, folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced: list[tuple[str, int]] = []
        given = os.fsync

        def fsync(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(folder)
            synced.append((path.as_posix(), os.fstat(descriptor).st_size if path.suffix else -1))
            given(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        async with open_rotating(f"{folder}/{{date}}/x.zst", clock, durable=True) as sink:
            file = folder / "2026-11-21/x.zst.part"
            assert {(".", -1), ("2026-11-21", -1)} <= set(synced)
            for lines in (RUN, call("a")):
                await sink.write(lines)
                assert synced[-1] == ("2026-11-21/x.zst.part", file.stat().st_size)
            clock.advance(DAY)
            synced.clear()
            await sink.turn()
            names = [name for name, _ in synced]
            assert names.index("2026-11-21/x.zst.part") < names.index("2026-11-21/x.zst.manifest.json.part")
            assert names[-1] == "2026-11-21"

    async def test_without_it_only_a_finished_file_is(
        self, folder: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        synced: list[int] = []
        monkeypatch.setattr(os, "fsync", synced.append)
        async with open_rotating(template(folder), clock) as sink:
            await sink.write(RUN)
            assert not synced
            clock.advance(DAY)
            await sink.turn()
            assert len(synced) == 2  # the file, and its manifest


async def test_a_block_may_be_entered_again_after_it_could_not_be(folder: Path, clock: ManualClock) -> None:
    sink: RotatingLines = open_rotating(template(folder), clock)
    async with open_rotating(template(folder), clock):
        with pytest.raises(OutputBusyError):
            await sink.__aenter__()
    async with sink:
        await sink.write(RUN)
    assert text_of(part(folder)) == RUN
