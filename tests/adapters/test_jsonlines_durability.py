"""Outputs that survive a power cut: what is fsynced, when, and what a failed fsync means.

A failing disk cannot be had in a test, so there the call that would meet it fails itself.
"""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from wolkvox_async.adapters.jsonlines import JsonLines, open_output
from wolkvox_async.errors import ConfigurationError, OutputError

RUN = b'{"type":"run","schema":1,"run":"r","event":"started"}\n'
ROW = b'{"type":"row","run":"r","call":"a","n":1,"row":null}\n'
CALL = b'{"type":"call","run":"r","call":"a"}\n'

GIVEN = os.fsync


@dataclass
class Disk:
    """Does what is asked and notes it; from `broken` on, every fsync fails like that."""

    broken: int | None = None
    synced: list[tuple[int, int]] = field(default_factory=list)
    """Inode and size, at the time of the fsync."""

    def fsync(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        self.synced.append((status.st_ino, status.st_size))
        if self.broken is not None:
            raise OSError(self.broken, os.strerror(self.broken))
        GIVEN(descriptor)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(os, "fsync", made.fsync)
    return made


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


@pytest.fixture
def box() -> Iterator[Path]:
    """A folder whose parents may be entered by everybody."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


class TestWhatIsSynced:
    async def test_a_write_returns_when_the_disk_has_it(self, out: Path, disk: Disk) -> None:
        async with open_output(out, durable=True) as output:
            inode = out.stat().st_ino
            for count in range(1, 4):
                assert await output.write(CALL) == count * len(CALL)
                assert disk.synced[-1] == (inode, count * len(CALL))

    async def test_each_of_many_writes_returns_behind_an_fsync_of_it(self, out: Path, disk: Disk) -> None:
        async def write(output: JsonLines) -> bool:
            end = await output.write(CALL)
            return end is not None and (out.stat().st_ino, end) in disk.synced

        async with open_output(out, durable=True) as output:
            assert all(await asyncio.gather(*(write(output) for _ in range(50))))

    async def test_the_folder_of_a_new_file_is_synced_once_it_is_there(self, out: Path, disk: Disk) -> None:
        async with open_output(out, durable=True):
            assert [inode for inode, _ in disk.synced] == [out.stat().st_ino, out.parent.stat().st_ino]

    async def test_the_folder_is_the_one_that_the_file_is_in(self, out: Path, tmp_path: Path, disk: Disk) -> None:
        (tmp_path / "links").mkdir()
        (tmp_path / "links" / "link").symlink_to(out)
        async with open_output(tmp_path / "links" / "link", durable=True):
            assert disk.synced[-1][0] == tmp_path.stat().st_ino

    async def test_what_an_earlier_writer_left_is_synced_behind_the_cut(self, out: Path, disk: Disk) -> None:
        # It may have been killed between its write and its fsync; what is read back must not vanish again.
        out.write_bytes(RUN + CALL + ROW)
        async with open_output(out, durable=True) as output:
            assert disk.synced[0] == (out.stat().st_ino, len(RUN + CALL))
            assert output.position == len(RUN + CALL)

    async def test_standard_output_that_is_a_file_is_synced_too(self, out: Path, disk: Disk) -> None:
        kept, writer = os.dup(1), os.open(out, os.O_WRONLY | os.O_CREAT)
        os.dup2(writer, 1)
        try:
            async with open_output("-", durable=True) as output:
                await output.write(CALL)
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            os.close(writer)
        assert disk.synced == [(out.stat().st_ino, len(CALL))]

    async def test_nothing_is_synced_unless_it_was_asked_for(self, out: Path, disk: Disk) -> None:
        out.write_bytes(RUN + ROW)
        async with open_output(out) as output:
            await output.write(CALL)
        assert disk.synced == []
        assert out.read_bytes() == RUN + CALL

    async def test_a_stream_has_nothing_to_sync(self, tmp_path: Path, disk: Disk) -> None:
        disk.broken = errno.EINVAL
        os.mkfifo(tmp_path / "fifo")
        reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        for target in (tmp_path / "fifo", "/dev/null"):
            async with open_output(target, durable=True) as output:
                assert await output.write(CALL) is None
        assert os.read(reader, 100) == CALL
        os.close(reader)

    async def test_a_file_system_that_cannot_sync_folders_is_no_fault(
        self, out: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def only_files(descriptor: int) -> None:
            disk.broken = None if os.fstat(descriptor).st_ino == out.stat().st_ino else errno.EINVAL
            disk.fsync(descriptor)

        monkeypatch.setattr(os, "fsync", only_files)
        async with open_output(out, durable=True) as output:
            assert await output.write(CALL) == len(CALL)

    async def test_a_folder_that_may_not_be_read_is_a_mistake(self, box: Path) -> None:
        (box / "out").touch()
        (box / "out").chmod(0o666)
        box.chmod(0o333)
        was_root = os.geteuid() == 0
        if was_root:
            os.seteuid(65534)
        try:
            with pytest.raises(ConfigurationError, match=f"{box}: a new file survives a power cut only in a folder"):
                await open_output(box / "out", durable=True).__aenter__()
            async with open_output(box / "out") as output:
                assert output.position == 0
        finally:
            if was_root:
                os.seteuid(0)
            box.chmod(0o755)


class TestFailures:
    @pytest.mark.parametrize(
        ("broken", "said"), [(errno.EIO, "check the disk"), (errno.ENOSPC, "disk is full"), (errno.EINVAL, "Invalid")]
    )
    async def test_a_failed_fsync_is_fatal_and_never_tried_again(
        self, out: Path, disk: Disk, broken: int, said: str
    ) -> None:
        async with open_output(out, durable=True) as output:
            await output.write(RUN)
            disk.broken, before = broken, len(disk.synced)
            with pytest.raises(OutputError, match=rf"{out.name}: .*{said}.*\(what was written may be lost\)") as first:
                await output.write(CALL)
            disk.broken = None
            with pytest.raises(OutputError) as later:
                await output.write(CALL)
            assert later.value is first.value
            assert output.position == len(RUN)
        assert len(disk.synced) == before + 1

    async def test_what_was_not_delivered_is_not_read_back(self, out: Path, disk: Disk) -> None:
        async with open_output(out, durable=True) as output:
            await output.write(RUN)
            disk.broken = errno.EIO
            with pytest.raises(OutputError):
                await output.write(ROW + CALL)
        assert out.read_bytes() == RUN

    async def test_writes_behind_a_failed_one_never_reach_the_file(self, out: Path, disk: Disk) -> None:
        async with open_output(out, durable=True) as output:
            disk.broken = errno.EIO
            ended = await asyncio.gather(*(output.write(CALL) for _ in range(10)), return_exceptions=True)
        assert all(isinstance(error, OutputError) for error in ended)
        assert out.read_bytes() == b""

    async def test_an_output_that_cannot_be_synced_is_not_opened(self, out: Path, disk: Disk) -> None:
        out.write_bytes(RUN)
        disk.broken = errno.EIO
        before = {entry.name for entry in Path("/dev/fd").iterdir()}
        with pytest.raises(OutputError, match=r"check the disk.*\(what was written may be lost\)"):
            await open_output(out, durable=True).__aenter__()
        assert {entry.name for entry in Path("/dev/fd").iterdir()} == before
        assert len(disk.synced) == 1
