"""Three processes on one state folder with the same tenants: no overlap, each call done once per interval."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import Final

from tests.judging.manners import Manner, Plan, Says
from tests.judging.rules import granted

from .figures import EVERY_RULE, Figures
from .lab import Lab, Pace
from .population import Population

PROCESSES: Final = 3
TENANTS: Final = (400, 40)

# Longer than the scenario: whatever is asked twice is early.
_PACE: Final = Pace(interval=600.0)
_PLAN: Final = Plan(Manner(rows=2, latency=0.05), chances=((0.1, Manner(says=Says.EMPTY, latency=0.2)),))


def run(figures: Figures, *, short: bool) -> None:
    """Start them together, and then one more when they are done."""
    population = Population(TENANTS[short], 4, ("interactions", "gamification", "vision"))
    with Lab(figures, population, plan=_PLAN, pace=_PACE) as lab:
        names = [f"process-{number}" for number in range(PROCESSES)]
        with ExitStack() as stack:
            clients = [stack.enter_context(lab.start(lab.output(name), "--wait=0")) for name in names]
            figures.codes("exit codes", [client.wait(300).code for client in clients])
        with lab.start(lab.output("latecomer"), "--wait=0") as late:
            figures.codes("exit code of a latecomer", [late.wait().code])
        found = lab.judge()
        asked = granted(lab.journal())
        done = Counter(asked.values())
        figures.note("calls planned", len(population.planned))
        once = done == Counter({1: len(population.planned)})
        figures.promise("calls done, by how often", dict(done), kept=once)
        for name in names:
            outcomes = Counter(call["outcome"] for call in lab.calls(name))
            figures.note(name, ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))
        called = sum(call["outcome"] != "skipped" for call in lab.calls("latecomer"))
        figures.promise("called by the latecomer", called, kept=called == 0)
        figures.none_of(EVERY_RULE, found)
