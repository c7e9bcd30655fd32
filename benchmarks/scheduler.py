"""Memory and CPU of the scheduler alone, with 10,000 to 1,000,000 tokens queued.

For each number of tokens, with one call per token and with three: add every call, then start
as many as may be in flight, end the one that was sent first, start what may start now, and so
on until nothing is left, as the engine does. Nothing fails. 20 servers share the tokens: 640
calls are in flight, and everybody else is parked.

Bytes are what tracemalloc counts from before the first call is added: operations, tokens,
their texts and the calls are made before. They are taken twice, when all calls are added and
when the first attempts are in flight, and the larger figure counts. A token with one call
may cost 200; what each further call costs is shown.

Microseconds are CPU per call, the best of several rounds, because other programs on the
machine only ever add to it. `done` includes the release of the room in the lane; how the time
of both is shared between `take` and `done` is measured in other rounds, because asking for
the time so often takes time. The garbage
collector is on, as it is in the engine. Before a round everything made so far is frozen, as the
command line does when its calls are planned: so what is counted is the collector's work on the
scheduler's own objects.

Exits 1 when a figure is missed: 200 bytes, 20 us together, and 1.5 times the CPU from the
smallest number of tokens to the largest.

    python -m benchmarks.scheduler [--tokens N ...] [--servers N]
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import tracemalloc
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from wolkvox_async.model import Call, Empty, Operation, Token
from wolkvox_async.scheduling.decisions import Attempt, Limits
from wolkvox_async.scheduling.queues import Budget, Lane
from wolkvox_async.scheduling.scheduler import Scheduler

from .laboratory import table

MOST_BYTES = 200
MOST_US = 20.0
MOST_GROWTH = 1.5
CALLS = (1, 3)
PORTION = 500  # calls that are added at one time
LATENCY = 0.05
MOMENT = 1e-4  # from one end to the next
NOTHING = Empty(200, 200, "")


@dataclass(frozen=True, slots=True)
class Cpu:
    """Microseconds per call."""

    add: float
    take: float
    done: float

    @property
    def together(self) -> float:
        """All of it."""
        return self.add + self.take + self.done


@dataclass(frozen=True, slots=True)
class Figures:
    """What so many tokens with so many calls each cost; `size` is bytes per token."""

    tokens: int
    calls: int
    size: float
    cpu: Cpu


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--servers", type=int, default=20)
    wanted = parser.parse_args()
    found = [_measure(tokens, calls, wanted.servers) for tokens in sorted(wanted.tokens) for calls in CALLS]
    growths = [(calls, _growth([each for each in found if each.calls == calls])) for calls in CALLS]
    rows: list[tuple[str, object]] = [
        ("tokens x calls", "bytes per token     add    take    done  together (us per call)")
    ]
    rows += [(f"{each.tokens:,} x {each.calls}", _row(each)) for each in found]
    rows += [("limit, with one call", f"{MOST_BYTES:>15} {MOST_US:>33g}")]
    rows += [
        (f"most to fewest tokens, x {calls}", f"{growth:.2f} (limit {MOST_GROWTH:g})") for calls, growth in growths
    ]
    table(rows)
    small = all(each.size <= MOST_BYTES for each in found if each.calls == 1)
    quick = all(each.cpu.together <= MOST_US for each in found)
    return 0 if small and quick and all(growth <= MOST_GROWTH for _, growth in growths) else 1


def _row(figures: Figures) -> str:
    cpu, size = figures.cpu, f"{figures.size:.0f}"
    if figures.calls > 1:
        size += f" ({figures.size / figures.calls:.0f} a call)"
    return f"{size:>15} {cpu.add:>7.2f} {cpu.take:>7.2f} {cpu.done:>7.2f} {cpu.together:>9.2f}"


def _growth(found: Sequence[Figures]) -> float:
    return found[-1].cpu.together / found[0].cpu.together


def _measure(tokens: int, calls: int, servers: int) -> Figures:
    planned = _plan(tokens, calls, servers)
    size = _size(planned) / tokens
    rounds = [_cpu(planned) for _ in range(max(2, min(10, 500_000 // tokens)))]
    return Figures(tokens, calls, size, min(rounds, key=lambda cpu: cpu.together))


def _plan(tokens: int, calls: int, servers: int) -> list[Call]:
    operations = (
        Operation(f"tenant-{n}", "operation", f"{n % servers:04}", Token(f"made-up-token-{n}")) for n in range(tokens)
    )
    return [Call("", operation, "interactions", "", ()) for operation in operations for _ in range(calls)]


@contextmanager
def _frozen() -> Iterator[None]:
    """Have the collector leave alone what there is already, for the length of the block."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _begin() -> tuple[Scheduler, Lane]:
    limits = Limits()
    return Scheduler(limits), Lane(Budget(2 * limits.max_in_flight))


