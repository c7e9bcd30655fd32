"""SIGKILL at random times and at chosen points, then resumed: nothing lost, doubled, torn or overlapping.

Runs are named, killed again and again in the middle of what they do, and in the end
resumed until they are finished. A kill costs one start of a client; two labs work side by
side.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from typing import Any, Final

from tests.judging.evidence import wire_attempts
from tests.judging.manners import End, Manner, Plan, Says
from tests.judging.outputs import read_output
from tests.judging.rules import Violation

from . import seams
from .figures import EVERY_RULE, Figures
from .lab import Lab, Pace
from .population import Population
from .processes import Client, Done

KILLS: Final = (1000, 10)
SIDE_BY_SIDE: Final = 2
IN_FLIGHT: Final = 16
UNDELIVERED: Final = 3 * IN_FLIGHT  # calls that are in flight, answered, or being written, at most
RESUMED_AT_MOST: Final = 20

_NOTICED: Final = 0.02  # seconds after which the vendor has seen that a client is gone

_POPULATION: Final = Population(60, 4, ("interactions", "gamification", "vision"))
_PACE: Final = Pace(timeout=1.5, connect_timeout=1.5, server_limit=1.5)
_PLAN: Final = Plan(
    otherwise=Manner(rows=3, latency=0.02),
    chances=(
        (0.1, Manner(rows=40, halt=0.5, halt_for=0.2)),
        (0.05, Manner(says=Says.EMPTY, latency=0.05)),
        (0.01, Manner(says=Says.DOWN)),
        (0.01, Manner(halt=0.5, end=End.RESET)),
    ),
)


@dataclass(slots=True)
class Toll:
    """What was done, and what it came to."""

    kills: Counter[str] = field(default_factory=Counter)
    unexpected: list[Done] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)  # at each kill: attempts that nobody recorded
    runs: int = 0
    unfinished: int = 0
    violations: list[Violation] = field(default_factory=list)


class Campaign:
    """One lab, in which runs are killed until that was done often enough."""

    def __init__(self, lab: Lab, kills: int, seed: int) -> None:
        self._lab: Final = lab
        self._kills: Final = kills
        self._chance: Final = random.Random(seed)
        self.toll: Final = Toll()
        self._ways: Final[dict[str, Callable[[str, Path], Done]]] = {
            "any time": self._any_time,
            "amid calls": self._amid_calls,
            "mid-body": self._mid_body,
            "before a request": self._before_request,
            "between write and settle": self._before_settling,
            "before a commit": self._before_commit,
            "during a commit": self._during_commit,
            "after a commit": self._after_commit,
        }
        # Each in its turn, and side by side another one.
        ways = [*self._ways] * 2
        self._turns: Final = cycle(ways[seed % 2 * 5 :][: len(self._ways)])

    def wage(self) -> None:
        """Kill and resume, run after run, then judge."""
        while self.toll.kills.total() < self._kills and not self.toll.unexpected:
            self.toll.runs += 1
            self._one_run(f"run-{self.toll.runs}")
        self.toll.violations += self._lab.judge(repeats=UNDELIVERED * self.toll.kills.total())

    def _one_run(self, name: str) -> None:
        output, begun, before = self._lab.output(name), len(self._lab.journal()), 0
        while self.toll.kills.total() < self._kills:
            way = next(self._turns)
            done = self._ways[way](name, output)
            if not done.was_killed:
                self._finish(name, output, done)
                return
            self.toll.kills[way] += 1
            unrecorded = self._unrecorded(output, begun)
            self.toll.repeated.append(unrecorded - before)
            before = unrecorded
        self._finish(name, output, self._start(name, output).wait())

    def _finish(self, name: str, output: Path, done: Done) -> None:
        """Resume until everything ended well: what failed is tried again."""
        for _ in range(RESUMED_AT_MOST):
            if done.code != 1:
                break
            done = self._start(name, output).wait()
        self.toll.unfinished += done.code == 1
        if done.code not in (0, 1):
            self.toll.unexpected.append(done)

    def _unrecorded(self, output: Path, begun: int) -> int:
        """Count the attempts on the wire, of the `begun`-th fact and later, that the run's output does not have."""
        time.sleep(_NOTICED)
        recorded: int = sum(call["attempts"] for call in read_output(output).records("call"))
        return wire_attempts(self._lab.journal()[begun:]) - recorded

    def _start(self, name: str, output: Path, **conditions: Any) -> Client:
        return self._lab.start(output, f"--run={name}", f"--max-in-flight={IN_FLIGHT}", **conditions)

    # --- ways to kill -----------------------------------------------------------------

    def _any_time(self, name: str, output: Path) -> Done:
        with self._start(name, output) as client:
            time.sleep(self._chance.uniform(0.05, 1.5))
            return client.kill()

    def _amid_calls(self, name: str, output: Path) -> Done:
        since = len(self._lab.journal())
        with self._start(name, output) as client:
            self._lab.await_requests(client, since=since)
            time.sleep(self._chance.uniform(0.0, 0.3))
            return client.kill()

    def _mid_body(self, name: str, output: Path) -> Done:
        with self._start(name, output) as client:
            self._lab.await_halt(client)
            return client.kill()

    def _before_request(self, name: str, output: Path) -> Done:
        return self._from_within(name, output, seams.BEFORE_REQUEST, "before", 40)

    def _before_settling(self, name: str, output: Path) -> Done:
        return self._from_within(name, output, seams.AFTER_WRITE, "after", 12)

    def _before_commit(self, name: str, output: Path) -> Done:
        return self._from_within(name, output, seams.COMMIT, "before", 30)

    def _during_commit(self, name: str, output: Path) -> Done:
        return self._from_within(name, output, seams.COMMIT, "during", 30)

    def _after_commit(self, name: str, output: Path) -> Done:
        return self._from_within(name, output, seams.COMMIT, "after", 30)

    def _from_within(self, name: str, output: Path, seam: str, when: str, latest: int) -> Done:
        kill = {"seam": seam, "when": when, "nth": self._chance.randint(1, latest)}
        if when == "during":
            kill["delay"] = self._chance.uniform(0.0, 0.002)
        with self._start(name, output, kill=kill) as client:
            return client.wait()


