"""Calls that are tried again: when, how often, and what waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from wolkvox_async.model import Answer, Breakdown, Call, ErrorKind
from wolkvox_async.scheduling.retry import RetryPolicy
from wolkvox_async.testing import refusal

from .stage import (
    BROKEN,
    BUSY,
    GOOD,
    MAINTENANCE,
    UNKNOWN,
    LoopWall,
    Stage,
    broke,
    ends,
    kind_of,
    many,
    outcomes,
    read_all,
    subscription,
)

pytestmark = pytest.mark.looptime

THREE = ("interactions", "gamification", "ivr_calls")


class Diary:
    """A script that gives one answer after the other (the last one for ever) and notes when it was asked."""

    def __init__(self, *answers: Answer | Breakdown) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[float, str]] = []

    def __call__(self, call: Call, _number: int) -> Answer | Breakdown:
        self.asked.append((asyncio.get_running_loop().time(), call.api))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    @property
    def pauses(self) -> list[float]:
        return [round(later - earlier, 6) for (earlier, _), (later, _) in pairwise(self.asked)]

    @property
    def apis(self) -> list[str]:
        return [api for _, api in self.asked]


def limited(retry_after: str) -> Answer:
    return Answer(429, refusal(429, "SLOW BROKEN").body, retry_after)


async def test_pauses_double_and_attempts_have_an_end() -> None:
    diary = Diary(BROKEN)
    stage = Stage([subscription()], diary, retry=RetryPolicy(max_attempts=5, backoff=2.0), jitter=0.5)
    async with stage.engine() as engine:
        result = await engine.call("acme/bogota", "interactions")
    assert (result.outcome, result.attempts) == ("failed", 5)
    assert diary.pauses == [1.0, 2.0, 4.0, 8.0]


async def test_full_jitter_is_between_nothing_and_the_whole_pause() -> None:
    for jitter, pauses in ((0.0, [0.0, 0.0, 0.0]), (0.999, [0.999, 1.998, 3.996])):
        diary = Diary(BROKEN)
        async with Stage([subscription()], diary, jitter=jitter).engine() as engine:
            await engine.call("acme/bogota", "interactions")
        assert diary.pauses == pauses


async def test_a_call_that_recovers_is_ok_and_says_how_often_it_was_tried() -> None:
    diary = Diary(BROKEN, BROKEN, GOOD)
    async with Stage([subscription()], diary).engine() as engine:
        records = await read_all(engine)
    assert [(end["outcome"], end["attempts"]) for end in ends(records)] == [("ok", 3)]
    assert records[-1].get("attempts") == 3


@pytest.mark.parametrize(("said", "pause"), [("7", 7.0), ("0", 0.0), ("Sat, 21 Nov 2026 12:01:30 GMT", 90.0)])
async def test_retry_after_wins_over_the_backoff(said: str, pause: float) -> None:
    diary = Diary(limited(said), GOOD)
    async with Stage([subscription()], diary).engine() as engine:
        assert (await engine.call("acme/bogota", "interactions")).ok
    assert diary.pauses == [pause]


@pytest.mark.parametrize("said", ["301", "999999999999", "Sun, 21 Nov 2027 12:00:00 GMT"])
async def test_a_longer_pause_than_patience_allows_is_a_failure_at_once(said: str) -> None:
    diary = Diary(limited(said))
    async with Stage([subscription()], diary).engine() as engine:
        result = await engine.call("acme/bogota", "interactions")
    assert (result.outcome, result.attempts, asyncio.get_running_loop().time()) == ("failed", 1, 0)


@pytest.mark.parametrize("wait", [BUSY, MAINTENANCE])
async def test_waiting_for_the_token_or_the_server_uses_up_no_attempts(wait: Answer) -> None:
    diary = Diary(*[wait] * 3, BROKEN, GOOD)
    stage = Stage([subscription()], diary, retry=RetryPolicy(max_attempts=2, patience=600))
    async with stage.engine() as engine:
        result = await engine.call("acme/bogota", "interactions")
    assert (result.ok, result.attempts) == (True, 5)


@pytest.mark.parametrize(("wait", "kind"), [(BUSY, "token_busy"), (MAINTENANCE, "maintenance")])
async def test_patience_has_an_end(wait: Answer, kind: str) -> None:
    diary = Diary(wait)
    async with Stage([subscription()], diary, retry=RetryPolicy(patience=100)).engine() as engine:
        result = await engine.call("acme/bogota", "interactions")
        now = asyncio.get_running_loop().time()
    assert (result.outcome, result.error and result.error.kind) == ("failed", kind)
    assert now == pytest.approx(100, abs=0.01)


async def test_a_retry_keeps_its_place_before_the_tokens_other_calls() -> None:
    diary = Diary(BROKEN, GOOD)
    async with Stage([subscription("acme/bogota", THREE)], diary).engine() as engine:
        await read_all(engine)
    assert diary.apis == ["interactions", *THREE]


async def test_a_token_that_waits_holds_up_no_other() -> None:
    def script(call: Call, _number: int) -> Answer:
        return BROKEN if call.operation.path == "t0/main" else GOOD

    async with Stage(many(30), script).engine() as engine, engine.fetch() as records:
        reading = aiter(records)
        early = [await anext(reading) for _ in range(1 + 2 * 29)]
        assert asyncio.get_running_loop().time() == 0
        late = [record async for record in reading]
    assert outcomes(early) == {"ok": 29}
    assert outcomes(late) == {"failed server_error": 1}


# --- after a failure ----------------------------------------------------------------------


async def test_after_a_final_failure_the_tokens_other_calls_of_the_pass_are_held() -> None:
    stage = Stage([subscription("acme/bogota", THREE), subscription("acme/quito")], _down_in_bogota)
    async with stage.engine() as engine:
        records = await read_all(engine)
        assert outcomes(records) == {"failed server_error": 1, "skipped held": 2, "ok": 1}
        again = await engine.call("acme/bogota", "vision")
    assert again.error is not None
    assert again.error.kind == ErrorKind.SERVER_ERROR, "another caller is not held by it"


async def test_with_continue_they_are_called() -> None:
    stage = Stage([subscription("acme/bogota", THREE)], _down_in_bogota, after_failure="continue")
    async with stage.engine() as engine:
        assert outcomes(await read_all(engine)) == {"failed server_error": 3}


async def test_a_failure_of_the_calls_own_holds_nothing() -> None:
    def script(call: Call, _number: int) -> Answer:
        return UNKNOWN if call.api == "interactions" else GOOD

    async with Stage([subscription("acme/bogota", THREE)], script).engine() as engine:
        assert outcomes(await read_all(engine)) == {"failed unknown_api": 1, "ok": 2}


def _down_in_bogota(call: Call, _number: int) -> Answer:
    return BROKEN if call.operation.name == "bogota" else GOOD


# --- what the vendor may still be working on ----------------------------------------------


class Slow:
    """A transport's truth about time-outs: the request left after `connecting` seconds, given up after `timeout`."""

    def __init__(self, times: int, connecting: float = 0.0, timeout: float = 65.0) -> None:
        self._times: Iterator[Any] = iter(range(times))
        self._connecting = connecting
        self._timeout = timeout
        self.sent: list[float] = []

    async def __call__(self, _call: Call, _number: int) -> Answer | Breakdown:
        await asyncio.sleep(self._connecting)
        sent = asyncio.get_running_loop().time()
        self.sent.append(sent)
        if next(self._times, None) is None:
            return GOOD
        await asyncio.sleep(self._timeout - self._connecting)
        return broke(ErrorKind.TIMEOUT, since=sent)


