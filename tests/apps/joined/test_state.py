"""A child uses what the board permits, and what it has asked is known to all before a token is free."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from wolkvox_async.classify import error
from wolkvox_async.clustering.messages import Refused, SlotTimes, TokenState
from wolkvox_async.model import ErrorKind, Failed, Ok, Skipped, Slot
from wolkvox_async.planning import cut_question
from wolkvox_async.ports import Closed, Granted, LastSlot, Refusal, Taken

from .desk import PARTITION, RUN, TOKEN, Desk


async def test_a_token_of_no_partition_of_ours_is_anothers() -> None:
    desk = Desk()
    assert desk.state.claim(TOKEN) == Taken()
    assert not desk.state.holds(TOKEN)


async def test_a_token_may_be_used_while_a_call_is_over_before_the_lease() -> None:
    desk = Desk()
    await desk.take(for_seconds=100.0)
    assert desk.state.claim(TOKEN) == Granted()
    desk.state.release(TOKEN)
    desk.clock.advance(28.0)
    assert desk.state.may_send(TOKEN)
    desk.clock.advance(0.1)
    assert not desk.state.may_send(TOKEN)
    assert desk.state.claim(TOKEN) == Taken()


async def test_a_token_whose_record_does_not_fit_is_not_used() -> None:
    desk = Desk()
    await desk.take()
    desk.state.stuck(TOKEN, is_stuck=True)
    assert desk.state.claim(TOKEN) == Taken()
    assert not desk.state.may_send(TOKEN)
    desk.state.stuck(TOKEN, is_stuck=False)
    assert desk.state.claim(TOKEN) == Granted()


async def test_a_token_that_may_have_been_used_waits() -> None:
    desk = Desk()
    await desk.take(for_seconds=1000.0)
    desk.state.shut(TOKEN, desk.clock.utc().timestamp() + 40)
    claim = desk.state.claim(TOKEN)
    assert isinstance(claim, Closed)
    assert claim.seconds == pytest.approx(40, abs=0.01)
    desk.clock.advance(40.1)
    assert desk.state.claim(TOKEN) == Granted()


async def test_a_partition_is_quiet_when_nothing_of_it_is_in_use_at_work_or_unstored() -> None:
    desk = Desk()
    await desk.take(for_seconds=1000.0)
    tenancy = desk.state.tenancies.get(PARTITION)
    assert tenancy is not None
    desk.state.claim(TOKEN)
    assert not tenancy.is_quiet(desk.clock.now())
    desk.state.begin(TOKEN, 70.0)
    desk.state.end(TOKEN, 30.0, 0.0)
    await desk.deliver(desk.settlement())
    desk.state.release(TOKEN)
    desk.outgoing.stored(1)
    assert not tenancy.is_quiet(desk.clock.now())
    desk.clock.advance(30.0)
    assert tenancy.is_quiet(desk.clock.now())


async def test_an_attempt_that_never_ended_counts_as_at_work_for_as_long_as_it_may_last() -> None:
    desk = Desk()
    await desk.take(for_seconds=1000.0)
    tenancy = desk.state.tenancies.get(PARTITION)
    assert tenancy is not None
    desk.state.claim(TOKEN)
    desk.state.begin(TOKEN, 70.0)
    desk.state.release(TOKEN)
    assert not tenancy.is_quiet(desk.clock.now() + 69.0)
    assert tenancy.is_quiet(desk.clock.now() + 70.0)


async def test_a_call_is_settled_when_it_is_stored_and_says_what_is_known_of_its_token() -> None:
    desk = Desk()
    await desk.take(epoch=3)
    slot = Slot(1_700_000_000_000, 1_700_000_000_000)
    desk.state.refuse(TOKEN, Refusal(ErrorKind.QUOTA, "used up", 60.0))
    desk.state.name(TOKEN, [7])
    await desk.deliver(desk.settlement(slot=slot))
    ((label, entry),) = desk.entries()
    assert (label, entry.epoch) == ([PARTITION, TOKEN], 3)
    assert entry.state.asked == {"interactions": pytest.approx(desk.clock.utc().timestamp() - 2)}
    assert entry.state.slots == {("acme", "bogota", "interactions", ""): SlotTimes(slot.due)}
    assert entry.state.refused is not None
    assert entry.state.refused.kind == "quota"
    assert entry.state.names == {7}
    assert entry.lines.count(b"\n") == 2
    assert desk.settled == []
    desk.outgoing.stored(1)
    assert desk.settled == [None]


async def test_what_goes_with_the_next_part_goes_once() -> None:
    desk = Desk()
    await desk.take()
    desk.state.refuse(TOKEN, Refusal(ErrorKind.QUOTA, "used up", 60.0))
    await desk.deliver(desk.settlement())
    await desk.deliver(desk.settlement())
    first, second = desk.entries()
    assert first[1].state.refused is not None
    assert second[1].state.refused is None


async def test_a_failed_call_was_not_answered() -> None:
    desk = Desk()
    await desk.take()
    await desk.deliver(desk.settlement(Failed(error(ErrorKind.TIMEOUT, "no answer"))))
    ((_, entry),) = desk.entries()
    assert entry.state.asked == {}


async def test_what_is_not_called_because_we_stop_is_left_to_others() -> None:
    desk = Desk()
    await desk.take()
    await desk.state.take(RUN, [desk.settlement(Skipped(error(ErrorKind.STOPPING, "stopped")))])
    assert desk.sent == []
    await desk.state.take(RUN, [desk.settlement(Skipped(error(ErrorKind.NOT_DUE, "not called")))])
    assert len(desk.entries()) == 1


async def test_what_others_did_is_known() -> None:
    desk = Desk()
    now = desk.clock.utc().timestamp()
    key = ("acme", "bogota", "interactions", "")
    known = TokenState({"interactions": now - 50}, {key: SlotTimes(2000, 1000)}, Refused("quota", "used up", now + 9))
    await desk.state.learn(TOKEN, known)
    assert desk.state.since(TOKEN, "interactions") == pytest.approx(50, abs=0.01)
    assert (await desk.state.last_slots())[key] == LastSlot(2000, 1000)
    refusal = desk.state.refusal(TOKEN)
    assert refusal is not None
    assert refusal.seconds == pytest.approx(9, abs=0.01)


async def test_flushing_waits_for_what_was_sent_before_and_for_nothing_else() -> None:
    desk = Desk()
    await desk.take()
    await desk.deliver(desk.settlement())
    flushing = asyncio.ensure_future(desk.state.flush())
    await asyncio.sleep(0)
    await desk.deliver(desk.settlement())
    desk.outgoing.stored(1)
    await asyncio.wait_for(flushing, 30)
    assert not desk.outgoing.is_empty
    desk.outgoing.stored(2)
    assert desk.outgoing.is_empty


async def test_whoever_has_too_much_unstored_waits() -> None:
    desk = Desk()
    await desk.take()
    for _ in range(64):
        await desk.deliver(desk.settlement())
    more = asyncio.ensure_future(desk.deliver(desk.settlement()))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not more.done()
    assert desk.state.is_taking
    desk.outgoing.stored(1)
    await asyncio.wait_for(more, 30)
    assert not desk.state.is_taking


async def test_a_call_that_was_cut_has_no_lines_and_everybody_hears_that_it_was() -> None:
    desk = Desk()
    await desk.take()
    cut = replace(desk.settlement(Ok([], 200, 200, "found")), cut_id=RUN[:10] + "1" * 16)
    await desk.deliver(cut, desk.settlement())
    (_, first), (_, second) = desk.entries()
    sent = desk.clock.utc().timestamp() - 2.0
    assert first.lines == b""
    assert first.state.asked == {"interactions": sent, cut_question("interactions"): sent}
    assert second.state.asked == {"interactions": sent}
    assert desk.state.asked.answered_since(TOKEN, cut_question("interactions")) is not None
    assert (desk.state.counters.ok, desk.state.counters.attempts) == (1, 2)
