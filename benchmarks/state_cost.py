"""CPU of the state per call, of planning calls, and time and memory of looking up 100,000 tokens.

Claim, begin, end, ask when and why not, arm, settle, release: everything that a call has to do with
the state, with 1,000 tokens held, for one and for two calls per token. The thread's CPU is included.
The best of several rounds, because other programs on the machine only ever add to it.
Exits 1 when a figure is missed.

    python -m benchmarks.state_cost [--tokens N] [--looked N] [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
import tracemalloc
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from wolkvox_async.adapters.state import SqliteState
from wolkvox_async.identity import call_id, ulid
from wolkvox_async.marks import Mark
from wolkvox_async.model import Call, Operation, Token
from wolkvox_async.ports import Granted, RunOrder

from .laboratory import table

HELD = 1_000
QUESTIONS = ("interactions", "gamification", "ivr_minutes")
MOST_US = 30.0
MOST_MIB = 30.0
MOST_PLANNING_US = 4.0
PORTION = 500


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--looked", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    rows: list[tuple[str, object]] = []
    good = True
    for calls in (1, 2):
        cost = min(asyncio.run(_measure_calls(wanted.tokens, calls)) for _ in range(wanted.rounds))
        good = good and cost <= MOST_US
        rows.append((f"CPU per call, {calls} per token, {HELD} held", f"{cost:.1f} us (limit {MOST_US:g})"))
    new, known = min(asyncio.run(_measure_planning(wanted.tokens)) for _ in range(wanted.rounds))
    good = good and known <= MOST_PLANNING_US
    rows.append(("CPU per call that is planned, new", f"{new:.1f} us"))
    rows.append(("CPU per call that is planned, known", f"{known:.1f} us (limit {MOST_PLANNING_US:g})"))
    first, again, mib = asyncio.run(_measure_look(wanted.looked))
    good = good and mib <= MOST_MIB
    rows.append((f"look at {wanted.looked} new tokens", f"{first:.2f} s"))
    rows.append((f"look at them again, {len(QUESTIONS)} questions each", f"{again:.2f} s"))
    rows.append(("memory for what is known of them", f"{mib:.1f} MiB (limit {MOST_MIB:g})"))
    table(rows)
    return 0 if good else 1


async def _measure_calls(tokens: int, calls: int) -> float:
    ids = [f"tk_{number * 0x9E3779B97F4A % (1 << 48):012x}" for number in range(tokens)]
    with tempfile.TemporaryDirectory() as folder:
        async with await SqliteState.open(Path(folder, "state")) as state:
            run = ulid(time.time_ns() // 1_000_000, 1)
            await state.open_run(RunOrder(run, datetime.now(UTC)))
            await state.look(ids)
            marks = list(_marks(run, ids, calls))
            before = _cpu()
            await _pass(state, run, ids, marks)
            await state.flush()
            cost = (_cpu() - before) / (tokens * calls) * 1e6
            await state.close_run(run, complete=True)
    return cost - await _bare(tokens * calls)


async def _pass(state: SqliteState, run: str, ids: Sequence[str], marks: Sequence[Mark]) -> None:
    """Use every token as the engine does: its calls back to back, given back when they are settled."""
    per_token = len(marks) // len(ids)
    held: deque[int] = deque()
    for number, token in enumerate(ids):
        if state.claim(token) != Granted():
            raise AssertionError("the token is free")
        held.append(number)
        if len(held) == HELD:
            await _use(state, run, ids, marks, held.popleft(), per_token)
    while held:
        await _use(state, run, ids, marks, held.popleft(), per_token)


async def _use(
    state: SqliteState, run: str, ids: Sequence[str], marks: Sequence[Mark], number: int, per_token: int
) -> None:
    token = ids[number]
    for mark in marks[number * per_token : (number + 1) * per_token]:
        if state.since(token, mark.question) is not None or state.refusal(token) is not None:
            raise AssertionError("nothing was asked yet")
        state.begin(token, 70.0)
        state.end(token, 0.0, 0)
        state.arm(token, mark.question, 0.2)
        state.settle(run, (mark,), number, _heard)
    state.release(token)
    if number % 10 == 0:  # the loop turns as often as answers come in together
        await asyncio.sleep(0)


def _heard(_: Exception | None) -> None:
    """Pass over it: a failure shows when the state is flushed."""


async def _bare(calls: int) -> float:
    """Return what the loop itself costs per call (us)."""
    before = _cpu()
    for number in range(calls):
        if number % 10 == 0:
            await asyncio.sleep(0)
    return (_cpu() - before) / calls * 1e6


async def _measure_planning(tokens: int) -> tuple[float, float]:
    operations = [
        Operation(f"tenant-{n // 2}", f"operation-{n % 2}", "0010", Token(f"secret-{n}")) for n in range(tokens)
    ]
    calls = [
        Call("", operation, question, "", (("api", question),))
        for operation in operations
        for question in QUESTIONS[:2]
    ]
    with tempfile.TemporaryDirectory() as folder:
        async with await SqliteState.open(Path(folder, "state")) as state:
            await state.look([operation.token.id for operation in operations])
            new = await _plan(state, calls)
            run = ulid(time.time_ns() // 1_000_000, 1)
            for start in range(0, tokens, PORTION):
                ids = [operation.token.id for operation in operations[start : start + PORTION]]
                state.settle(run, list(_marks(run, ids, 2, start)), None, _heard)
                await state.flush()
            return new, await _plan(state, calls)


async def _plan(state: SqliteState, calls: Sequence[Call]) -> float:
    before = _cpu()
    for start in range(0, len(calls), PORTION):
        state.expect("run", calls[start : start + PORTION])
        await asyncio.sleep(0)
    await state.flush()
    return (_cpu() - before) / len(calls) * 1e6


async def _measure_look(tokens: int) -> tuple[float, float, float]:
    ids = [f"tk_{number * 0x9E3779B97F4A % (1 << 48):012x}" for number in range(tokens)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state")
        async with await SqliteState.open(path) as state:
            started = time.monotonic()
            await state.look(ids)
            first = time.monotonic() - started
            run = ulid(time.time_ns() // 1_000_000, 1)
            for start in range(0, tokens, 1_000):
                state.settle(run, list(_marks(run, ids[start : start + 1_000], len(QUESTIONS))), None, _heard)
                await state.flush()
        async with await SqliteState.open(path) as state:
            started = time.monotonic()
            await state.look(ids)
            again = time.monotonic() - started
        tracemalloc.start()
        async with await SqliteState.open(path) as state:
            before, _ = tracemalloc.get_traced_memory()
            await state.look(ids)
            after, _ = tracemalloc.get_traced_memory()
            if state.since(ids[-1], QUESTIONS[-1]) is None:
                raise AssertionError("it is known")
        tracemalloc.stop()
    return first, again, (after - before) / (1 << 20)


def _marks(run: str, ids: Sequence[str], calls: int, first: int = 0) -> Iterator[Mark]:
    now = time.time()
    for number, token in enumerate(ids, first):
        for question in QUESTIONS[:calls]:
            yield Mark(
                run=run,
                call=call_id(run, (token, question)),
                tenant=f"tenant-{number // 2}",
                operation=f"operation-{number % 2}",
                server="0010",
                token=token,
                question=question,
                outcome="ok",
                kind=None,
                message=None,
                rows=3,
                attempts=1,
                at=now,
                sent=now - 0.2,
            )


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
