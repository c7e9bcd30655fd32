"""The output as its neighbours see it: real files, pipes, sockets, terminals and other processes."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import select
import socket
import stat
import subprocess
import sys
import termios
import textwrap
import threading
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.adapters.jsonlines import JsonLines, open_output
from wolkvox_async.adapters.jsonlines.outlets import _piece_end
from wolkvox_async.errors import (
    ConfigurationError,
    OutputBusyError,
    OutputClosedError,
    OutputError,
    UsageError,
)
from wolkvox_async.ports import Sink

LINE = b'{"type":"call","run":"r"}\n'  # a mark: what stands behind it is looked at when a file is opened
BATCH = LINE * 20_000  # several times what a pipe holds
LONG_LINE = b'{"type":"call","run":"r","msg":"%b"}\n' % (b"x" * len(BATCH))


class Pipe:
    """Two connected descriptors; the output writes into one, the test reads from the other."""

    def __init__(self, reader: int, writer: int) -> None:
        self.reader = reader
        self.writer = writer
        self.taken = b""

    async def full(self) -> None:
        """Wait until something is in it and nothing more comes."""
        levels = [0]
        while not levels[-1] or len(levels) < 20 or len(set(levels[-20:])) > 1:
            await asyncio.sleep(0.001)
            levels.append(int.from_bytes(fcntl.ioctl(self.reader, termios.FIONREAD, b"1234"), sys.byteorder))

    def take(self, size: int) -> bytes:
        """Read until `size` bytes were read in all, and return them all."""
        while len(self.taken) < size:
            self.taken += os.read(self.reader, 1 << 16)
        return self.taken

    def take_rest(self) -> bytes:
        """Read what is there, and return all that ever was."""
        while select.select([self.reader], [], [], 0)[0] and (part := os.read(self.reader, 1 << 16)):
            self.taken += part
        return self.taken

    def close(self) -> None:
        for descriptor in (self.reader, self.writer):
            with contextlib.suppress(OSError):
                os.close(descriptor)


def plain_pipe() -> Pipe:
    return Pipe(*os.pipe())


def nonblocking_pipe() -> Pipe:
    made = plain_pipe()
    os.set_blocking(made.writer, False)
    return made


def stream_socket() -> Pipe:
    left, right = socket.socketpair()
    return Pipe(left.detach(), right.detach())


def terminal() -> Pipe:
    leader, follower = pty.openpty()
    tty.setraw(follower)
    return Pipe(leader, follower)


KINDS = (plain_pipe, nonblocking_pipe, stream_socket, terminal)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def stream(request: pytest.FixtureRequest) -> Iterator[Pipe]:
    make: Callable[[], Pipe] = request.param
    made = make()
    yield made
    made.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = plain_pipe()
    yield made
    made.close()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


@contextlib.contextmanager
def in_place_of_standard_output(descriptor: int) -> Iterator[None]:
    kept = os.dup(1)
    os.dup2(descriptor, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.asynccontextmanager
async def standard_output(descriptor: int) -> AsyncIterator[JsonLines]:
    """Open standard output while `descriptor` stands in its place, as a shell would have it."""
    async with contextlib.AsyncExitStack() as stack:
        with in_place_of_standard_output(descriptor):
            output = await stack.enter_async_context(open_output("-"))
        yield output


def run_python(
    script: str, *arguments: str, stdout: int | IO[bytes] = subprocess.PIPE, start: str = 'exec "$@"'
) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, started by that shell command."""
    head = "import asyncio, os, sys\nfrom wolkvox_async.adapters.jsonlines import open_output\n"
    command = ["/bin/sh", "-c", start, "sh", sys.executable, "-c", head + textwrap.dedent(script), *arguments]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=50, check=False)


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/dev/fd").iterdir()}


