"""SIGSTOP for one of three processes amid its calls, and on: no overlap, nothing lost, the others go on.

What the stopped one holds, nobody else may use, however long it stands: it might go on at
any moment. So the others come to their end without those tokens' calls, or wait for them.
"""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from typing import Final

from tests.judging.facts import Asked
from tests.judging.manners import Manner, Plan

from .figures import EVERY_RULE, Figures
from .lab import Lab, Pace
from .population import Population
from .processes import Client

PROCESSES: Final = 3
IN_FLIGHT: Final = 20
TENANTS: Final = (600, 150)
SECONDS: Final = (120.0, 4.0)

_PLAN: Final = Plan(Manner(rows=3, latency=0.3))
_AMID: Final = 0.4


def run(figures: Figures, *, short: bool) -> None:
    """Stop one, let the others go on, continue it."""
    population, seconds = Population(TENANTS[short], 4), SECONDS[short]
    pace = Pace(interval=3600.0, patience=seconds + 60)
    with Lab(figures, population, plan=_PLAN, pace=pace) as lab, ExitStack() as stack:
        options = ["--wait=0", f"--max-in-flight={IN_FLIGHT}"]
        clients = [stack.enter_context(lab.start(lab.output(f"process-{n}"), *options)) for n in range(PROCESSES)]
        lab.await_requests(clients[0])
        time.sleep(_AMID)
        began, ended = _stand_still(clients[0], seconds)
        figures.codes("exit codes", [client.wait(seconds + 120).code for client in clients])
        found = lab.judge()
        asked = [fact for fact in lab.journal() if isinstance(fact, Asked)]
        during = sum(began < fact.at < ended for fact in asked)
        waiting = len({fact.token for fact in asked if fact.at >= ended})
        figures.note("stood still, seconds", f"{ended - began:.1f}")
        figures.note("requests before, meanwhile, after", _around(asked, began, ended))
        figures.promise("the others went on", during, kept=during > 0)
        kept = waiting <= IN_FLIGHT
        figures.promise(f"tokens that had to wait, {IN_FLIGHT} in flight", waiting, kept=kept)
        figures.none_of(EVERY_RULE, found)


def _stand_still(client: Client, seconds: float) -> tuple[float, float]:
    client.send(signal.SIGSTOP)
    began = time.monotonic()
    time.sleep(seconds)
    client.send(signal.SIGCONT)
    return began, time.monotonic()


def _around(asked: list[Asked], began: float, ended: float) -> str:
    before = sum(fact.at <= began for fact in asked)
    after = sum(fact.at >= ended for fact in asked)
    return f"{before}, {len(asked) - before - after}, {after}"
