"""A file goes on where its reader ended, however that was."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.apps.dots import dots, words
from tests.apps.reading.lines import NOWHERE, append_of, fill, lines_of_call, read_into
from wolkvox_async.adapters.jsonlines import JsonLines
from wolkvox_async.adapters.stores import MemoryStore
from wolkvox_async.apps.reading.bookmark import Bookmark, path_of, read_bookmark
from wolkvox_async.apps.reading.extent import last_sequence
from wolkvox_async.apps.reading.reader import Order, Reader
from wolkvox_async.errors import ConfigurationError, OutputError, StateError
from wolkvox_async.ports import Append


async def test_a_reader_that_was_killed_at_any_byte_loses_and_doubles_nothing(tmp_path: Path) -> None:
    store, path = MemoryStore(), tmp_path / "all.jsonl"
    early = await fill(store, [lines_of_call(1)])
    await read_into(store, path)
    bookmark = path_of(path).read_bytes()
    late = await fill(store, [lines_of_call(2), b"", lines_of_call(3, rows=1)], start=1)
    for size in range(len(early), len(early + late) + 1):
        path.write_bytes((early + late)[:size])
        path_of(path).write_bytes(bookmark)
        await read_into(store, path)
        assert path.read_bytes() == early + late


async def test_a_bookmark_never_tells_of_more_than_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, path = MemoryStore(), tmp_path / "all.jsonl"
    await fill(store, [lines_of_call(1)])
    await read_into(store, path)
    bookmark = path_of(path).read_bytes()

    async def fail(_self: JsonLines, _lines: bytes) -> int | None:
        raise OutputError("the disk is full")

    await fill(store, [lines_of_call(2)], start=1)
    with monkeypatch.context() as patch:
        patch.setattr(JsonLines, "write", fail)
        with pytest.raises(OutputError):
            await read_into(store, path)
    assert path_of(path).read_bytes() == bookmark
    await read_into(store, path)
    assert path.read_bytes() == lines_of_call(1) + lines_of_call(2)


async def test_what_comes_later_is_read_later_and_nothing_else(tmp_path: Path) -> None:
    store, path = MemoryStore(), tmp_path / "all.jsonl"
    lines = b""
    for number in range(4):
        lines += await fill(store, [lines_of_call(number)], start=number)
        await read_into(store, path)
        assert path.read_bytes() == lines
    assert read_bookmark(path) == Bookmark.behind((await store.tail(3, 1))[0], len(lines))


async def test_a_message_whose_append_was_retried_appears_once(tmp_path: Path) -> None:
    store, path = MemoryStore(), tmp_path / "all.jsonl"
    for _ in range(3):
        await store.append([append_of(1, lines_of_call(1))])
    await read_into(store, path)
    assert path.read_bytes() == lines_of_call(1)


async def test_a_file_that_was_moved_away_is_gone_on_with_in_a_new_one(tmp_path: Path) -> None:
    store, path = MemoryStore(), tmp_path / "all.jsonl"
    first = await fill(store, [lines_of_call(1)])
    await read_into(store, path)
    path.rename(tmp_path / "yesterday.jsonl")
    second = await fill(store, [lines_of_call(2)], start=1)
    assert "is empty: going on behind message 1" in (await read_into(store, path))[0]
    assert ((tmp_path / "yesterday.jsonl").read_bytes(), path.read_bytes()) == (first, second)


async def test_where_a_reader_goes_on_is_told_in_the_language_that_is_spoken(tmp_path: Path) -> None:
    store, path = MemoryStore(), tmp_path / "all.jsonl"
    await fill(store, [lines_of_call(1)])
    await read_into(store, path)
    path.unlink()
    with dots():
        (told,) = await read_into(store, path)
    assert words(told, str(path)) == []


def test_the_line_that_a_script_takes_up_is_the_same_in_all_languages() -> None:
    said: list[str] = []
    with dots():
        Reader(Order(NOWHERE), said.append)._tell(7)
    assert said == ["next: --from 7"]


async def test_a_file_begins_where_a_person_says_and_goes_on_by_itself(tmp_path: Path) -> None:
    store, path = MemoryStore(), tmp_path / "some.jsonl"
    calls = [lines_of_call(number) for number in range(5)]
    await fill(store, calls)
    await read_into(store, path, first=4)
    assert path.read_bytes() == b"".join(calls[3:])
    more = await fill(store, [lines_of_call(5)], start=5)
    await read_into(store, path, first=6)  # which is where it goes on anyway
    assert path.read_bytes() == b"".join(calls[3:]) + more


async def test_a_file_that_is_not_ours_to_go_on_with_stays_as_it_is(tmp_path: Path) -> None:
    store, path = MemoryStore(), tmp_path / "all.jsonl"
    lines = await fill(store, [lines_of_call(number) for number in range(3)])

    async def refused(content: bytes, says: str, first: int | None = None) -> None:
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=says):
            await read_into(store, path, first=first)
        assert path.read_bytes() == content

    await refused(lines_of_call(7), "nothing tells up to where")
    path.unlink()
    await read_into(store, path)
    await refused(lines, "goes on from 4 by itself", first=2)
    await refused(lines[: len(lines_of_call(0))], "it was cut")
    await fill(store, [lines_of_call(3)], start=3)
    await refused(lines + lines_of_call(9), "somebody else wrote to it")
    path_of(path).write_bytes(b"{}")
    await refused(lines, "no bookmark")


class _Other(MemoryStore):
    """A store that forgot its last message, and gave the number away."""

    async def forget(self) -> None:
        self._shared.stream.pop()
        self._shared.last.clear()


async def test_a_stream_that_forgot_what_was_read_is_not_read_on(tmp_path: Path) -> None:
    store, path = _Other(), tmp_path / "all.jsonl"
    lines = await fill(store, [lines_of_call(number) for number in range(3)])
    await read_into(store, path)
    await store.forget()
    await fill(store, [lines_of_call(8), lines_of_call(9)], start=8)
    with pytest.raises(StateError, match="message 3 of the stream is not the one that was read"):
        await read_into(store, path)
    assert path.read_bytes() == lines


@given(st.integers(0, 200), st.integers(0, 200))
async def test_the_last_sequence_is_found_by_what_is_behind_it(length: int, after: int) -> None:
    store = MemoryStore()
    for number in range(length):
        await store.append([Append(0, f"tk_{number}", 0, b"{}\n")])
    assert await last_sequence(store, min(after, length)) == length


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"schema":1}', b'{"schema":1,"sequence":-1,"size":0,"digest":""}']
)
def test_what_is_no_bookmark_is_known_as_none(text: bytes) -> None:
    assert Bookmark.decode(text) is None


def test_a_bookmark_is_read_as_it_was_written() -> None:
    made = Bookmark(17, 4_000, "0f")
    assert Bookmark.decode(made.encode()) == made
