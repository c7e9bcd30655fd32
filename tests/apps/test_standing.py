"""What a token waits for: each reason, and which of several is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.adapters.state import Closing, LastCall, RunState, Survey, TokenState
from wolkvox_async.apps.reasons import message
from wolkvox_async.apps.standing import Reason, Standing, View, latest, standings, wait
from wolkvox_async.counters import Counters
from wolkvox_async.model import ErrorKind
from wolkvox_async.ports import Refusal

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TOKEN, OTHER = "tk_9f86d081884c", "tk_0123456789ab"
REFUSED = Refusal(ErrorKind.UNAUTHORIZED, "no such token", 3000)
QUOTA = Refusal(ErrorKind.QUOTA, "TOKEN LIMIT EXCEEDED", 500)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def call(
    question: str = "interactions",
    *,
    due: float | None = None,
    ago: float = 10,
    server: str = "0010",
    operation: str = "bogota",
    token: str = TOKEN,
    tenant: str = "acme",
    outcome: str | None = "ended",
) -> LastCall:
    """Return a call that ended so long `ago` (s), or was planned then, and is `due` in so many seconds."""
    ended = outcome is not None
    return LastCall(
        tenant=tenant,
        operation=operation,
        server=server,
        token=token,
        question=question,
        outcome=None if not ended else "failed" if due is None else "ok",
        kind="timeout" if due is None and ended else None,
        message=None,
        noted=after(-ago),
        rows=0,
        attempts=int(ended),
        run="run-1",
        due=None if due is None or not ended else after(due),
        since=None,
        sent=None,
    )


def a_run(name: str = "run-2", *, ago: float = 5, alive: bool = True, tenants: str = "tenants.json") -> RunState:
    return RunState(name, None, tenants, "-", after(-ago), NOW, alive, False, Counters())


OLD_RUN = a_run("run-1", ago=60, alive=False)


def reason(token: TokenState, *calls: LastCall, runs: tuple[RunState, ...] = (), **down: float) -> Reason:
    return wait(token, calls, View(NOW, {name[1:]: seconds for name, seconds in down.items()}, (OLD_RUN, *runs))).reason


@pytest.mark.parametrize(
    ("token", "expected", "until"),
    [
        (TokenState(refusal=REFUSED), Reason.REFUSED, 3000),
        (TokenState(refusal=QUOTA), Reason.QUOTA, 500),
        (TokenState(True, 70, Closing.IN_FLIGHT), Reason.IN_FLIGHT, 70),
        (TokenState(True), Reason.IN_FLIGHT, None),
        (TokenState(False, 60, Closing.LOST), Reason.LOST_CALL, 60),
        (TokenState(False, 60, Closing.UNKNOWN), Reason.LOST_CALL, 60),
        (TokenState(False, 40, Closing.AT_WORK), Reason.SERVER_LIMIT, 40),
        (TokenState(False, 2, Closing.PAUSE), Reason.TOKEN_GAP, 2),
        (TokenState(), Reason.NOTHING, None),
    ],
)
def test_what_is_known_of_a_token_says_what_it_waits_for(
    token: TokenState, expected: Reason, until: float | None
) -> None:
    found = wait(token, [call()], View(NOW, {}, ()))
    assert (found.reason, found.until) == (expected, None if until is None else after(until))


def test_a_refusal_says_what_to_do() -> None:
    found = wait(TokenState(refusal=REFUSED), [call()], View(NOW, {}, ()))
    assert "refused by the vendor (unauthorized): put a valid token" in message(found)
    assert "--retry-refused" in message(found)


def test_a_server_that_is_down_holds_back_its_tokens_until_the_next_probe() -> None:
    found = wait(TokenState(), [call()], View(NOW, {"0010": 30.0, "0011": 90.0}, ()))
    assert (found.reason, found.until) == (Reason.CIRCUIT, after(30))
    assert message(found).startswith("server 0010 does not answer")


def test_a_token_of_two_servers_waits_only_if_both_are_down() -> None:
    calls = (call(), call(operation="quito", server="0011"))
    assert reason(TokenState(), *calls, _0010=30) == Reason.NOTHING
    assert reason(TokenState(), *calls, _0010=30, _0011=60) == Reason.CIRCUIT


def test_of_what_holds_every_endpoint_back_the_last_to_end_is_named() -> None:
    assert reason(TokenState(False, 2, Closing.PAUSE), call(), _0010=30) == Reason.CIRCUIT
    assert reason(TokenState(False, 60, Closing.LOST), call(), _0010=30) == Reason.LOST_CALL


def test_a_token_waits_for_the_interval_when_no_endpoint_is_due() -> None:
    found = wait(TokenState(), [call(due=200), call("gamification?date_ini=1", due=100)], View(NOW, {}, ()))
    assert (found.reason, found.until) == (Reason.INTERVAL, after(100))
    assert message(found).startswith("gamification is due next")


def test_an_endpoint_that_is_due_or_failed_does_not_wait_for_the_interval() -> None:
    assert reason(TokenState(), call(due=200), call("gamification", due=0)) == Reason.NOTHING
    assert reason(TokenState(), call(due=200), call("gamification")) == Reason.NOTHING


def test_of_an_endpoint_only_the_last_call_counts_and_only_while_it_is_in_use() -> None:
    october = call("vision?date_ini=10", due=-50, ago=90)
    unused = call("gamification", due=-90_000, ago=90_300)
    assert reason(TokenState(), call("vision?date_ini=11", due=200), october, unused) == Reason.INTERVAL


def test_what_closes_a_token_is_named_before_the_interval() -> None:
    assert reason(TokenState(False, 2, Closing.PAUSE), call(due=200)) == Reason.TOKEN_GAP
    assert reason(TokenState(), call(due=200), _0010=30) == Reason.CIRCUIT


def test_a_token_waits_for_a_live_run_that_has_not_come_to_it() -> None:
    assert reason(TokenState(), call(), runs=(a_run(),)) == Reason.SLOT
    assert reason(TokenState(), call(), runs=(a_run(alive=False),)) == Reason.NOTHING
    assert reason(TokenState(), call(ago=3), runs=(a_run(),)) == Reason.NOTHING, "the run has called it"
    assert reason(TokenState(), call(), runs=(a_run(tenants="others.json"),)) == Reason.NOTHING
    assert reason(TokenState(), replace(call(), run="gone"), runs=(a_run(tenants="others.json"),)) == Reason.SLOT


def test_a_token_behind_a_live_run_waits_for_the_retries_of_a_server_that_has_none_left() -> None:
    view = View(NOW, {}, (OLD_RUN, a_run()), servers_short={"0010": 12, "0011": 90})
    found = wait(TokenState(), (call(),), view)
    assert (found.reason, found.until) == (Reason.RETRIES, after(12))
    assert message(found).startswith("run run-2 has not come to it yet")
    assert "server 0010" in message(found)
    assert wait(TokenState(), (call(server="0012"),), view).reason == Reason.SLOT
    assert wait(TokenState(), (call(), call("vision", server="0012")), view).reason == Reason.SLOT
    assert wait(TokenState(), (call(due=200),), view).reason == Reason.INTERVAL
    assert wait(TokenState(), (call(),), replace(view, runs=())).reason == Reason.NOTHING


def test_refusals_come_before_use_and_use_before_what_closes_a_token() -> None:
    assert reason(TokenState(True, 70, Closing.IN_FLIGHT, REFUSED), call(), _0010=30) == Reason.REFUSED
    assert reason(TokenState(True, 70, Closing.IN_FLIGHT), call(due=200), _0010=300) == Reason.IN_FLIGHT
    assert reason(TokenState(True, 60, Closing.AT_WORK), call()) == Reason.SERVER_LIMIT, "the attempt has ended"


def survey(*calls: LastCall, **tokens: TokenState) -> Survey:
    return Survey(calls, tokens, (), {}, None)


def test_a_token_is_named_once_with_its_operations() -> None:
    calls = (call(due=9), call("vision", due=9), call(operation="quito", due=9), call(tenant="zeta", due=9))
    found = standings(survey(*calls), calls, NOW)
    assert [(one.tenant, one.operations, one.token) for one in found] == [
        ("acme", ("bogota", "quito"), TOKEN),
        ("zeta", ("bogota",), TOKEN),
    ]
    assert {one.wait.reason for one in found} == {Reason.INTERVAL}


def test_a_token_that_was_replaced_is_not_named() -> None:
    calls = (call(ago=500), call(token=OTHER, due=100))
    (found,) = standings(survey(*calls, **{TOKEN: TokenState(refusal=REFUSED), OTHER: TokenState()}), calls, NOW)
    assert isinstance(found, Standing)
    assert (found.token, found.wait.reason) == (OTHER, Reason.INTERVAL)


def test_of_a_question_the_last_outcome_counts_whichever_token_it_was_asked_with() -> None:
    old, new, other = call(ago=500), call(token=OTHER, due=100), call("vision")
    assert latest([old, new, other]) == [new, other]


def never(question: str = "interactions", *, ago: float = 10, token: str = TOKEN) -> LastCall:
    return call(question, ago=ago, token=token, outcome=None)


def test_what_was_only_planned_may_be_called() -> None:
    assert reason(TokenState(), never()) == Reason.NOTHING
    assert reason(TokenState(), call(due=200), never("vision")) == Reason.NOTHING
    assert reason(TokenState(True, 70, Closing.IN_FLIGHT), never()) == Reason.IN_FLIGHT
    assert reason(TokenState(False, 60, Closing.LOST), never()) == Reason.LOST_CALL
    assert reason(TokenState(), never(), _0010=30) == Reason.CIRCUIT


def test_what_a_live_run_planned_waits_for_its_slot() -> None:
    assert reason(TokenState(), never(ago=3), runs=(a_run(ago=5),)) == Reason.SLOT
    assert reason(TokenState(), never(ago=3), runs=(a_run(ago=5, alive=False),)) == Reason.NOTHING


def test_a_token_that_was_planned_after_another_was_used_replaces_it() -> None:
    calls = (call(ago=500), never(token=OTHER))
    (found,) = standings(survey(*calls), calls, NOW)
    assert found.token == OTHER
    (found,) = standings(survey(*calls), (call(ago=5), never(token=OTHER)), NOW)
    assert found.token == TOKEN


def test_an_outcome_is_shown_before_what_was_only_planned() -> None:
    old, new = call(ago=500), never(token=OTHER)
    assert latest([old, new]) == latest([new, old]) == [old]
    assert latest([never(ago=500), new]) == [new]


TOKENS = st.builds(
    TokenState,
    held=st.booleans(),
    closed_for=st.floats(0.001, 3600),
    closing=st.sampled_from([None, *Closing]),
    refusal=st.sampled_from([None, REFUSED, QUOTA]),
)
CALLS = st.builds(
    call,
    st.sampled_from(["interactions", "vision?date_ini=1", "vision?date_ini=2"]),
    due=st.none() | st.floats(-300, 300),
    ago=st.floats(0, 200_000),
    server=st.sampled_from(["0010", "0011"]),
    outcome=st.sampled_from([None, "ended"]),
)
RUNS = st.builds(a_run, ago=st.floats(0, 100), alive=st.booleans(), tenants=st.sampled_from(["tenants.json", "x"]))


@given(
    TOKENS,
    st.lists(CALLS, max_size=6),
    st.dictionaries(st.sampled_from(["0010", "0011"]), st.floats(0.001, 99)),
    st.lists(RUNS, max_size=3),
    st.dictionaries(st.sampled_from(["0010", "0011"]), st.floats(0.001, 99)),
)
def test_there_is_always_one_reason_and_what_ends_by_itself_says_when(
    token: TokenState, calls: list[LastCall], down: dict[str, float], runs: list[RunState], short: dict[str, float]
) -> None:
    found = wait(token, calls, View(NOW, down, (OLD_RUN, *runs), short))
    assert found.reason in Reason
    assert message(found)
    assert found.is_guess <= (found.reason is Reason.LOST_CALL)
    if found.reason in {Reason.SLOT, Reason.NOTHING}:
        assert found.until is None
    elif found.reason is not Reason.IN_FLIGHT:
        assert found.until is not None
        assert found.until > NOW
    assert (found.reason in {Reason.REFUSED, Reason.QUOTA}) == (token.refusal is not None)
    assert (found.reason is Reason.NOTHING) <= (token.closing is None and not token.held)
