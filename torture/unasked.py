"""An unasked answer on kept connections, on one host shared by 200 tenants: no row under another tenant.

An answer that arrives just after the next question was written cannot be told from its
answer, by anybody: within one tenant such rows may stand under another endpoint, and they
are counted here. What makes the difference is that a connection serves one token.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from tests.judging.facts import Unasked
from tests.judging.manners import Manner, Plan

from .figures import ATTEMPTS, LINES, Figures
from .lab import Lab
from .population import Population

TENANTS: Final = 200
ROUNDS: Final = (20, 1)

_APIS: Final = ("interactions", "gamification", "vision", "ivr_calls", "asr_calls")
_DELAYS: Final = (0.0, 0.0, 0.0005, 0.002, 0.01)  # seconds after the answer
_PROMISED: Final = ("foreign row", "shared connection", "misplaced token", *LINES, *ATTEMPTS)


def run(figures: Figures, *, short: bool) -> None:
    """Fetch round after round, with half of the answers followed by another."""
    chances = tuple((0.5 / len(_DELAYS), Manner(latency=0.002, unasked=delay)) for delay in _DELAYS)
    plan = Plan(Manner(latency=0.002), chances)
    with Lab(figures, Population(TENANTS, apis=_APIS), plan=plan) as lab:
        codes = []
        for number in range(ROUNDS[short]):
            with lab.start(lab.output(f"round-{number}"), "--after-failure=continue", "--patience=5") as client:
                codes.append(client.wait().code)
        found = lab.judge()
        rows = sum(1 for output in lab.outputs() for _ in output.records("row"))
        figures.note("unasked answers", sum(isinstance(fact, Unasked) for fact in lab.journal()))
        figures.note("rows", rows)
        figures.promise("exit codes", sorted(set(codes)), kept=set(codes) <= {0, 1})
        figures.none_of(_PROMISED, (violation for violation in found if violation.rule in _PROMISED))
        others = Counter(violation.rule for violation in found if violation.rule not in _PROMISED)
        for rule, number in sorted(others.items()):
            figures.note(f"  {rule}, within a tenant", number)
