"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wolkvox_async.apps.reporting.writing import complaint, write_all
from wolkvox_async.errors import OutputClosedError, OutputError


def broken() -> Iterator[str]:
    """Yield a piece, then fail."""
    yield "half"
    raise OSError(28, "No space left on device")


def test_all_files_are_written_or_none(tmp_path: Path) -> None:
    old = tmp_path / "old.html"
    old.write_text("before")
    with pytest.raises(OutputError, match="no space left"):
        write_all([(str(old), ["after"]), (str(tmp_path / "b.csv"), broken())])
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("old.html", "before")]
    write_all([(str(old), ["aft", "er"]), (str(tmp_path / "b.csv"), ["b"])])
    assert sorted((one.name, one.read_text()) for one in tmp_path.iterdir()) == [("b.csv", "b"), ("old.html", "after")]


def test_a_link_stays_a_link_and_a_new_file_is_as_private_as_others(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "there" / "real.html")
    write_all([(str(link), ["x"])])
    assert link.is_symlink()
    (tmp_path / "other").write_text("")
    assert link.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_full_device_and_a_missing_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no space left"):
        write_all([("/dev/full", ["x" * 100_000])])
    assert Path("/dev/full").is_char_device()
    with pytest.raises(OutputError, match="no such file or directory"):
        write_all([(str(tmp_path / "none" / "a.html"), ["x"])])


def test_a_reader_that_went_away_is_said(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    def pieces() -> Iterator[str]:
        os.close(reader)
        yield "x" * 1_000_000

    with pytest.raises(OutputClosedError, match="went away"):
        write_all([(str(pipe), pieces())])


def test_only_its_like_is_replaced(tmp_path: Path) -> None:
    begins = b"<!doctype html>"

    def said(content: bytes, inputs: list[Path | None]) -> str:
        path = tmp_path / "x"
        path.write_bytes(content)
        found = complaint(str(path), "--output", begins, inputs)
        return "" if found is None else found.message

    assert said(b"", []) == said(begins + b"...", [None]) == ""
    assert "another kind of file" in said(b'{"type":"run"}', [])
    assert "would destroy" in said(begins, [tmp_path / "x"])
    assert complaint(str(tmp_path), "--output", begins, []) is not None
    assert complaint("", "--csv", begins, []) is not None
    assert complaint("a\0b", "--csv", begins, []) is not None
    for of_records in ("new.jsonl", "usage-{date}.html", "a.zst"):
        assert complaint(str(tmp_path / of_records), "--output", begins, []) is not None
    for fine in ("-", "/dev/null", str(tmp_path / "new.html")):
        assert complaint(fine, "--output", begins, []) is None
