"""Where records come from."""

import io
import os
import sys
from pathlib import Path

import orjson
import pytest

from tests.statements.told import CALENDAR, answer, utc
from wolkvox_async.adapters.jsonlines.compression import Packer
from wolkvox_async.apps.reporting import sources
from wolkvox_async.apps.reporting.reading import read
from wolkvox_async.apps.reporting.sources import Source, find
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.statements import Books


def lines(at: str, value: int) -> bytes:
    """Return a call as lines."""
    return b"".join(orjson.dumps(record) + b"\n" for record in answer(at, value))


def packed(*texts: bytes, ended: bool = True) -> bytes:
    """Return texts as our outputs pack them."""
    packer = Packer()
    return b"".join(packer.pack(text) for text in texts) + (packer.end() if ended else b"")


def readings(found: list[Source]) -> list[object]:
    """Read everything, and return the day's values."""
    books = Books(CALENDAR)
    read(found, books)
    return [
        value for subject in books for page in subject.months.values() for value in page.days(31) if value is not None
    ]


def found(*patterns: object) -> list[Source]:
    """Return what is meant, which must be right."""
    there, mistakes = find(str(pattern) for pattern in patterns)
    assert mistakes == []
    return there


def test_a_pattern_stands_for_its_files_without_their_manifests(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_bytes(lines("2026-11-02 10:00", 2))
    (tmp_path / "a.jsonl").write_bytes(lines("2026-11-03 10:00", 3))
    (tmp_path / "a.jsonl.manifest.json").write_bytes(b'{"rows":1,"calls":1,"gaps":0}')
    there = found(tmp_path / "*")
    assert [Path(one.name).name for one in there] == ["b.jsonl", "a.jsonl"]  # in the order of their records
    assert readings(there) == [2, 3]
    assert not any(one.is_odd for one in there)


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines("2026-11-02 10:00", 2))
    (tmp_path / "link.jsonl").symlink_to(path)
    assert len(found(path, tmp_path / "*.jsonl", path)) == 1


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "usage[1].jsonl").write_bytes(lines("2026-11-02 10:00", 2))
    assert readings(found(tmp_path / "usage[1].jsonl")) == [2]


def test_everything_that_cannot_be_read_is_said_at_once(tmp_path: Path) -> None:
    _, mistakes = find([str(tmp_path), str(tmp_path / "none.jsonl"), str(tmp_path / "*.zst"), "a\0b"])
    assert len(mistakes) == 4


@pytest.mark.parametrize("name", ["usage.jsonl.zst", "usage.jsonl"])
def test_what_is_packed_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    day, next_day = lines("2026-11-02 10:00", 2), lines("2026-11-03 10:00", 3)
    (tmp_path / name).write_bytes(packed(day) + packed(next_day))
    there = found(tmp_path / name)
    assert readings(there) == [2, 3]
    assert not there[0].is_odd


def test_a_packed_file_that_is_still_written_gives_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "u.jsonl.zst.part").write_bytes(packed(lines("2026-11-02 10:00", 2), ended=False))
    there = found(tmp_path / "u.jsonl.zst.part")
    assert readings(there) == [2]
    assert there[0].cut
    assert not there[0].is_odd
    (tmp_path / "u.jsonl.zst").write_bytes(packed(lines("2026-11-02 10:00", 2), ended=False))
    finished = found(tmp_path / "u.jsonl.zst")
    assert readings(finished) == [2]
    assert finished[0].is_odd


def test_a_torn_last_line_is_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines("2026-11-02 10:00", 2) + lines("2026-11-03 10:00", 3)[:-20])
    there = found(tmp_path / "a.jsonl")
    assert readings(there) == [2]
    assert (there[0].torn, there[0].strange) == (True, 0)


def test_a_last_line_that_only_lacks_its_end_counts(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines("2026-11-02 10:00", 2)[:-1])
    there = found(tmp_path / "a.jsonl")
    assert readings(there) == [2]
    assert not there[0].is_odd


def test_lines_that_are_no_records_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    text = lines("2026-11-02 10:00", 2) + b"oops\n\n" + lines("2026-11-03 10:00", 3) + b'{"type":"call"}\n'
    (tmp_path / "a.jsonl").write_bytes(text)
    there = found(tmp_path / "a.jsonl")
    assert readings(there) == [2, 3]
    assert (there[0].strange, there[0].first_strange, there[0].torn) == (2, 3, False)


def test_a_manifest_tells_of_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines("2026-11-02 10:00", 2))
    manifest = tmp_path / "a.jsonl.manifest.json"
    for rows, differs in ((1, False), (2, True)):
        manifest.write_bytes(orjson.dumps({"rows": rows, "calls": 1, "gaps": 0}))
        there = found(tmp_path / "a.jsonl")
        readings(there)
        assert there[0].differs is differs
    manifest.write_bytes(b"[")
    assert not found(tmp_path / "a.jsonl")[0].is_odd


def test_rows_at_the_end_of_a_file_do_not_wait_for_the_next(tmp_path: Path) -> None:
    row, call = lines("2026-11-02 10:00", 2).splitlines(keepends=True)
    (tmp_path / "a.jsonl").write_bytes(lines("2026-11-01 10:00", 1) + row)
    (tmp_path / "b.jsonl").write_bytes(call)
    assert readings(found(tmp_path / "a.jsonl", tmp_path / "b.jsonl")) == [1]


@pytest.mark.parametrize("pack", [False, True])
def test_standard_input_is_read_in_whatever_pieces_it_comes(monkeypatch: pytest.MonkeyPatch, pack: bool) -> None:
    text = lines("2026-11-02 10:00", 2) + lines("2026-11-03 10:00", 3)

    class Trickle(io.RawIOBase):
        def __init__(self, content: bytes) -> None:
            self.rest = content

        def read1(self, _: int) -> bytes:
            piece, self.rest = self.rest[:3], self.rest[3:]
            return piece

    monkeypatch.setattr(sys, "stdin", type("Input", (), {"buffer": Trickle(packed(text) if pack else text)}))
    there = found("-")
    assert [one.name for one in there] == ["standard input"]
    assert readings(there) == [2, 3]


def test_what_cannot_be_unpacked_or_has_no_lines_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zst").write_bytes(b"\x28\xb5\x2f\xfd" + b"\xff" * 100)
    with pytest.raises(ConfigurationError, match="cannot be unpacked"):
        readings(found(tmp_path / "a.zst"))
    monkeypatch.setattr(sources, "_LONGEST", 100)
    (tmp_path / "b").write_bytes(b"x" * 1000)
    with pytest.raises(ConfigurationError, match="no file of records"):
        readings(found(tmp_path / "b"))


def test_a_pipe_is_not_opened_to_see_what_it_begins_with(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.jsonl").write_bytes(lines("2026-11-02 10:00", 2))
    assert [Path(one.name).name for one in found(tmp_path / "pipe", tmp_path / "a.jsonl")] == ["a.jsonl", "pipe"]


def test_times_of_the_first_records_sort(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\n" + orjson.dumps({"slot": utc("2026-11-02 10:00")}))
    assert Source("a", tmp_path / "a").first_moment() == "2026-11-02T15:00:00.000Z"
    (tmp_path / "b").write_bytes(b"[]")
    assert Source("b", tmp_path / "b").first_moment() == ""