def run(figures: Figures, *, short: bool) -> None:
    """Wage the campaigns and add up their tolls."""
    kills = KILLS[short]
    shares = [kills // SIDE_BY_SIDE] * SIDE_BY_SIDE
    seeds = count(20261121)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        tolls = list(pool.map(_campaign, shares, seeds, [figures] * SIDE_BY_SIDE))
    every = Counter[str]()
    for toll in tolls:
        every += toll.kills
    figures.promise("kills", every.total(), kept=every.total() == kills)
    for way, number in sorted(every.items()):
        figures.note(f"  {way}", number)
    figures.note("runs", sum(toll.runs for toll in tolls))
    repeated = [number for toll in tolls for number in toll.repeated]
    most = max(repeated, default=0)
    figures.note("attempts repeated", sum(repeated))
    figures.promise(f"most at one kill, {UNDELIVERED} allowed", most, kept=most <= UNDELIVERED)
    figures.none("runs not finished", sum(toll.unfinished for toll in tolls))
    for done in [done for toll in tolls for done in toll.unexpected]:
        figures.promise(f"exit code {done.code}", done.said[-500:], kept=False)
    figures.none_of(EVERY_RULE, [violation for toll in tolls for violation in toll.violations])


def _campaign(kills: int, seed: int, figures: Figures) -> Toll:
    plan = Plan(_PLAN.otherwise, _PLAN.chances, seed=seed)
    with Lab(figures, _POPULATION, plan=plan, pace=_PACE) as lab:
        campaign = Campaign(lab, kills, seed)
        campaign.wage()
        lab.broken = bool(campaign.toll.unexpected or campaign.toll.violations)
    return campaign.toll
