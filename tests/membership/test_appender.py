"""Each record reaches the stream once, in the order of its token, whatever becomes of answers."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from wolkvox_async.clustering.messages import SlotTimes, TokenState
from wolkvox_async.errors import StateError, StoreUnavailableError
from wolkvox_async.membership.appender import ROOM
from wolkvox_async.membership.launching import Pace
from wolkvox_async.membership.strands import LARGEST, Part
from wolkvox_async.ports import Append, Message

from .desk import Desk, partition_of, seconds
from .faults import Fault
from .virtually import virtually

HOUR = 3_600.0


def asked(**times: float) -> TokenState:
    return TokenState(asked=times)


@virtually
async def test_a_message_that_comes_alone_waits_for_nobody() -> None:
    desk = Desk(delay=0.0)
    began = seconds()
    desk.write("a", "one")
    await desk.appender.flush()
    assert (await desk.lines("a"), desk.told_of("a"), seconds() - began) == (["one"], ["one"], 0.0)


@virtually
async def test_what_comes_in_one_turn_of_the_loop_is_one_batch() -> None:
    desk = Desk()
    for number in range(50):
        desk.write(f"t{number}", "one")
    await desk.appender.flush()
    assert desk.store.batches == [50]


@virtually
async def test_no_batch_is_larger_than_its_limit() -> None:
    desk = Desk()
    for number in range(250):
        desk.write(f"t{number}", "one")
    await desk.appender.flush()
    assert sorted(desk.store.batches) == [50, 100, 100]


@virtually
async def test_while_a_batch_is_on_its_way_messages_gather_for_two_milliseconds() -> None:
    desk = Desk(delay=1.0)
    began, sent = seconds(), list[tuple[float, int]]()
    desk.write("a", "one")
    await asyncio.sleep(0.1)
    for token in "bcd":
        desk.write(token, "one")
        await asyncio.sleep(0.0005)
    await asyncio.sleep(0.01)
    sent.append((round(seconds() - began, 4), len(desk.store.batches)))
    assert desk.store.batches == [1, 3]
    await desk.appender.flush()
    assert desk.told_of("d") == ["one"]


@virtually
async def test_a_batch_that_is_full_waits_for_nothing() -> None:
    desk = Desk(delay=1.0)
    desk.write("a", "one")
    await asyncio.sleep(0.1)
    for number in range(100):
        desk.write(f"t{number}", "one")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert desk.store.batches == [1, 100]
    await desk.appender.flush()


@virtually
async def test_there_are_never_more_batches_on_their_way_than_allowed() -> None:
    desk = Desk(delay=1.0, pace=Pace(batch=10, flights=3))
    for number in range(100):
        desk.write(f"t{number}", "one")
        await asyncio.sleep(0.001)
    await desk.appender.flush()
    assert desk.store.most_at_once == 3
    assert len(desk.told) == 100


@virtually
async def test_one_message_of_a_token_is_on_its_way_and_the_next_holds_all_that_came_meanwhile() -> None:
    desk = Desk(delay=1.0)
    desk.write("a", "one", "two", state=asked(x=1.0))
    await asyncio.sleep(0.5)
    desk.write("a", "three", state=asked(y=2.0))
    desk.write("a", "four", state=asked(x=3.0))
    assert desk.told_of("a") == []
    await desk.appender.flush()
    first, second = await desk.entries("a")
    assert (first.lines, second.lines) == (b"one\ntwo\n", b"three\nfour\n")
    assert (first.state.asked, second.state.asked) == ({"x": 1.0}, {"x": 3.0, "y": 2.0})
    assert desk.told_of("a") == ["one", "two", "three", "four"]


@virtually
async def test_parts_that_are_too_large_together_are_messages_of_their_own() -> None:
    desk = Desk()
    big = "x" * (LARGEST - 10)
    desk.write("a", big, "one", "two" * 10, "three")
    await desk.appender.flush()
    assert [len(entry.lines) for entry in await desk.entries("a")] == [LARGEST - 5, 37]
    assert desk.told_of("a") == [big, "one", "two" * 10, "three"]


@virtually
async def test_a_part_that_is_larger_than_a_message_goes_alone() -> None:
    desk = Desk()
    desk.write("a", "x" * (2 * LARGEST), "one")
    await desk.appender.flush()
    assert [len(entry.lines) for entry in await desk.entries("a")] == [2 * LARGEST + 1, 4]


@pytest.mark.parametrize("fault", [Fault.UNDONE, Fault.UNTOLD])
@virtually
async def test_a_message_without_an_answer_is_stored_once(fault: Fault) -> None:
    desk = Desk()
    desk.store.will("append", fault, fault, fault)
    desk.write("a", "one")
    await asyncio.sleep(0.5)
    desk.write("a", "two")
    await desk.appender.flush()
    desk.write("a", "three")
    await desk.appender.flush()
    assert await desk.lines("a") == ["one", "two", "three"] == desk.told_of("a")
    assert desk.appender.is_reachable


@virtually
async def test_a_message_that_somebody_wrote_on_top_of_meanwhile_is_not_written_again() -> None:
    ours = Desk("s1")
    theirs = Desk("s2", beside=ours)
    ours.store.will("append", Fault.UNTOLD)
    ours.write("a", "ours", state=asked(x=1.0))
    await asyncio.sleep(0.1)
    await theirs.appender.load(partition_of("a"))
    theirs.write("a", "theirs", state=asked(y=2.0))
    await theirs.appender.flush()
    await ours.appender.flush()
    ours.write("a", "again")
    await ours.appender.flush()
    assert await ours.lines("a") == ["ours", "theirs", "again"]
    assert (await ours.entries("a"))[-1].state.asked == {"x": 1.0, "y": 2.0}


@virtually
async def test_a_late_record_of_somebody_else_is_written_on_top_of_and_what_it_says_is_told() -> None:
    ours, slot = Desk("s1"), ("t", "o", "api", "")
    theirs = Desk("s2", beside=ours)
    ours.write("a", "one", state=asked(x=1.0))
    await ours.appender.flush()
    theirs.write("a", "late", state=TokenState({"x": 5.0, "y": 2.0}, {slot: SlotTimes(7, None)}))
    await theirs.appender.flush()
    ours.write("a", "two", state=TokenState({"x": 3.0}, {slot: SlotTimes(8, 8)}))
    await ours.appender.flush()
    assert await ours.lines("a") == ["one", "late", "two"]
    (last,) = (await ours.entries("a"))[2:]
    assert last.state == TokenState({"x": 5.0, "y": 2.0}, {slot: SlotTimes(8, 8)})
    assert ours.heard.news == [("a", last.state)]


SUBJECT = ("t", "o", "api", "")


def ended(due: int, **sent: float) -> TokenState:
    return TokenState(sent, {SUBJECT: SlotTimes(due, None)})


@virtually
async def test_a_slot_that_another_machine_has_told_of_is_not_told_again_and_its_request_is_remembered() -> None:
    ours = Desk("s1")
    theirs = Desk("s2", beside=ours)
    ours.write("a", "first", state=ended(5))
    await ours.appender.flush()
    await theirs.appender.load(partition_of("a"))
    theirs.write("a", "their-gap-of-6", state=ended(6))
    theirs.write("a", "their-gap-of-7", state=ended(7))
    await theirs.appender.flush()
    for due in (6, 7, 8):
        ours.write("a", f"our-call-of-{due}", state=ended(due, x=float(due)))
    await ours.appender.flush()
    assert await ours.lines("a") == ["first", "their-gap-of-6", "their-gap-of-7", "our-call-of-8"]
    assert (await ours.entries("a"))[-1].state == ended(8, x=8.0)
    assert ours.appender.superseded == 2


@virtually
async def test_what_comes_from_before_a_partition_was_lost_is_left_out_although_it_is_ours_again() -> None:
    ours = Desk("s1")
    theirs = Desk("s2", beside=ours)
    theirs.write("a", "their-gap-of-6", state=ended(6))
    await theirs.appender.flush()
    await ours.appender.load(partition_of("a"))
    ours.write("a", "our-gap-of-6", state=ended(6))
    ours.write("a", "our-call-of-7", state=ended(7))
    await ours.appender.flush()
    assert await ours.lines("a") == ["their-gap-of-6", "our-call-of-7"]


@virtually
async def test_records_that_end_no_slot_are_never_left_out() -> None:
    ours = Desk("s1")
    theirs = Desk("s2", beside=ours)
    theirs.write("a", "theirs", state=ended(6))
    await theirs.appender.flush()
    ours.write("a", "ours", state=asked(x=1.0))
    await ours.appender.flush()
    assert await ours.lines("a") == ["theirs", "ours"]


@virtually
async def test_a_conflict_whose_cause_cannot_be_read_waits_and_is_told_apart_later() -> None:
    ours = Desk("s1")
    theirs = Desk("s2", beside=ours)
    theirs.write("a", "late")
    await theirs.appender.flush()
    ours.store.will("last", Fault.UNDONE, Fault.UNDONE)
    ours.write("a", "one")
    await ours.appender.flush()
    assert await ours.lines("a") == ["late", "one"]


@virtually
async def test_a_read_that_is_older_than_the_conflict_is_asked_again_after_a_pause() -> None:
    ours = Desk("s1", delay=0.0)
    theirs = Desk("s2", beside=ours, delay=0.0)
    theirs.write("a", "late")
    await theirs.appender.flush()
    reads, began, last = list[float](), seconds(), ours.memory.last

    async def stale(partition: int, token: str) -> Message | None:
        reads.append(seconds() - began)
        return None if len(reads) < 4 else await last(partition, token)

    ours.memory.last = stale  # type: ignore[method-assign]
    ours.write("a", "one")
    await ours.appender.flush()
    assert await ours.lines("a") == ["late", "one"]
    assert reads[-1] >= 0.3


@virtually
async def test_a_store_that_forgot_all_is_written_to_anew() -> None:
    desk = Desk()
    await desk.appender.load(partition_of("a"))
    desk.write("a", "one", state=asked(x=1.0))
    await desk.appender.flush()
    desk.memory._shared = type(desk.memory._shared)()
    desk.write("a", "two")
    await desk.appender.flush()
    assert await desk.lines("a") == ["two"]
    assert (await desk.entries("a"))[0].state.asked == {"x": 1.0}


@virtually
async def test_a_store_that_cannot_be_reached_is_tried_for_ever_and_with_few_requests() -> None:
    desk = Desk()
    desk.store.is_cut = True
    for number in range(1_000):
        desk.write(f"t{number}", "one", "two")
    await asyncio.sleep(HOUR)
    assert not desk.appender.is_reachable
    assert desk.told == []
    assert HOUR / 7 < len(desk.store.batches) < HOUR / 5
    desk.store.is_cut = False
    await desk.appender.flush()
    assert [await desk.lines(f"t{number}") for number in range(1_000)] == [["one", "two"]] * 1_000


@virtually
async def test_what_was_put_off_goes_before_what_came_later() -> None:
    desk = Desk(pace=Pace(batch=1, flights=1))
    desk.store.will("append", Fault.UNDONE)
    for token in "abc":
        desk.write(token, "one")
    await desk.appender.flush()
    assert [token for token, _, _ in desk.told] == ["a", "b", "c"]


@virtually
async def test_a_full_store_makes_tokens_stuck_until_there_is_room() -> None:
    desk = Desk()
    desk.store.is_full = True
    for number in range(300):
        desk.write(f"t{number}", "one")
    await asyncio.sleep(0.1)
    assert desk.appender.stuck == 300 == len(set(desk.heard.stuck_tokens))
    assert desk.appender.is_stuck("t7")
    await asyncio.sleep(HOUR)
    assert len(desk.heard.stuck_tokens) == 300
    assert len(desk.store.batches) < 3 + HOUR / 29
    desk.store.is_full = False
    await desk.appender.flush()
    assert sorted(desk.heard.moving_tokens) == sorted(desk.heard.stuck_tokens)
    assert not desk.appender.is_stuck("t7")
    assert all([await desk.lines(f"t{number}") == ["one"] for number in range(300)])


@virtually
async def test_a_token_that_is_stuck_takes_more_and_keeps_its_order() -> None:
    desk = Desk()
    desk.store.is_full = True
    desk.write("a", "one")
    await asyncio.sleep(5.0)
    desk.write("a", "two")
    desk.store.is_full = False
    await desk.appender.flush()
    assert await desk.lines("a") == ["one", "two"] == desk.told_of("a")


@virtually
async def test_any_other_failure_is_told_and_fails_what_is_unstored() -> None:
    desk = Desk()
    desk.store.error = OSError("secret words")
    desk.write("a", "one", "two")
    desk.write("b", "one")
    with pytest.raises(StateError) as raised:
        await desk.appender.flush()
    desk.write("a", "three")
    assert desk.heard.errors == [desk.store.error]
    assert [(token, name, type(error)) for token, name, error in desk.told] == [
        ("a", "one", StateError),
        ("a", "two", StateError),
        ("b", "one", StateError),
        ("a", "three", StateError),
    ]
    assert "secret" not in str(raised.value)
    await desk.appender.room()


@virtually
async def test_a_message_that_nobody_can_read_is_a_failure() -> None:
    desk = Desk()
    await desk.memory.append([Append(partition_of("a"), "a", 0, b"nonsense\n")])
    desk.write("a", "one")
    with pytest.raises(StateError):
        await desk.appender.flush()
    assert len(desk.heard.errors) == 1
    assert not isinstance(desk.heard.errors[0], StoreUnavailableError)


@virtually
async def test_loading_tells_what_is_known_and_what_comes_next_stands_on_it() -> None:
    first = Desk("s1")
    for token in ("a", "b", "c"):
        first.write(token, "one", "two", state=asked(x=1.0))
    await first.appender.flush()
    second = Desk("s2", beside=first)
    known = [one for partition in range(4) for one in await second.appender.load(partition)]
    assert sorted((one.token, one.state.asked["x"]) for one in known) == [("a", 1.0), ("b", 1.0), ("c", 1.0)]
    second.write("a", "three", state=asked(y=2.0))
    await second.appender.flush()
    assert second.store.count("last") == 0
    assert (await second.entries("a"))[-1].state.asked == {"x": 1.0, "y": 2.0}


@virtually
async def test_what_was_told_at_loading_does_not_change_any_more() -> None:
    first = Desk("s1")
    first.write("a", "one", state=asked(x=1.0))
    await first.appender.flush()
    (known,) = await first.appender.load(partition_of("a"))
    first.write("a", "two", state=asked(x=2.0))
    await first.appender.flush()
    assert known.state.asked == {"x": 1.0}


@virtually
async def test_a_partition_that_is_let_go_of_is_forgotten_but_its_records_are_stored() -> None:
    desk = Desk(delay=1.0)
    await desk.appender.load(partition_of("a"))
    desk.write("a", "one")
    await desk.appender.flush()
    desk.write("a", "two")
    await asyncio.sleep(0.5)
    desk.appender.forget(partition_of("a"))
    desk.write("a", "three")
    await desk.appender.flush()
    assert await desk.lines("a") == ["one", "two", "three"] == desk.told_of("a")
    assert list(desk.appender._shelves) == []


@virtually
async def test_a_partition_that_comes_back_while_its_records_are_on_their_way_is_whole() -> None:
    desk = Desk(delay=1.0)
    await desk.appender.load(partition_of("a"))
    desk.store.will("append", Fault.UNTOLD)
    desk.write("a", "one", state=asked(x=1.0))
    await asyncio.sleep(0.6)
    desk.appender.forget(partition_of("a"))
    desk.write("a", "two")
    await asyncio.sleep(0.1)
    (known,) = await desk.appender.load(partition_of("a"))
    await desk.appender.flush()
    desk.write("a", "three")
    await desk.appender.flush()
    assert await desk.lines("a") == ["one", "two", "three"]
    assert known.state.asked == {"x": 1.0}
    assert desk.appender.unstored() == 0


@virtually
async def test_whoever_brings_too_much_waits_until_there_is_room() -> None:
    desk = Desk(delay=1.0)
    for number in range(70):
        desk.appender.append(0, f"t{number}", Part(1, TokenState(), b"x" * (ROOM // 64), lambda _error: None))
    began = seconds()
    await desk.appender.room()
    assert seconds() > began
    assert desk.appender.unstored() < 70


@virtually
async def test_a_partition_is_flushed_for_itself() -> None:
    desk = Desk(delay=1.0)
    desk.store.will("append", Fault.NONE, Fault.UNDONE, Fault.UNDONE)
    desk.write("a", "one")
    await asyncio.sleep(0.1)
    other = next(token for token in "bcdefgh" if partition_of(token) != partition_of("a"))
    desk.write(other, "one")
    await desk.appender.flush(partition_of("a"))
    assert (desk.told_of("a"), desk.told_of(other)) == (["one"], [])
    assert desk.appender.unstored(partition_of(other)) == 1 == desk.appender.unstored()
    await desk.appender.flush()
    assert desk.told_of(other) == ["one"]


@virtually
async def test_closing_fails_what_is_unstored_and_leaves_nothing_running() -> None:
    desk = Desk(delay=1.0)
    desk.store.is_cut = True
    desk.write("a", "one")
    await asyncio.sleep(5.0)
    desk.write("b", "one")
    await desk.appender.close()
    assert [(token, type(error)) for token, _, error in desk.told] == [("a", StateError), ("b", StateError)]
    assert asyncio.all_tasks() == {asyncio.current_task()}


@virtually
async def test_what_is_done_may_write_more_at_once() -> None:
    desk = Desk()

    def again(_error: StateError | None) -> None:
        desk.write("a", "two")

    desk.appender.append(partition_of("a"), "a", Part(1, TokenState(), b"one\n", again))
    await desk.appender.flush()
    assert await desk.lines("a") == ["one", "two"]


@pytest.mark.parametrize("seed", range(20))
@virtually
async def test_among_writers_that_lose_answers_nothing_is_lost_doubled_or_out_of_order(seed: int) -> None:
    chance = Random(seed)
    desks = [Desk("s0")]
    desks += [Desk(f"s{number}", beside=desks[0]) for number in (1, 2)]
    for desk in desks:
        desk.store._chance, desk.store.share = chance, 0.3  # type: ignore[misc]
    tokens = [f"t{number}" for number in range(5)]
    written: dict[tuple[str, str], list[str]] = {}
    for number in range(300):
        desk, token = chance.choice(desks), chance.choice(tokens)
        session = f"s{desks.index(desk)}"
        desk.write(token, f"{session}.{number}")
        written.setdefault((session, token), []).append(f"{session}.{number}")
        if chance.random() < 0.5:
            await asyncio.sleep(chance.expovariate(5.0))
    for desk in desks:
        await desk.appender.flush()
    for token in tokens:
        lines = await desks[0].lines(token)
        for number, desk in enumerate(desks):
            ours = written.get((f"s{number}", token), [])
            assert [line for line in lines if line.startswith(f"s{number}.")] == ours == desk.told_of(token)