async def test_after_a_time_out_the_token_stays_closed_until_the_server_limit_is_over() -> None:
    slow = Slow(1, connecting=3, timeout=10)
    stage = Stage([subscription("acme/bogota", THREE)], slow, jitter=0.0)
    async with stage.engine() as engine:
        assert outcomes(await read_all(engine)) == {"ok": 3}
    assert slow.sent[:2] == [3, 3 + 60 + 3], "60 s after its last request byte, and 3 s for a connection"


async def test_a_token_is_not_kept_closed_longer_than_that() -> None:
    slow = Slow(1, timeout=65)
    async with Stage([subscription()], slow, jitter=0.0).engine() as engine:
        assert (await engine.call("acme/bogota", "interactions")).ok
    assert slow.sent == [0, 65]


async def test_the_tokens_next_call_waits_for_the_server_limit_too() -> None:
    slow = Slow(1, timeout=10)
    stage = Stage([subscription()], slow, retry=RetryPolicy(max_attempts=1), server_limit=45)
    async with stage.engine() as engine:
        assert not (await engine.call("acme/bogota", "interactions")).ok
        assert (await engine.call("acme/bogota", "gamification")).ok
    assert slow.sent == [0, 45]


async def test_another_token_does_not_wait_for_it() -> None:
    slow = Slow(1, timeout=10)
    async with Stage(many(2), slow).engine() as engine:
        results = await asyncio.gather(*[engine.call(f"t{n}/main", "vision") for n in range(2)])
    assert all(result.ok for result in results)
    assert slow.sent == [0, 0, 60]


@pytest.mark.parametrize("kind", [ErrorKind.CONNECT, ErrorKind.TLS])
async def test_a_request_that_never_left_closes_nothing(kind: ErrorKind) -> None:
    diary = Diary(broke(kind), GOOD)
    stage = Stage([subscription("acme/bogota", THREE)], diary, jitter=0.0, after_failure="continue")
    async with stage.engine() as engine:
        records = await read_all(engine)
    assert asyncio.get_running_loop().time() == 0
    assert outcomes(records)["ok"] >= 2


async def test_a_clock_of_ones_own_need_not_be_the_transports() -> None:
    class Shifted(LoopWall):
        def now(self) -> float:
            return super().now() + 1e6

        def alarm(self, when: float, ring: Any) -> Any:
            return super().alarm(when - 1e6, ring)

    slow = Slow(1, timeout=10)
    async with Stage([subscription()], slow, clock=Shifted(), jitter=0.0).engine() as engine:
        assert (await engine.call("acme/bogota", "interactions")).ok
    assert slow.sent == [0, 70], "it cannot be told when the request left: it has by the end"


async def test_kinds_that_are_not_retryable_end_the_call_at_once() -> None:
    for kind in (ErrorKind.TLS, ErrorKind.TOO_LARGE, ErrorKind.MALFORMED):
        async with Stage([subscription()], Diary(broke(kind))).engine() as engine:
            records = await read_all(engine)
        assert [(kind_of(end), end["attempts"]) for end in ends(records)] == [(kind, 1)]
