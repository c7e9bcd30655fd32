"""The trial: mishaps until there were enough calls, then quiet, and the judgement.

The control has no rules and the same mishaps, and has to show overlaps: else the mishaps prove nothing.
"""

from __future__ import annotations

import asyncio
import filecmp
from collections import Counter
from dataclasses import dataclass
from typing import Final

from tests.judging.facts import Asked, StoodStill
from tests.judging.manners import End, Manner, Plan, Says
from tests.judging.outputs import Output
from tests.judging.rules import overlaps
from torture.figures import ATTEMPTS, ROWS, WIRE, Figures
from torture.population import Population

from . import judgement
from .conducting import conduct
from .lab import Lab, Pace, Size
from .plan import Kind, Mishap, Scene, counted, plan

# The vendor: mostly quick, at times slow, rarely too slow, so that a call is given up and worked on.
MANNERS: Final = Plan(
    otherwise=Manner(rows=1, latency=0.05),
    chances=(
        (0.15, Manner(rows=2, latency=0.4)),
        (0.05, Manner(says=Says.EMPTY, latency=0.1)),
        (0.02, Manner(rows=30, halt=0.5, halt_for=0.2)),
        (0.01, Manner(latency=5.0)),
        (0.01, Manner(says=Says.DOWN)),
        (0.01, Manner(halt=0.5, end=End.RESET)),
    ),
)
CODES: Final = frozenset({1, 5, 143, -15, -9})  # child gone, no broker at the start, asked to end (early), killed
# A record that comes when others have told of its slot is left out.
LATE: Final = frozenset(
    {Kind.STOP_PARENT, Kind.STOP_CHILD, Kind.STOP_BOTH, Kind.CUT, Kind.KILL_BROKER, Kind.STOP_BROKER}
)
_HURRY: Final = 0.5  # seconds by which a vendor may hear of a request after the client's time began to count
_FIRST: Final = 60.0  # seconds, beyond a standstill, after which there have to be calls
_BACK: Final = 40.0  # as above, until everything is called again
_ROUND: Final = 60.0
_APIS: Final = ("interactions", "gamification")


@dataclass(frozen=True, slots=True)
class Trial:
    """What is to be done: mishaps for so many seconds, or until there were so many calls."""

    seed: int = 1
    seconds: float = 60.0
    calls: int = 0
    nodes: int = 1
    machines: int = 3
    tenants: int = 120
    every: float = 1.5
    off: float = 0.8
    kinds: frozenset[Kind] = frozenset(Kind)
    is_lawless: bool = False


async def run(figures: Figures, trial: Trial, pace: Pace) -> None:
    """Do it, and put the figures down."""
    size = Size(Population(trial.tenants, 4, _APIS), trial.machines, trial.nodes)
    conditions = [{"lawless": trial.is_lawless}] * trial.machines
    manners = Plan(MANNERS.otherwise, MANNERS.chances, seed=trial.seed)
    async with Lab(figures, size, manners, pace, conditions) as lab:
        if not await lab.await_calls(size.population.tenants, pace.standstill + _FIRST):
            figures.promise("calls at the start", lab.asked(), kept=False)
            return
        done = await _mishaps(lab, trial, pace)
        missing = await lab.await_everybody(pace.standstill + _BACK)
        codes = [await machine.end() for machine in lab.machines]
        read = await asyncio.to_thread(lab.reader.finish)
        lab.dismiss_vendor()
        _describe(figures, lab, done)
        if trial.is_lawless:
            found = len(list(overlaps(lab.journal(), lab.limit)))
            figures.promise("overlaps without rules, to be more than 0", found, kept=found > 0)
        else:
            _endings(figures, lab, missing, codes, read)
            _judge(figures, lab, lab.deaths() + sum(mishap.kind in LATE for mishap in done))
        lab.is_tidy = True