class TestDelivery:
    async def test_a_write_is_in_the_file_when_it_returns(self, out: Path) -> None:
        async with open_output(out) as output:
            await output.write(LINE)
            assert out.read_bytes() == LINE
            await output.write(LINE * 2)
            assert out.read_bytes() == LINE * 3

    async def test_a_write_can_be_read_when_it_returns(self, stream: Pipe) -> None:
        async with standard_output(stream.writer) as output:
            await output.write(LINE)
            assert stream.take_rest() == LINE

    async def test_a_slow_reader_gets_every_byte(self, stream: Pipe) -> None:
        async with standard_output(stream.writer) as output:
            writing = asyncio.create_task(output.write(BATCH + LONG_LINE + LINE))
            await stream.full()
            taken = await asyncio.to_thread(stream.take, len(BATCH + LONG_LINE + LINE))
            await writing
        assert taken == BATCH + LONG_LINE + LINE

    async def test_the_flags_of_a_shared_description_stay_as_they_are(self, stream: Pipe) -> None:
        before = fcntl.fcntl(stream.writer, fcntl.F_GETFL)
        async with standard_output(stream.writer) as output:
            await output.write(LINE)
            assert fcntl.fcntl(stream.writer, fcntl.F_GETFL) == before

    async def test_a_named_pipe_is_an_output_while_somebody_reads_it(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        async with open_output(tmp_path / "fifo") as output:
            await output.write(LINE)
            assert os.read(reader, 100) == LINE
        os.close(reader)

    async def test_the_null_device_takes_everything(self) -> None:
        async with open_output("/dev/null") as output:
            assert await output.write(BATCH) is None

    async def test_writers_of_many_tasks_never_mix_their_lines(self, pipe: Pipe) -> None:
        batches = [
            b"".join(b'{"writer":%d,"n":%d,"pad":"%b"}\n' % (w, n, b"y" * (w * 200)) for n in range(20))
            for w in range(40)
        ]
        async with standard_output(pipe.writer) as output:
            reading = asyncio.create_task(asyncio.to_thread(pipe.take, sum(map(len, batches))))
            await asyncio.gather(*(output.write(batch) for batch in batches))
        records = [json.loads(line) for line in (await reading).splitlines()]
        assert [(r["writer"], r["n"]) for r in records] == [(w, n) for w in range(40) for n in range(20)]

    async def test_two_writers_of_one_pipe_never_tear_each_others_lines(self, pipe: Pipe) -> None:
        first, second = (b'{"from":%d,"pad":"%b"}\n' % (n, b"z" * 700 * n) for n in (1, 2))
        async with standard_output(pipe.writer) as one, standard_output(pipe.writer) as other:
            reading = asyncio.create_task(asyncio.to_thread(pipe.take, 300 * len(first + second)))
            await asyncio.gather(one.write(first * 300), other.write(second * 300))
        lines = (await reading).splitlines(keepends=True)
        assert sorted(lines) == sorted([first] * 300 + [second] * 300)

    @given(st.lists(st.integers(0, 3 * select.PIPE_BUF), max_size=20), st.lists(st.integers(1, 5000)))
    def test_pieces_are_whole_lines_unless_a_line_is_too_long(self, lengths: list[int], takes: list[int]) -> None:
        lines = b"".join(b"x" * length + b"\n" for length in lengths)
        start, taking = 0, iter(takes)
        while start < len(lines):
            end = _piece_end(lines, start)
            piece = lines[start:end]
            assert 0 < len(piece) <= select.PIPE_BUF
            assert piece.endswith(b"\n") or (len(piece) == select.PIPE_BUF and b"\n" not in piece)
            start += min(len(piece), next(taking, len(piece)))
        assert start == len(lines)


class TestFiles:
    async def test_a_file_is_appended_to(self, out: Path) -> None:
        out.write_bytes(LINE)
        async with open_output(str(out)) as output:
            await output.write(LINE)
        assert out.read_bytes() == LINE * 2

    @pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
    async def test_a_new_file_has_the_rights_that_the_umask_leaves(self, out: Path, umask: int, mode: int) -> None:
        before = os.umask(umask)
        try:
            async with open_output(out):
                pass
        finally:
            os.umask(before)
        assert stat.S_IMODE(out.stat().st_mode) == mode

    async def test_a_file_has_one_writer_at_a_time(self, out: Path) -> None:
        async with open_output(out):
            with pytest.raises(OutputBusyError, match=rf"{out.name}: another writer has this file: wait"):
                await open_output(out).__aenter__()
        async with open_output(out) as output:
            await output.write(LINE)
        assert out.read_bytes() == LINE

    async def test_another_name_of_the_file_is_the_same_file(self, out: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(out)
        async with open_output(out):
            with pytest.raises(OutputBusyError, match="link"):
                await open_output(tmp_path / "link").__aenter__()

    async def test_another_process_is_kept_out(self, out: Path) -> None:
        attempt = """
            async def main():
                async with open_output(sys.argv[1]):
                    print("opened")
            asyncio.run(main())
        """
        async with open_output(out):
            outside = await asyncio.to_thread(run_python, attempt, str(out))
        assert "OutputBusyError" in outside.stderr
        assert (await asyncio.to_thread(run_python, attempt, str(out))).stdout == "opened\n"

    async def test_standard_output_on_a_file_keeps_others_out_until_it_is_left(self, out: Path) -> None:
        with out.open("ab") as shell:
            async with standard_output(shell.fileno()) as output:
                await output.write(LINE)
                with pytest.raises(OutputBusyError):
                    await open_output(out).__aenter__()
            async with open_output(out) as later:
                await later.write(LINE)
        assert out.read_bytes() == LINE * 2

    async def test_a_child_process_does_not_keep_the_file(self, out: Path) -> None:
        async with open_output(out):
            child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
        try:
            async with open_output(out) as output:
                await output.write(LINE)
        finally:
            child.communicate(b"\n")
        assert out.read_bytes() == LINE


class TestMistakes:
    async def refusal(self, path: str | Path) -> ConfigurationError:
        before = descriptors()
        with pytest.raises(ConfigurationError) as refused:
            await open_output(path).__aenter__()
        assert descriptors() == before
        return refused.value

    async def test_a_folder_is_no_output(self, tmp_path: Path) -> None:
        assert str(await self.refusal(tmp_path)) == f"{tmp_path}: this is a folder: name a file in it"

    async def test_a_missing_folder_is_not_created(self, tmp_path: Path) -> None:
        assert "does not exist: create it first" in str(await self.refusal(tmp_path / "new" / "out"))

    async def test_a_file_is_no_folder(self, out: Path) -> None:
        out.write_bytes(LINE)
        assert "is a file, not a folder" in str(await self.refusal(out / "out"))

    async def test_a_null_character_is_in_no_name(self) -> None:
        assert "no file name" in str(await self.refusal("a\0b"))

    async def test_a_named_pipe_without_a_reader_does_not_keep_us_waiting(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        assert "start the reader first" in str(await self.refusal(tmp_path / "fifo"))

    async def test_a_file_of_somebody_else_is_not_written_to(self, out: Path) -> None:
        out.touch(mode=0o400)
        was_root = os.geteuid() == 0
        if was_root:
            os.seteuid(65534)
        try:
            assert "permission denied" in str(await self.refusal(out))
        finally:
            if was_root:
                os.seteuid(0)

    def test_a_closed_standard_output_is_noticed(self, out: Path) -> None:
        # The file opened first gets the number of standard output: nothing may be written into it.
        script = """
            async def main():
                other = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
                async with open_output("-") as output:
                    await output.write(b"{}\\n")
            asyncio.run(main())
        """
        ended = run_python(script, str(out), start='exec "$@" >&-')
        assert "OutputError: standard output is closed" in ended.stderr
        assert out.read_bytes() == b""

    async def test_a_closed_output_takes_nothing(self, out: Path) -> None:
        output = open_output(out)
        with pytest.raises(UsageError, match="not open"):
            await output.write(LINE)
        async with output:
            pass
        with pytest.raises(UsageError, match="not open"):
            await output.write(LINE)


class TestFailures:
    async def test_a_full_disk_ends_the_output_for_good(self) -> None:
        async with open_output("/dev/full") as output:
            with pytest.raises(OutputError, match=r"/dev/full: the disk is full: free space, then run again") as first:
                await output.write(LINE)
            with pytest.raises(OutputError) as later:
                await output.write(LINE)
            assert later.value is first.value

    @pytest.mark.parametrize("redirected", [False, True], ids=["named", "redirected"])
    @pytest.mark.parametrize("opened", ["wb", "ab"])
    def test_a_write_that_does_not_fit_is_taken_back(self, out: Path, opened: str, *, redirected: bool) -> None:
        script = """
            import resource
            from wolkvox_async.errors import OutputError
            async def main():
                resource.setrlimit(resource.RLIMIT_FSIZE, (110_000, 110_000))
                async with open_output(sys.argv[1]) as output:
                    while True:
                        await output.write(b'{"type":"call","run":"r"}\\n' * 1000)
            try:
                asyncio.run(main())
            except OutputError as error:
                print(error, file=sys.stderr)
                sys.exit(4)
        """
        with out.open(opened) as shell:
            ended = run_python(script, "-" if redirected else str(out), stdout=shell if redirected else subprocess.PIPE)
        assert ended.returncode == 4
        assert "the file may not grow any more" in ended.stderr
        assert "ends with the last whole line" in ended.stderr
        assert out.read_bytes() == LINE * 4000

    async def test_a_reader_that_went_away_is_told_from_other_failures(self, pipe: Pipe) -> None:
        async with standard_output(pipe.writer) as output:
            os.close(pipe.reader)
            with pytest.raises(OutputClosedError, match="standard output: its reader went away"):
                await output.write(LINE)
            with pytest.raises(OutputClosedError):
                await output.write(LINE)

    async def test_a_reader_that_goes_away_while_we_wait_ends_the_wait(self, stream: Pipe) -> None:
        async with standard_output(stream.writer) as output:
            writing = asyncio.create_task(output.write(BATCH))
            await stream.full()
            os.close(stream.reader)
            with pytest.raises(OutputClosedError):
                await writing


class TestGivingUp:
    async def test_a_reader_that_stands_still_is_given_up_between_two_lines(self, stream: Pipe) -> None:
        async with standard_output(stream.writer) as output:
            writing = asyncio.create_task(output.write(BATCH))
            await stream.full()
            output.abort()
            with pytest.raises(OutputError, match="stopped before everything was delivered"):
                await writing
            taken = stream.take_rest()
        assert taken
        assert BATCH.startswith(taken)

    @pytest.mark.parametrize("make", [plain_pipe, nonblocking_pipe])
    async def test_what_a_pipe_holds_after_giving_up_ends_with_a_line(self, make: Callable[[], Pipe]) -> None:
        pipe = make()
        async with standard_output(pipe.writer) as output:
            writing = asyncio.create_task(output.write(BATCH))
            await pipe.full()
            output.abort()
            with pytest.raises(OutputError):
                await writing
            assert pipe.take_rest().endswith(LINE)
        pipe.close()

    async def test_a_line_longer_than_a_pipe_takes_does_not_keep_us_waiting(self, stream: Pipe) -> None:
        async with standard_output(stream.writer) as output:
            writing = asyncio.create_task(output.write(LONG_LINE + LINE))
            await stream.full()
            output.abort()
            with pytest.raises(OutputError):
                await writing
            assert LONG_LINE.startswith(stream.take_rest())

    async def test_nothing_is_written_after_giving_up(self, stream: Pipe) -> None:
        async with standard_output(stream.writer) as output:
            await output.write(LINE)
            output.abort()
            output.abort()
            with pytest.raises(OutputError, match="stopped"):
                await output.write(LINE)
            assert stream.take_rest() == LINE

    async def test_a_stopped_terminal_can_be_given_up(self) -> None:
        screen = terminal()
        async with standard_output(screen.writer) as output:
            termios.tcflow(screen.writer, termios.TCOOFF)
            writing = asyncio.create_task(output.write(LINE))
            await asyncio.wait([writing], timeout=0.02)
            assert not writing.done()
            output.abort()
            with pytest.raises(OutputError):
                await writing
            termios.tcflow(screen.writer, termios.TCOON)
            assert screen.take_rest() == b""
        screen.close()

    async def test_a_file_is_written_to_its_end_before_giving_up(self, out: Path) -> None:
        async with open_output(out) as output:
            writing = asyncio.create_task(output.write(BATCH))
            await asyncio.sleep(0)
            output.abort()
            await asyncio.wait([writing])
        assert out.read_bytes() in (b"", BATCH)


class TestCancelling:
    async def test_a_cancelled_write_that_began_is_finished_before_the_next_one(self, stream: Pipe) -> None:
        async with standard_output(stream.writer) as output:
            writing = asyncio.create_task(output.write(BATCH))
            await stream.full()
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
            later = asyncio.create_task(output.write(LONG_LINE))
            taken = await asyncio.to_thread(stream.take, len(BATCH + LONG_LINE))
            await later
        assert taken == BATCH + LONG_LINE

    async def test_a_cancelled_write_that_had_not_begun_is_withdrawn(self, stream: Pipe) -> None:
        async with standard_output(stream.writer) as output:
            first = asyncio.create_task(output.write(BATCH))
            await stream.full()
            second, third = (asyncio.create_task(output.write(lines)) for lines in (LONG_LINE, LINE))
            await asyncio.sleep(0)
            second.cancel()
            await asyncio.wait([second])
            taken = await asyncio.to_thread(stream.take, len(BATCH + LINE))
            await asyncio.gather(first, second, third, return_exceptions=True)
        assert taken == BATCH + LINE

    async def test_leaving_the_block_waits_for_what_a_cancelled_write_began(self, pipe: Pipe) -> None:
        async with standard_output(pipe.writer) as output:
            writing = asyncio.create_task(output.write(BATCH))
            await pipe.full()
            writing.cancel()
            reading = asyncio.create_task(asyncio.to_thread(pipe.take, len(BATCH)))
        assert await reading == BATCH

    async def test_leaving_the_block_by_an_exception_gives_the_reader_up(self, stream: Pipe) -> None:
        async def fail_while_writing() -> None:
            async with standard_output(stream.writer) as output, asyncio.TaskGroup() as group:
                group.create_task(output.write(BATCH))
                await stream.full()
                raise LookupError

        with pytest.raises(ExceptionGroup) as failed:
            await fail_while_writing()
        assert failed.group_contains(LookupError)
        assert BATCH.startswith(stream.take_rest())

    async def test_cancelling_while_the_block_is_left_gives_the_reader_up(self, pipe: Pipe) -> None:
        async def leave_while_writing() -> None:
            async with standard_output(pipe.writer) as output:
                writing = asyncio.create_task(output.write(BATCH))
                await pipe.full()
                writing.cancel()

        leaving = asyncio.create_task(leave_while_writing())
        await asyncio.wait([leaving], timeout=0.1)
        assert not leaving.done()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert pipe.take_rest().endswith(LINE)


class TestLeavingNothingBehind:
    async def test_the_thread_and_the_descriptors_are_gone(self, stream: Pipe, out: Path) -> None:
        threads, opened = threading.active_count(), descriptors()
        for target in (out, "-"):
            async with standard_output(stream.writer), open_output(out if target == out else "/dev/null") as output:
                await output.write(LINE)
                assert threading.active_count() == threads + 2
        assert threading.active_count() == threads
        assert descriptors() == opened

    async def test_an_opening_that_is_cancelled_leaves_nothing_open(self, out: Path) -> None:
        threads, opened = threading.active_count(), descriptors()
        for _ in range(20):
            opening = asyncio.create_task(open_output(out).__aenter__())
            await asyncio.sleep(0)
            opening.cancel()
            await asyncio.wait([opening])
            assert opening.cancelled()
        assert threading.active_count() == threads
        assert descriptors() == opened
        async with open_output(out) as output:
            assert output.position == 0

    async def test_an_opening_that_failed_can_be_tried_again(self, out: Path) -> None:
        threads, output = threading.active_count(), open_output(out)
        async with open_output(out):
            with pytest.raises(OutputBusyError):
                await output.__aenter__()
        assert threading.active_count() == threads
        async with output:
            await output.write(LINE)
        assert out.read_bytes() == LINE

    async def test_one_thread_serves_every_write(self, out: Path) -> None:
        threads = threading.active_count()
        async with open_output(out) as output:
            await asyncio.gather(*(output.write(LINE) for _ in range(200)))
            assert threading.active_count() == threads + 1
        assert out.read_bytes() == LINE * 200


def test_the_output_is_a_sink() -> None:
    sink: Sink = open_output("-")
    assert callable(sink.write)
