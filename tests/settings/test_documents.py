from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest

from wolkvox_async.errors import ConfigurationError, Mistake
from wolkvox_async.settings.documents import MAX_BYTES, Document, read_document

from .samples import TOKEN, write


def refusal(path: Path | str) -> Mistake:
    with pytest.raises(ConfigurationError) as caught:
        read_document(str(path))
    [mistake] = caught.value.mistakes
    return mistake


def read_or_refuse(path: Path) -> Document | ConfigurationError:
    try:
        return read_document(str(path))
    except ConfigurationError as error:
        return error


def test_a_document_knows_its_value_and_where_it_came_from(tmp_path: Path) -> None:
    path = write(tmp_path, {"a": [1]})
    document = read_document(str(path))
    assert document.value == {"a": [1]}
    assert document.source.file == str(path)
    assert not document.source.exposed
    assert document.doubled == ()


def test_a_byte_order_mark_is_tolerated_and_takes_no_column(tmp_path: Path) -> None:
    document = read_document(str(write(tmp_path, b'\xef\xbb\xbf{"a": 1}')))
    assert document.value == {"a": 1}
    assert document.source.places is not None
    assert document.source.places.locate([("a",)])["a",][0].column == 2


def test_the_path_is_repeated_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(refusal("./no.json")) == "./no.json: there is no such file"


def test_a_folder_a_pipe_and_a_device_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path).message == "this is a folder, not a file"
    assert refusal(tmp_path / "pipe").message == "this is no regular file: pipes and devices are not read"
    assert refusal("/dev/zero").message == "this is no regular file: pipes and devices are not read"


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(200 * 2**20)
    assert refusal(path).message == "the file has 200 MiB: a tenants file has at most 64 MiB"


def test_the_limit_itself_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES)
    assert refusal(path).line == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, {}, 0o000)).message == "the file may not be read (permission denied)"


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "\ud800"])
def test_what_cannot_be_a_file_is_a_mistake(name: str) -> None:
    assert refusal(name).message.startswith(("this cannot be the name of a file", "the file cannot be read: "))


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (b"", (1, 1), "the file is empty"),
        (b' {"a":\n "\xc3\xa9\xff"}', (2, 4), "the file is not UTF-8: byte 0xff"),
        (b'{"a": 1,\n}', (1, 8), "the comma before a closing } or ] is one too many"),
        (b'\xef\xbb\xbf{"a" 1}', (1, 6), "a colon is expected here: is a quote missing?"),
    ],
)
def test_what_is_no_json_is_one_mistake_with_its_place(
    tmp_path: Path, content: bytes, place: tuple[int, int], message: str
) -> None:
    mistake = refusal(write(tmp_path, content))
    assert ((mistake.line, mistake.column), mistake.message) == (place, message)


def test_utf_16_is_named(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, "{}".encode("utf-16"))).message == "the file is UTF-16: save it as UTF-8"


@pytest.mark.parametrize(
    ("text", "doubled"),
    [
        ('{"a": 1, "a": 2}', (("a",),)),
        ('[{"x": [{"b": 1, "c": 2, "b": {}}]}]', ((0, "x", 0, "b"),)),
        ('{"a": 1, "\\u0061": 2}', (("a",),)),
        ('{"a": {"a": 1}, "b": [{"a": 1}, {"a": 1}]}', ()),
        ('{"a": "\\"a\\":", "b": 1}', ()),
    ],
)
def test_keys_that_stand_twice_are_found(tmp_path: Path, text: str, doubled: tuple[object, ...]) -> None:
    assert read_document(str(write(tmp_path, text))).doubled == doubled


@pytest.mark.parametrize("twice", ["", ', "a": 1'])
@pytest.mark.parametrize("depth", [900, 1_000, 1_024, 5_000])
def test_deep_nesting_is_read_or_refused_and_no_crash(tmp_path: Path, depth: int, twice: str) -> None:
    found = read_or_refuse(write(tmp_path, '{"a": ' * depth + "1" + twice + "}" * depth))
    if isinstance(found, Document):
        assert depth < 5_000
        assert bool(found.doubled) is bool(twice)
    else:
        assert "nested too deeply" in str(found)


def test_no_frame_of_a_refusal_holds_what_the_file_holds(tmp_path: Path) -> None:
    path = write(tmp_path, f'{{"token": "{TOKEN}" "x"}}')
    with pytest.raises(ConfigurationError) as caught:
        read_document(str(path))
    captured = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in captured.stack if frame.filename.endswith("settings/documents.py")]
    assert [frame.name for frame in frames] == ["read_document"]
    assert TOKEN not in "".join(captured.format())


def test_a_document_does_not_show_its_value(tmp_path: Path) -> None:
    assert TOKEN not in repr(read_document(str(write(tmp_path, {"token": TOKEN}))))