async def _mishaps(lab: Lab, trial: Trial, pace: Pace) -> list[Mishap]:
    scene = Scene(trial.machines, trial.nodes, pace.lease, pace.standstill, trial.every, trial.off, trial.kinds)
    if not trial.calls:
        mishaps = plan(trial.seed, trial.seconds, scene)
        await conduct(lab, mishaps)
        return list(mishaps)
    done: list[Mishap] = []
    while lab.asked() < trial.calls:
        mishaps = plan(hash((trial.seed, len(done))), _ROUND, scene)
        await conduct(lab, mishaps)
        done += mishaps
        await asyncio.sleep(pace.standstill)
    return done


def _describe(figures: Figures, lab: Lab, done: list[Mishap]) -> None:
    output = lab.output()
    figures.note("mishaps", len(done))
    for kind, number in counted(done).items():
        figures.note(f"  {kind}", number)
    figures.note("calls that the vendor saw", sum(isinstance(fact, Asked) for fact in lab.journal()))
    _describe_vendor(figures, lab)
    ended = Counter(
        record["outcome"] if record["type"] == "call" else "gap" for record in output.records("call", "gap")
    )
    figures.note("slots", ", ".join(f"{number} {how}" for how, number in ended.most_common()))
    reasons = Counter(record["reason"] for record in output.records("gap"))
    figures.note("gaps", ", ".join(f"{number} {reason}" for reason, number in reasons.most_common()))
    figures.note("processes started", sum(machine.started for machine in lab.machines))
    codes = sum((machine.codes for machine in lab.machines), Counter[int]())
    figures.note("their exit codes", ", ".join(f"{number} x {code}" for code, number in codes.most_common()))
    figures.note("reader killed", lab.reader.kills)


def _describe_vendor(figures: Figures, lab: Lab) -> None:
    """Say how well the vendor could see, and what it would have said without knowing that."""
    journal = lab.journal()
    pauses = [fact.at - fact.since for fact in journal if isinstance(fact, StoodStill)]
    longest = max(pauses, default=0.0)
    figures.note("the vendor itself stood still", f"{len(pauses)} times, at the longest {longest:.2f} s")
    unaware = [fact for fact in journal if not isinstance(fact, StoodStill)]
    blamed = len(list(overlaps(unaware, lab.limit))) - len(list(overlaps(journal, lab.limit)))
    figures.note("  overlaps that it saw by that alone", blamed)


def _endings(figures: Figures, lab: Lab, missing: int, codes: list[int | None], read: tuple[int, int]) -> None:
    odd = Counter(code for machine in lab.machines for code in machine.codes.elements() if code not in CODES)
    figures.promise("exit codes of another kind", dict(odd), kept=not odd)
    figures.none("questions not asked again when it was over", missing)
    figures.promise("exit codes when asked to end", codes, kept=set(codes) <= {143, None})
    figures.none("readers that ended by themselves", lab.reader.codes.total())
    figures.codes("exit codes of the last readers", read)
    same = filecmp.cmp(lab.reader.output, lab.reader.again, shallow=False)
    figures.promise("the killed reader's file", "as one that is read at once" if same else "another", kept=same)


def _judge(figures: Figures, lab: Lab, losses: int) -> None:
    journal, output, terms = lab.journal(), lab.output(), lab.terms(losses)
    found = judgement.judge(journal, output, terms, lab.pace.timeout - _HURRY)
    lost = judgement.unrecorded(journal, output)
    figures.note(f"calls without a record, {terms.repeats} allowed, with {losses} deaths and pauses", lost)
    figures.none_of((*WIRE, "torn line", "uncommitted rows", *ROWS, *ATTEMPTS, *judgement.RULES), found)
    figures.note("latest slots", _latest(output))


def _latest(output: Output) -> str:
    """Say how far apart the subjects' last slots are: the records of nobody end long before the others'."""
    last = sorted(max(one.due for one in ended) for ended in judgement.slots(output).values())
    return f"{(last[-1] - last[0]) / 1000:.1f} s apart" if last else "none"
