"""Where an output stands: positions while others rename, truncate and replace its file, and reading marks back."""

from __future__ import annotations

import os
import socket
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.adapters.jsonlines import Place, marks, open_output
from wolkvox_async.errors import OutputError, UsageError

RUN = b'{"type":"run","schema":1,"run":"r","event":"started"}\n'
ROW = b'{"type":"row","run":"r","call":"a","n":1,"row":"{\\"type\\":\\"call\\"}"}\n'
CALLS = [b'{"type":"call","run":"r","call":"%b"}\n' % name for name in (b"a", b"b", b"c")]
A, B, C = CALLS


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def ends_of(kind: str, path: Path) -> tuple[int, int]:
    """Return what standard output may be, the reader's end first."""
    if kind == "pipe":
        return os.pipe()
    if kind == "socket":
        left, right = socket.socketpair()
        return left.detach(), right.detach()
    return os.open(os.devnull, os.O_RDONLY), os.open(path, os.O_WRONLY | os.O_CREAT)


class TestPositions:
    async def test_a_write_says_where_the_file_ends_behind_it(self, out: Path) -> None:
        out.write_bytes(RUN)
        async with open_output(out) as output:
            assert output.position == len(RUN)
            assert await output.write(ROW + A) == len(RUN + ROW + A)
            assert output.position == len(RUN + ROW + A) == out.stat().st_size
            assert not output.is_stream

    async def test_a_place_is_the_file_whatever_led_to_it(
        self, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "link").symlink_to(out.name)
        monkeypatch.chdir(tmp_path)
        async with open_output("link") as output:
            place = output.place
        status = out.stat()
        assert place == Place(out.resolve(), status.st_dev, status.st_ino)
        async with open_output(out) as output:
            assert output.place == place

    async def test_a_stream_has_no_place(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        for target in (tmp_path / "fifo", "/dev/null"):
            async with open_output(target) as output:
                assert output.is_stream
                assert [output.place, output.position, await output.write(A)] == [None] * 3
        os.close(reader)

    @pytest.mark.parametrize("kind", ["pipe", "socket", "file"])
    async def test_standard_output_is_never_taken_up_again(self, out: Path, kind: str) -> None:
        reader, writer = ends_of(kind, out)
        kept = os.dup(1)
        os.dup2(writer, 1)
        try:
            async with open_output("-", durable=True) as output:
                assert output.is_stream == (kind != "file")
                assert [output.place, output.position, await output.write(ROW)] == [None] * 3
            # What a shell redirected is not looked into, so nothing of it is cut.
            async with open_output("-") as output:
                assert await output.write(A) is None
        finally:
            os.dup2(kept, 1)
            for descriptor in (kept, reader, writer):
                os.close(descriptor)
        assert kind != "file" or out.read_bytes() == ROW + A

    async def test_only_an_open_output_stands_anywhere(self, out: Path) -> None:
        output = open_output(out)
        async with output:
            assert output.position == 0
        with pytest.raises(UsageError, match="not open"):
            assert output.position
        with pytest.raises(UsageError, match="not open"):
            assert output.place
        with pytest.raises(UsageError, match="not open"):
            assert output.is_stream


class TestFilesThatOthersTouch:
    async def test_a_renamed_file_is_written_to_on(self, out: Path) -> None:
        async with open_output(out) as output:
            await output.write(A)
            out.rename(out.with_suffix(".1"))
            out.write_bytes(RUN)
            assert await output.write(B) == len(A + B)
        assert out.with_suffix(".1").read_bytes() == A + B
        assert out.read_bytes() == RUN

    async def test_a_deleted_file_still_takes_lines(self, out: Path) -> None:
        async with open_output(out) as output:
            await output.write(A)
            out.unlink()
            assert await output.write(B) == len(A + B)
        assert not out.exists()

    async def test_a_truncated_file_is_appended_to_at_its_new_end(self, out: Path) -> None:
        async with open_output(out) as output:
            await output.write(A + B)
            os.truncate(out, 0)
            assert await output.write(C) == len(C) == output.position
        assert out.read_bytes() == C


class TestMarks:
    def test_only_call_records_are_read_back(self, out: Path) -> None:
        out.write_bytes(RUN + ROW * 2 + A + ROW + B + RUN + C)
        assert list(marks(out, 0, out.stat().st_size)) == [line.rstrip() for line in CALLS]

    async def test_they_can_be_read_while_the_output_is_open(self, out: Path) -> None:
        out.write_bytes(RUN + A + ROW)
        async with open_output(out) as output:
            assert output.place is not None
            assert output.position is not None
            before = output.position
            end = await output.write(B)
            assert end is not None
            assert list(marks(output.place, before, end)) == [B.rstrip()]
            assert list(marks(str(out), 0, before)) == [A.rstrip()]

    def test_a_line_that_ends_behind_the_end_does_not_count(self, out: Path) -> None:
        out.write_bytes(A + B)
        assert list(marks(out, 0, len(A + B) - 1)) == [A.rstrip()]
        assert list(marks(out, 0, 10_000)) == [A.rstrip(), B.rstrip()]

    def test_where_all_was_read_nothing_is_left(self, out: Path) -> None:
        out.write_bytes(A + B)
        assert list(marks(out, len(A + B), len(A + B))) == []
        out.write_bytes(b"")
        assert list(marks(out, 0, 0)) == []

    @pytest.mark.parametrize("start", [-1, 3, len(A) - 1, len(A) + 1, len(A + B) + 1, 10_000])
    def test_a_start_where_no_line_begins_means_another_file(self, out: Path, start: int) -> None:
        out.write_bytes(A + B)
        assert list(marks(out, start, len(A + B))) == [A.rstrip(), B.rstrip()]

    def test_a_start_beyond_the_end_means_another_file(self, out: Path) -> None:
        out.write_bytes(A + B + C)
        assert list(marks(out, len(A + B), len(A))) == [A.rstrip()]

    @given(lines=st.lists(st.sampled_from([RUN, ROW, *CALLS]), max_size=8), cut=st.integers(0, 8))
    def test_two_readings_are_one(self, folder: Path, lines: list[bytes], cut: int) -> None:
        path, data, middle = folder / "out", b"".join(lines), len(b"".join(lines[:cut]))
        path.write_bytes(data)
        read = [*marks(path, 0, middle), *marks(path, middle, len(data))]
        assert read == [line.rstrip() for line in lines if line in CALLS]

    @pytest.mark.parametrize("first", [A, A[:-2] + b',"msg":"%b"}\n' % (b"x" * 2_500_000)], ids=["short", "long"])
    def test_a_record_may_stand_across_blocks(self, out: Path, first: bytes) -> None:
        for shift in range(-60, 20):
            out.write_bytes(ROW[:-2] + b" " * ((1 << 20) + shift - len(ROW)) + b"}\n" + first + ROW + B + C)
            read = list(marks(out, 0, out.stat().st_size))
            assert read == [line.rstrip() for line in (first, B, C)], f"begins {shift} bytes from a block's end"

    def test_memory_is_bounded_whatever_stands_between(self, out: Path) -> None:
        with out.open("wb") as file:
            file.write(A + ROW[:-2])
            file.truncate(64 << 20)
            file.seek(0, os.SEEK_END)
            file.write(b"}\n" + ROW * 100_000 + B)
        tracemalloc.start()
        try:
            read = list(marks(out, 0, out.stat().st_size))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert read == [A.rstrip(), B.rstrip()]
        assert peak < 8 << 20

    def test_half_a_reading_leaves_nothing_open(self, out: Path) -> None:
        out.write_bytes(A + B)
        before = {entry.name for entry in Path("/dev/fd").iterdir()}
        reading = marks(out, 0, len(A + B))
        assert next(reading) == A.rstrip()
        del reading
        assert {entry.name for entry in Path("/dev/fd").iterdir()} == before

    def test_a_file_that_cannot_be_read_is_said(self, out: Path) -> None:
        with pytest.raises(OutputError, match=f"{out}: No such file"):
            list(marks(out, 0, 1))

    @pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "moved"])
    async def test_a_place_is_not_read_where_another_file_is_by_now(self, out: Path, *, replaced: bool) -> None:
        async with open_output(out) as output:
            await output.write(A)
            place = output.place
            out.rename(out.with_suffix(".1"))
            if replaced:
                out.write_bytes(B)
            assert place is not None
            with pytest.raises(OutputError, match="moved away, deleted or replaced by another file"):
                list(marks(place, 0, len(A)))
