"""A stream is read in its order, whatever the store goes through."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.apps.dots import dots, words
from tests.apps.reading.lines import fill, lines_of_call
from wolkvox_async.adapters.stores import MemoryStore
from wolkvox_async.apps.reading.stream import Stream
from wolkvox_async.errors import StateError, StoreUnavailableError
from wolkvox_async.ports import Message


class Flickering(MemoryStore):
    """A store that is away for a number of reads, and may come back without its last messages."""

    away = 0

    async def tail(self, after: int, most: int) -> Sequence[Message]:
        if self.away:
            self.away -= 1
            raise StoreUnavailableError("the broker is away")
        return await super().tail(after, most)

    def forget(self, many: int) -> None:
        del self._shared.stream[-many:]


async def filled(calls: int) -> Flickering:
    store = Flickering()
    await fill(store, [lines_of_call(number) for number in range(calls)])
    return store


@pytest.mark.looptime
async def test_a_store_that_is_away_is_waited_for_and_said_once() -> None:
    store, said = await filled(3), list[str]()
    stream = Stream(store, said.append, None)
    store.away = 1_000
    assert [message.sequence for message in await stream.following()] == [1, 2, 3]
    assert said == ["waiting: the broker is away", "the broker answers again"]


@pytest.mark.looptime
async def test_patience_ends() -> None:
    store = await filled(1)
    store.away = 1_000
    with pytest.raises(StoreUnavailableError):
        await Stream(store, print, 60.0).following()
    assert store.away > 800


@pytest.mark.looptime
async def test_a_store_that_came_back_without_what_was_read_is_not_read_on() -> None:
    store = await filled(3)
    stream = Stream(store, print, None)
    assert len(await stream.following()) == 3
    store.forget(2)
    await fill(store, [lines_of_call(number) for number in (20, 21, 22, 23)], start=20)
    store.away = 1
    with pytest.raises(StateError, match="message 3 of the stream"):
        await stream.following()


async def test_a_store_that_forgot_while_nobody_looked_is_not_read_on() -> None:
    store = await filled(3)
    stream = Stream(store, print, None)
    assert len(await stream.following()) == 3
    assert await stream.following() == []
    store.forget(1)
    await fill(store, [lines_of_call(number) for number in (20, 21)], start=20)
    with pytest.raises(StateError, match="message 3 of the stream"):
        await stream.following()


@pytest.mark.looptime
async def test_a_copy_that_is_behind_for_a_moment_is_waited_for() -> None:
    store = await filled(3)
    stream = Stream(store, print, None)
    await stream.following()
    late = store._shared.stream.pop()
    store.away = 1

    class Catching(Flickering):
        """It has caught up at the third look."""

        looks = 0

        async def tail(self, after: int, most: int) -> Sequence[Message]:
            self.looks += 1
            if self.looks == 3:
                self._shared.stream.append(late)
            return await super().tail(after, most)

    catching = Catching()
    catching._shared = store._shared
    again = Stream(catching, print, None)
    again.go_to(3, stream._digest)
    assert await again.following() == []
    assert catching.looks == 4


async def test_messages_that_somebody_removed_are_told_of() -> None:
    store, said = await filled(5), list[str]()
    del store._shared.stream[1:3]

    class Holed(MemoryStore):
        async def tail(self, after: int, most: int) -> Sequence[Message]:
            return [message for message in store._shared.stream if message.sequence > after][:most]

    stream = Stream(Holed(), said.append, None)
    assert [message.sequence for message in await stream.following()] == [1, 4, 5]
    assert said == ["messages 2 to 3 are not in the stream any more: somebody removed them from the broker"]


@pytest.mark.looptime
async def test_what_happens_to_a_stream_is_told_in_the_language_that_is_spoken() -> None:
    store, said = await filled(4), list[str]()
    del store._shared.stream[1:3]
    store.away = 2
    with dots():
        stream = Stream(store, said.append, None)
        assert [message.sequence for message in await stream.following()] == [1, 4]
    assert len(said) == 3
    assert [words(line, "the broker is away") for line in said] == [[]] * 3
