"""What every state does, be it in a folder or in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from tests.adapters.state.houses import NOON, OTHER, RUN, TOKEN, House, mark, planned
from wolkvox_async.counters import Counters
from wolkvox_async.errors import RunError, StateError
from wolkvox_async.identity import ulid
from wolkvox_async.marks import Mark, tail
from wolkvox_async.model import ErrorKind
from wolkvox_async.ports import (
    Adopter,
    Closed,
    Granted,
    OpenRun,
    Place,
    Refusal,
    RunOrder,
    State,
    Taken,
    Unread,
)

LEAST, MOST = -(1 << 63), (1 << 63) - 1  # that a name can be
OUTPUT = Place("/var/out/usage.jsonl", 7, 42)


def order(number: int = 1, name: str | None = None, *, resume: bool = False, output: str = OUTPUT.path) -> RunOrder:
    return RunOrder(ulid(int(NOON.timestamp() * 1000), number), NOON, name, resume, "tenants.json", output)


async def settle(state: State, *marks: Mark, run: str = RUN, position: int | None = None) -> None:
    told: asyncio.Future[StateError | None] = asyncio.get_running_loop().create_future()
    state.settle(run, marks, position, told.set_result)
    assert await told is None


async def begun(state: State, token: str = TOKEN, hold: float = 70.0) -> None:
    await state.look([token])
    assert state.claim(token) == Granted()
    state.begin(token, hold)


async def asked(state: State, *marks: Mark) -> None:
    """Make calls of one token, from the claim to its release."""
    token = marks[0].token
    await begun(state, token)
    state.end(token, 0, 0)
    for one in marks:
        if one.done:
            state.arm(token, one.question, one.at - one.sent)
    await settle(state, *marks)
    state.release(token)


async def test_it_is_a_state(house: House) -> None:
    opened = await house.open()
    state: State = opened
    adopter: Adopter = opened
    await state.flush()
    assert await adopter.adopted(OUTPUT) == 0
    await state.close()


# --- leases


async def test_a_token_that_was_looked_at_is_granted(house: House) -> None:
    state = await house.open()
    await state.look([TOKEN])
    assert state.claim(TOKEN) == Granted()
    await state.close()


async def test_a_token_that_nobody_looked_at_is_unread_but_ours(house: House) -> None:
    state, another = await house.open(), await house.open()
    assert state.claim(TOKEN) == Unread()
    await another.look([TOKEN])
    assert another.claim(TOKEN) == Taken()
    await state.look([TOKEN])
    state.begin(TOKEN, 70)
    state.end(TOKEN, 0, 0)
    state.release(TOKEN)
    assert state.claim(TOKEN) == Granted()
    await state.close()
    await another.close()


async def test_a_token_has_one_holder(house: House) -> None:
    state, another = await house.open(), await house.open()
    await state.look([TOKEN, OTHER])
    await another.look([TOKEN, OTHER])
    assert state.claim(TOKEN) == Granted()
    assert another.claim(TOKEN) == Taken()
    assert state.claim(TOKEN) == Taken()
    assert another.claim(OTHER) == Granted()
    state.release(TOKEN)
    assert another.claim(TOKEN) == Granted()
    await state.close()
    await another.close()


async def test_who_waits_for_a_token_is_seen_by_others_until_he_has_it_or_asks_no_more(house: House) -> None:
    holder, waiter = await house.open(), await house.open()
    await begun(holder)
    assert waiter.claim(TOKEN) == Taken()
    assert not holder.is_wanted(TOKEN)
    waiter.want(TOKEN)
    assert (holder.is_wanted(TOKEN), waiter.is_wanted(TOKEN), holder.is_wanted(OTHER)) == (True, False, False)
    holder.end(TOKEN, 0, 0)
    holder.release(TOKEN)
    assert isinstance(waiter.claim(TOKEN), Unread)
    assert not holder.is_wanted(TOKEN)
    holder.want(TOKEN)
    assert waiter.is_wanted(TOKEN)
    house.advance(3)
    holder.claim(OTHER)
    assert not waiter.is_wanted(TOKEN)
    await holder.close()
    await waiter.close()


async def test_a_token_that_was_given_back_unused_is_as_before_for_everybody(house: House) -> None:
    state, another = await house.open(), await house.open()
    await state.look([TOKEN])
    await another.look([TOKEN])
    for one in (state, another, state):
        assert one.claim(TOKEN) == Granted()
        one.release(TOKEN)
    await state.close()
    await another.close()


async def test_after_a_use_by_another_a_token_is_unread_until_looked_at(house: House) -> None:
    state, another = await house.open(), await house.open()
    await another.look([TOKEN])
    await begun(state)
    state.end(TOKEN, 0, 0)
    state.release(TOKEN)
    assert another.claim(TOKEN) == Unread()
    await another.look([TOKEN])
    another.release(TOKEN)
    assert another.claim(TOKEN) == Granted()
    await state.close()
    await another.close()


async def test_what_was_looked_at_while_another_used_it_does_not_count(house: House) -> None:
    state, another = await house.open(), await house.open()
    await begun(state)
    await another.look([TOKEN])
    state.end(TOKEN, 0, 0)
    state.arm(TOKEN, "interactions", 0)
    await settle(state, mark())
    state.release(TOKEN)
    assert another.claim(TOKEN) == Unread()
    await another.look([TOKEN])
    assert another.since(TOKEN, "interactions") == pytest.approx(0)
    await state.close()
    await another.close()


async def test_own_uses_leave_a_token_read(house: House) -> None:
    state = await house.open()
    for _ in range(3):
        await asked(state, mark())
        assert state.claim(TOKEN) == Granted()
        state.release(TOKEN)
    await state.close()


async def test_an_attempt_that_ended_leaves_the_token_closed_as_long_as_it_says(house: House) -> None:
    state, another = await house.open(), await house.open()
    await another.look([TOKEN])
    await begun(state)
    state.end(TOKEN, 60, 0)
    state.release(TOKEN)
    house.advance(59)
    assert another.claim(TOKEN) == Closed(1.0)
    assert state.claim(TOKEN) == Closed(1.0)
    house.advance(1)
    assert state.claim(TOKEN) == Granted()
    await state.close()
    await another.close()


async def test_an_attempt_that_is_never_heard_of_again_keeps_the_token_closed_for_its_hold(house: House) -> None:
    state, another = await house.open(), await house.open()
    await begun(state, hold=130)
    house.advance(30)
    await state.close()
    assert another.claim(TOKEN) == Closed(100.0)
    house.advance(100)
    assert another.claim(TOKEN) == Unread()
    await another.close()


async def test_closing_gives_tokens_back_that_are_not_in_use(house: House) -> None:
    state, another = await house.open(), await house.open()
    await state.look([TOKEN, OTHER])
    await another.look([TOKEN, OTHER])
    assert state.claim(TOKEN) == Granted()
    await begun(state, OTHER)
    state.end(OTHER, 0, 0)
    await state.close()
    assert another.claim(TOKEN) == Granted()
    assert isinstance(another.claim(OTHER), Unread)
    await another.close()


async def test_a_closed_state_grants_nothing_and_closes_again(house: House) -> None:
    state = await house.open()
    await begun(state)
    await state.close()
    await state.close()
    state.end(TOKEN, 0, 0)
    state.release(TOKEN)
    with pytest.raises(StateError, match="closed"):
        state.claim(OTHER)
    with pytest.raises(StateError, match="closed"):
        await state.flush()
    told: list[StateError | None] = []
    state.settle(RUN, [mark()], None, told.append)
    while not told:
        await asyncio.sleep(0)
    assert isinstance(told[0], StateError)


# --- knowledge


async def test_a_question_that_was_never_asked_is_not_known(house: House) -> None:
    state = await house.open()
    assert state.since(TOKEN, "interactions") is None
    await state.look([TOKEN])
    assert state.since(TOKEN, "interactions") is None
    await state.close()


async def test_arming_counts_from_when_the_request_left(house: House) -> None:
    state = await house.open()
    await state.look([TOKEN])
    state.arm(TOKEN, "interactions", 2.5)
    house.advance(10)
    assert state.since(TOKEN, "interactions") == pytest.approx(12.5)
    assert state.since(TOKEN, "gamification") is None
    assert state.since(OTHER, "interactions") is None
    await state.close()


async def test_arming_again_never_makes_it_older(house: House) -> None:
    state = await house.open()
    await state.look([TOKEN])
    state.arm(TOKEN, "interactions", 1)
    state.arm(TOKEN, "interactions", 100)
    assert state.since(TOKEN, "interactions") == pytest.approx(1)
    await state.close()


async def test_arming_is_for_this_state_alone_until_it_is_settled(house: House) -> None:
    state, another = await house.open(), await house.open()
    await state.look([TOKEN])
    state.arm(TOKEN, "interactions", 0)
    await another.look([TOKEN])
    assert another.since(TOKEN, "interactions") is None
    await settle(state, mark())
    await another.look([TOKEN])
    assert another.since(TOKEN, "interactions") == pytest.approx(0)
    await state.close()
    await another.close()


@pytest.mark.parametrize(
    ("marks", "known"),
    [
        ([mark("ok", ago=2)], 2),
        ([mark("empty", ago=2)], 2),
        ([mark("failed", ago=2)], None),
        ([mark("skipped")], None),
        ([mark("ok", ago=2), mark("failed")], 2),
        ([mark("ok", ago=2), mark("skipped", kind="not_due")], 2),
        ([mark("ok", ago=9), mark("ok", ago=2)], 2),
        ([mark("ok", ago=2, operation="quito"), mark("ok", ago=9)], 2),
    ],
)
async def test_only_what_was_answered_counts_as_asked(house: House, marks: Sequence[Mark], known: float | None) -> None:
    state, another = await house.open(), await house.open()
    await state.look([TOKEN])
    for one in marks:
        await settle(state, one)
    await another.look([TOKEN])
    expected = None if known is None else pytest.approx(known)
    assert another.since(TOKEN, "interactions") == expected
    assert state.since(TOKEN, "interactions") == expected
    await state.close()
    await another.close()


async def test_what_was_asked_longer_than_a_day_ago_is_forgotten(house: House) -> None:
    state = await house.open()
    await asked(state, mark())
    house.advance(86_399)
    assert state.since(TOKEN, "interactions") == pytest.approx(86_399)
    house.advance(1)
    assert state.since(TOKEN, "interactions") is None
    await state.close()


async def test_tokens_that_share_pages_of_memory_are_told_apart(house: House) -> None:
    state, another = await house.open(), await house.open()
    tokens = [f"tk_{number:012x}" for number in range(100)]
    await state.look(tokens)
    for number, token in enumerate(tokens):
        if number % 3:
            await asked(state, mark(token=token, ago=number))
    await another.look(tokens)
    for number, token in enumerate(tokens):
        assert another.since(token, "interactions") == (pytest.approx(number) if number % 3 else None)
    await state.close()
    await another.close()


async def test_an_answer_that_was_never_delivered_is_as_if_it_had_not_been_asked_for(house: House) -> None:
    state = await house.open()
    await asked(state, mark("ok", at=house.now))
    house.advance(100)
    await begun(state)
    state.end(TOKEN, 0, 0)
    state.arm(TOKEN, "interactions", 1)
    state.arm(TOKEN, "gamification", 1)
    assert state.since(TOKEN, "interactions") == pytest.approx(1)
    state.disarm(TOKEN, "interactions")
    state.disarm(TOKEN, "vision")
    state.disarm(OTHER, "interactions")
    state.release(TOKEN)
    assert state.since(TOKEN, "interactions") == pytest.approx(100)
    assert state.since(TOKEN, "gamification") == pytest.approx(1)
    assert state.claim(TOKEN) == Granted()
    await state.close()


async def test_what_is_settled_is_not_undone(house: House) -> None:
    state = await house.open()
    await state.look([TOKEN])
    state.arm(TOKEN, "interactions", 0)
    await settle(state, mark(ago=5))
    state.disarm(TOKEN, "interactions")
    assert state.since(TOKEN, "interactions") == pytest.approx(0)
    await state.close()


async def test_of_two_times_an_attempt_closes_its_token_for_the_longer(house: House) -> None:
    state = await house.open()
    for at_work, pause in ((5, 3), (3, 5)):
        await begun(state)
        state.end(TOKEN, at_work, pause)
        state.release(TOKEN)
        assert state.claim(TOKEN) == Closed(5.0)
        house.advance(5)
    assert state.claim(TOKEN) == Granted()
    await state.close()


# --- refusals


async def test_a_refusal_is_known_to_everybody_until_it_is_over(house: House) -> None:
    state, another = await house.open(), await house.open()
    await begun(state)
    state.end(TOKEN, 0, 0)
    state.refuse(TOKEN, Refusal(ErrorKind.FORBIDDEN, "PLEASE VALIDATE TOKEN", 3600))
    state.release(TOKEN)
    await state.flush()
    house.advance(600)
    await another.look([TOKEN, OTHER])
    for one in (state, another):
        assert one.refusal(TOKEN) == Refusal(ErrorKind.FORBIDDEN, "PLEASE VALIDATE TOKEN", 3000.0)
        assert one.refusal(OTHER) is None
    house.advance(3000)
    assert state.refusal(TOKEN) is None
    assert another.refusal(TOKEN) is None
    await state.close()
    await another.close()


async def test_a_token_that_was_refused_is_not_granted_on_old_knowledge(house: House) -> None:
    state, another = await house.open(), await house.open()
    await another.look([TOKEN])
    await begun(state)
    state.end(TOKEN, 0, 0)
    state.refuse(TOKEN, Refusal(ErrorKind.UNAUTHORIZED, "no", 3600))
    state.release(TOKEN)
    await state.flush()
    assert another.claim(TOKEN) == Unread()
    await another.look([TOKEN])
    assert another.refusal(TOKEN) is not None
    await state.close()
    await another.close()


async def test_a_forgiven_token_is_forgiven_by_all_who_look(house: House) -> None:
    state, another = await house.open(), await house.open()
    await begun(state)
    state.end(TOKEN, 0, 0)
    state.refuse(TOKEN, Refusal(ErrorKind.QUOTA, "TOKEN LIMIT EXCEEDED", 3600))
    state.release(TOKEN)
    await state.flush()
    await another.look([TOKEN])
    await state.forgive([TOKEN, OTHER])
    assert state.refusal(TOKEN) is None
    await another.look([TOKEN])
    assert another.refusal(TOKEN) is None
    await state.close()
    await another.close()


# --- names


async def test_a_token_that_nobody_named_has_no_names(house: House) -> None:
    state = await house.open()
    assert state.names(TOKEN) == frozenset()
    await state.look([TOKEN])
    assert state.names(TOKEN) == frozenset()
    assert not state.is_anothers(TOKEN, [1])
    await state.close()


async def test_a_name_is_known_at_once_and_soon_to_everybody_who_looks(house: House) -> None:
    state, another = await house.open(), await house.open()
    await state.look([TOKEN, OTHER])
    state.name(TOKEN, [LEAST, -1, MOST])
    state.name(OTHER, [0])
    assert state.names(TOKEN) == {LEAST, -1, MOST}
    await state.flush()
    await another.look([TOKEN, OTHER])
    for one in (state, another):
        assert one.names(TOKEN) == {LEAST, -1, MOST}
        assert one.names(OTHER) == {0}
    await state.close()
    await another.close()


async def test_names_take_the_place_of_those_before_them(house: House) -> None:
    state, another = await house.open(), await house.open()
    await state.look([TOKEN])
    for names in ([1, 2], [2, 3], [4]):
        state.name(TOKEN, names)
        await state.flush()
        await another.look([TOKEN])
        assert state.names(TOKEN) == another.names(TOKEN) == set(names)
    assert not any(state.is_anothers(OTHER, [gone]) for gone in (1, 2, 3))
    await state.close()
    await another.close()


async def test_what_was_read_before_a_commit_changes_nothing_after_it(house: House) -> None:
    state, another = await house.open(), await house.open()
    await state.look([TOKEN])
    for name in range(10):
        state.name(TOKEN, [name])
        state.refuse(TOKEN, Refusal(ErrorKind.FORBIDDEN, f"no {name}", 3600))
        looking = asyncio.create_task(state.look([TOKEN]))
        await asyncio.sleep(0)
        time.sleep(0.005)  # noqa: ASYNC251 - the event loop hears of both at once
        await looking
        assert state.names(TOKEN) == {name}
        assert state.refusal(TOKEN) == Refusal(ErrorKind.FORBIDDEN, f"no {name}", 3600.0)
    await state.flush()
    await another.look([TOKEN])
    assert another.names(TOKEN) == {9}
    await state.close()
    await another.close()


async def test_a_name_is_anothers_when_some_other_token_has_it(house: House) -> None:
    state = await house.open()
    await state.look([TOKEN, OTHER])
    state.name(TOKEN, [1, 2])
    assert not state.is_anothers(TOKEN, [1, 2])
    assert state.is_anothers(OTHER, [2, 5])
    assert not state.is_anothers(OTHER, [5])
    state.name(OTHER, [2])
    assert state.is_anothers(TOKEN, [2])
    assert not state.is_anothers(TOKEN, [1])
    state.name(TOKEN, [1])
    assert not state.is_anothers(OTHER, [2])
    await state.close()


async def test_a_token_that_nobody_looked_at_is_not_named(house: House) -> None:
    state = await house.open()
    await state.look([TOKEN])
    state.name(TOKEN, [1])
    state.name(OTHER, [2])
    assert state.names(OTHER) == frozenset()
    assert not state.is_anothers(TOKEN, [2])
    assert state.is_anothers(OTHER, [1])
    await state.close()


# --- runs


async def test_a_new_run_has_the_id_that_was_ordered(house: House) -> None:
    state = await house.open()
    assert await state.open_run(order()) == OpenRun(RUN, NOON)
    await state.close()


async def test_a_named_run_is_taken_up_with_what_is_settled(house: House) -> None:
    state = await house.open()
    await state.look([TOKEN])
    run = await state.open_run(order(1, "november"))
    done = [mark("ok", attempts=2), mark("empty", question="gamification")]
    rest = [mark("failed", question="ivr_minutes", attempts=4), mark("skipped", question="vision", attempts=0)]
    await settle(state, *done, *rest)
    await state.close_run(run.id, complete=False)
    house.advance(3600)
    taken_up = await state.open_run(order(2, "november"))
    assert taken_up == OpenRun(
        RUN,
        NOON,
        resumed=True,
        settled=frozenset(tail(one.call) for one in done),
        counters=Counters(ok=1, empty=1, rows=3, attempts=7),
    )
    await state.close()


async def test_a_named_run_that_is_complete_is_taken_up_too(house: House) -> None:
    state = await house.open()
    run = await state.open_run(order(1, "november"))
    await settle(state, mark())
    await state.close_run(run.id, complete=True)
    again = await state.open_run(order(2, "november"))
    assert (again.resumed, again.settled) == (True, frozenset({tail(mark().call)}))
    await state.close()


async def test_a_call_that_failed_and_then_succeeded_counts_as_it_ended(house: House) -> None:
    state = await house.open()
    await state.open_run(order(1, "november"))
    await settle(state, mark("failed", attempts=4))
    await state.close_run(RUN, complete=False)
    await state.open_run(order(1, "november"))
    await settle(state, mark("ok", attempts=1))
    await state.close_run(RUN, complete=True)
    assert (await state.open_run(order(1, "november"))).counters == Counters(ok=1, rows=3, attempts=5)
    await state.close()


async def test_a_call_that_is_adopted_beside_being_settled_counts_once(house: House) -> None:
    state = await house.open()
    await state.open_run(order(1, "november"))
    await settle(state, mark())
    await state.adopt(OUTPUT, [mark(), mark()], 100)
    await state.close_run(RUN, complete=False)
    await state.adopt(OUTPUT, [mark()], 200)
    run = await state.open_run(order(1, "november"))
    assert run.counters == Counters(ok=1, rows=3, attempts=1)
    await state.adopt(OUTPUT, [mark()], 300)
    await state.close_run(RUN, complete=False)
    assert (await state.open_run(order(1, "november"))).counters == Counters(ok=1, rows=3, attempts=1)
    await state.close()


async def test_what_is_only_planned_is_neither_asked_nor_settled(house: House) -> None:
    state, another = await house.open(), await house.open()
    await state.look([TOKEN])
    await state.open_run(order(1, "november"))
    state.expect(RUN, [planned()])
    await state.flush()
    await another.look([TOKEN])
    assert another.since(TOKEN, "interactions") is None
    assert another.claim(TOKEN) == Granted()
    await state.close_run(RUN, complete=False)
    assert (await state.open_run(order(1, "november"))).settled == frozenset()
    await state.close()
    await another.close()


async def test_a_run_is_alive_in_one_place(house: House) -> None:
    state, another = await house.open(), await house.open()
    await state.open_run(order(1, "november"))
    with pytest.raises(RunError, match="november is alive"):
        await another.open_run(order(2, "november"))
    with pytest.raises(RunError, match="alive"):
        await another.open_run(order(2, resume=True))
    with pytest.raises(RunError, match="alive"):
        await state.open_run(order(2, "november"))
    await state.close()
    assert (await another.open_run(order(2, "november"))).resumed
    await another.close()


async def test_a_run_keeps_its_output(house: House) -> None:
    state = await house.open()
    await state.open_run(order(1, "november"))
    await state.close_run(RUN, complete=False)
    with pytest.raises(RunError, match=r"usage\.jsonl"):
        await state.open_run(order(2, "november", output="elsewhere.jsonl"))
    assert (await state.open_run(order(2, "november"))).id == RUN
    await state.close()


async def test_two_new_runs_cannot_have_one_id(house: House) -> None:
    state = await house.open()
    await state.open_run(order(1))
    with pytest.raises(RunError, match="already"):
        await state.open_run(order(1))
    await state.flush()
    await state.close()


async def test_resuming_takes_the_newest_incomplete_run_over_the_same_things(house: House) -> None:
    state = await house.open()
    for number, complete in ((1, False), (2, False), (3, True)):
        run = await state.open_run(order(number))
        await state.close_run(run.id, complete=complete)
    elsewhere = await state.open_run(order(4, output="elsewhere.jsonl"))
    await state.close_run(elsewhere.id, complete=False)
    resumed = await state.open_run(order(9, resume=True))
    assert (resumed.id, resumed.resumed) == (order(2).id, True)
    await state.close()


async def test_with_nothing_to_resume_there_is_no_run(house: House) -> None:
    state = await house.open()
    run = await state.open_run(order(1))
    await state.close_run(run.id, complete=True)
    with pytest.raises(RunError, match="no run to resume"):
        await state.open_run(order(2, resume=True))
    with pytest.raises(RunError, match="november"):
        await state.open_run(order(2, "november", resume=True))
    await state.close()


async def test_what_did_not_arrive_is_as_if_never_called(house: House) -> None:
    state, another = await house.open(), await house.open()
    await state.look([TOKEN])
    await state.open_run(order(1, "november"))
    arrived, lost = mark(), mark(question="gamification", attempts=2)
    await settle(state, arrived, lost)
    state.unsettle(RUN, [lost])
    assert state.since(TOKEN, "gamification") is None
    await state.close_run(RUN, complete=False)
    await another.look([TOKEN])
    assert another.since(TOKEN, "gamification") is None
    assert another.since(TOKEN, "interactions") is not None
    run = await another.open_run(order(1, "november"))
    assert (run.settled, run.counters) == (frozenset({tail(arrived.call)}), Counters(ok=1, rows=3, attempts=1))
    await settle(another, lost)
    await another.close_run(RUN, complete=False)
    assert len((await another.open_run(order(1, "november"))).settled) == 2
    await state.close()
    await another.close()


async def test_what_is_settled_under_an_unknown_run_counts_for_its_token(house: House) -> None:
    state, another = await house.open(), await house.open()
    await asked(state, mark(run=ulid(1, 1)))
    await another.look([TOKEN])
    assert another.since(TOKEN, "interactions") == pytest.approx(0)
    await state.close()
    await another.close()


# --- outputs


async def test_an_output_that_nobody_knows_was_read_up_to_its_start(house: House) -> None:
    state = await house.open()
    assert await state.adopted(OUTPUT) == 0
    await state.close()


async def test_an_output_is_known_by_what_stands_behind_its_path(house: House) -> None:
    state = await house.open()
    await state.adopt(OUTPUT, [], 1234)
    assert await state.adopted(OUTPUT) == 1234
    assert await state.adopted(Place(OUTPUT.path, OUTPUT.device, 43)) == 0
    assert await state.adopted(Place(OUTPUT.path, 8, OUTPUT.inode)) == 0
    await state.adopt(Place(OUTPUT.path, OUTPUT.device, 43), [], 5)
    assert await state.adopted(OUTPUT) == 0
    await state.close()


async def test_what_a_run_settles_needs_no_adoption(house: House) -> None:
    state = await house.open()
    await state.open_run(order())
    await state.adopt(OUTPUT, [], 100)
    await settle(state, mark(), position=700)
    await settle(state, mark(question="gamification"), position=None)
    assert await state.adopted(OUTPUT) == 700
    await state.close()


async def test_adopted_marks_arm_the_interval(house: House) -> None:
    state, another = await house.open(), await house.open()
    await another.look([TOKEN])
    house.advance(100)
    await state.adopt(OUTPUT, [mark("ok", ago=20), mark("failed", question="vision")], 100)
    await another.look([TOKEN])
    assert another.since(TOKEN, "interactions") == pytest.approx(120)
    assert another.since(TOKEN, "vision") is None
    await state.close()
    await another.close()


async def test_an_adopted_mark_from_the_future_counts_as_now(house: House) -> None:
    state = await house.open()
    await state.adopt(OUTPUT, [mark(ago=-3600)], 100)
    await state.look([TOKEN])
    assert state.since(TOKEN, "interactions") == pytest.approx(0)
    await state.close()


async def test_adopted_marks_settle_the_calls_of_known_runs_once(house: House) -> None:
    state = await house.open()
    await state.open_run(order(1, "november"))
    told, untold = mark(), mark(question="gamification", attempts=2)
    await settle(state, told)
    await state.close_run(RUN, complete=False)
    await state.adopt(OUTPUT, [told, untold, mark(run=ulid(5, 5))], 100)
    await state.adopt(OUTPUT, [told, untold], 100)
    run = await state.open_run(order(1, "november"))
    assert run.settled == {tail(told.call), tail(untold.call)}
    assert run.counters == Counters(ok=2, rows=6, attempts=3)
    await state.close()


async def test_an_older_mark_that_is_adopted_changes_nothing_newer(house: House) -> None:
    state = await house.open()
    await asked(state, mark())
    house.advance(100)
    await state.adopt(OUTPUT, [mark(ago=900)], 100)
    await state.look([TOKEN])
    assert state.since(TOKEN, "interactions") == pytest.approx(100)
    await state.close()


async def test_lines_that_only_look_like_marks_are_passed_over(house: House) -> None:
    state = await house.open()
    await state.open_run(order(1, "november"))
    await state.close_run(RUN, complete=False)
    await state.adopt(OUTPUT, [mark(token="no token id"), mark(rows=-1), mark(attempts="4")], 100)  # type: ignore[arg-type]
    run = await state.open_run(order(1, "november"))
    assert (run.settled, await state.adopted(OUTPUT)) == (frozenset(), 100)
    await state.close()