def _size(planned: Sequence[Call]) -> int:
    """Return how many bytes the scheduler takes with all of it queued."""
    with _frozen():
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        scheduler, lane = _begin()
        _add(scheduler, lane, planned)
        added, _ = tracemalloc.get_traced_memory()
        flying = _take(scheduler, LATENCY)
        parked, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    if not flying or scheduler.snapshot().queued != len(planned):
        raise AssertionError("everything is queued, and some of it in flight")
    return max(added, parked) - before


def _cpu(planned: Sequence[Call]) -> Cpu:
    with _frozen():
        scheduler, lane = _begin()
        began = time.process_time()
        _add(scheduler, lane, planned)
        added = time.process_time()
        _drain(scheduler, lane)
        drained = time.process_time()
        add, drain = ((to - since) / len(planned) * 1e6 for since, to in ((began, added), (added, drained)))
    with _frozen():
        scheduler, lane = _begin()
        _add(scheduler, lane, planned)
        take = drain * _share_of_take(scheduler, lane)
    return Cpu(add, take, drain - take)


def _drain(scheduler: Scheduler, lane: Lane) -> None:
    """Start and end everything."""
    now = LATENCY
    flying = deque(_take(scheduler, now))
    while flying:
        now += MOMENT
        following = _end(scheduler, lane, flying.popleft(), now)
        flying.extend(_take(scheduler, now) if following is None else (following,))
    if scheduler.snapshot().queued:
        raise AssertionError("every call has ended")


def _share_of_take(scheduler: Scheduler, lane: Lane) -> float:
    """Do the same with a clock beside it: return which share of the time `take` takes."""
    clock, now = time.perf_counter_ns, LATENCY
    began = clock()
    flying = deque(_take(scheduler, now))
    take, done = clock() - began, 0
    while flying:
        now += MOMENT
        attempt, began = flying.popleft(), clock()
        following = _end(scheduler, lane, attempt, now)
        ended = clock()
        flying.extend(_take(scheduler, now) if following is None else (following,))
        take += clock() - ended if following is None else 0
        done += ended - began
    return take / (take + done)


def _add(scheduler: Scheduler, lane: Lane, planned: Sequence[Call]) -> None:
    for start in range(0, len(planned), PORTION):
        now = start * 1e-9
        for call in planned[start : start + PORTION]:
            scheduler.add(call, lane, now=now)


def _take(scheduler: Scheduler, now: float) -> list[Attempt]:
    flying: list[Attempt] = []
    while (attempt := scheduler.take(now=now)) is not None:
        flying.append(attempt)
    return flying


def _end(scheduler: Scheduler, lane: Lane, attempt: Attempt, now: float) -> Attempt | None:
    """End an attempt well; return what follows in its turn."""
    answer = scheduler.done(attempt, NOTHING, now=now, jitter=0.5)
    scheduler.release(lane)
    return answer.following


if __name__ == "__main__":
    sys.exit(main())
