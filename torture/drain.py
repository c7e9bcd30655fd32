"""SIGTERM with --drain 1 amid 10,000 planned calls (and 100,000): gone in time, exit 143, resumable.

The short cut measures no speed, as a machine may be busy: it asks whether the drain waited for answers that never come.
"""

from __future__ import annotations

import signal
import time
from typing import Final

from tests.judging.manners import End, Manner, Plan

from .figures import Figures
from .lab import Lab, Pace
from .population import Population

CALLS: Final = ((10_000, 100_000), (1_000,))
ALLOWED: Final = 2.0
ALLOWED_PER_100_000: Final = 1.0
_PATIENT: Final = 120.0  # the time-out of the short cut: whoever waits for a stalled answer takes about as long

_APIS: Final = ("interactions", "gamification", "vision", "ivr_calls")
# Some answers never come: they are what the draining waits for.
_PLAN: Final = Plan(Manner(latency=0.05), chances=((0.005, Manner(halt=0.5, end=End.STALL)),))
_AMID: Final = 1.0
_LONG: Final = 600.0


def run(figures: Figures, *, short: bool) -> None:
    """Stop a pass of each size, and resume it."""
    for calls in CALLS[short]:
        _one(figures, calls, short=short)


def _allowed(calls: int, *, short: bool) -> float:
    if short:
        return _PATIENT / 2
    return ALLOWED + ALLOWED_PER_100_000 * (calls / 100_000 if calls > 10_000 else 0)


def _one(figures: Figures, calls: int, *, short: bool) -> None:
    population = Population(calls // len(_APIS), 40, _APIS)
    pace = Pace(timeout=5.0, server_limit=2.0)
    options = ("--run=drained", "--drain=1", "--max-in-flight=200")
    with Lab(figures, population, plan=_PLAN, pace=pace) as lab:
        output = lab.output("usage")
        patient = (f"--timeout={_PATIENT:g}",) if short else ()
        with lab.start(output, *options, *patient) as client:
            lab.await_requests(client)
            time.sleep(_AMID)
            client.send(signal.SIGTERM)
            asked_at = time.monotonic()
            done = client.wait(_LONG)
        took, allowed = done.at - asked_at, _allowed(calls, short=short)
        figures.codes(f"{calls:,} calls: exit code", [done.code], 128 + signal.SIGTERM)
        figures.promise(f"  seconds until it was gone, at most {allowed:g}", f"{took:.2f}", kept=took <= allowed)
        stopped = lab.calls("usage")
        figures.note("  called before", sum(call["outcome"] != "skipped" for call in stopped))
        figures.promise("  calls with a record", len(stopped), kept=len(stopped) == calls)
        with lab.start(output, *options, "--after-failure=continue") as client:
            code = client.wait(_LONG).code
        figures.promise("  exit code when resumed", code, kept=code in (0, 1))
        figures.no_rule_broken(lab.judge())
