"""Connections dropped at every byte offset of request and answer: attempts on the wire equal attempts recorded.

Every offset has a server of its own, so that it is known beforehand which attempt is
dropped where; on fresh connections and on ones that had answered, with a close and with a
reset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from tests.judging.answers import compose
from tests.judging.evidence import wire_attempts
from tests.judging.facts import Answered, Asked, Unanswered
from tests.judging.manners import AT_ONCE, End, Manner, Plan

from .figures import Figures
from .lab import Lab, Pace
from .population import Population

EVERY: Final = (1, 24)
AT_ONE_TIME: Final = 400

_PACE: Final = Pace(timeout=5.0, server_limit=1.5)
_LONGEST_REQUEST: Final = 320  # bytes; what is cut behind the end of a request is not cut
_ANSWER: Final = len(compose(Manner(), "tk_0123456789ab", 10_000).data)


def run(figures: Figures, *, short: bool) -> None:
    """Drop connections at the offsets, some hundred servers at a time."""
    scripts = list(_scripts(EVERY[short]))
    every, recorded = Counter[str](), 0
    for start in range(0, len(scripts), AT_ONE_TIME):
        counts, attempts = _drop(figures, scripts[start : start + AT_ONE_TIME])
        every += counts
        recorded += attempts
    figures.note("connections dropped", len(scripts))
    for name, number in sorted(every.items()):
        figures.note(name, number)
    seen = every["attempts on the wire"]
    figures.promise("attempts recorded", recorded, kept=recorded == seen > 0)


def _scripts(every: int) -> Iterator[tuple[Manner, ...]]:
    """Yield what happens to the first requests of each server; what comes after them is answered."""
    for end in (End.CLOSE, End.RESET):
        for before in ((), (Manner(),)):
            for offset in (AT_ONCE, *range(0, _LONGEST_REQUEST, every)):
                yield (*before, Manner(reads=offset, end=end))
            for offset in range(0, _ANSWER, every):
                yield (*before, Manner(halt=offset or _FIRST, end=end))


_FIRST: Final = 1e-9  # a share of the answer: no byte of it


def _drop(figures: Figures, scripts: Sequence[tuple[Manner, ...]]) -> tuple[Counter[str], int]:
    plan = Plan(scripts={f"server:{number}": script for number, script in enumerate(scripts)})
    population = Population(len(scripts), len(scripts))
    with Lab(figures, population, plan=plan, pace=_PACE) as lab:
        with lab.start(lab.output("usage")) as client:
            figures.codes("exit codes", [client.wait().code])
        figures.no_rule_broken(lab.judge())
        kinds = Counter(type(fact) for fact in lab.journal())
        counts = {"whole requests": kinds[Asked], "whole answers": kinds[Answered], "answers cut": kinds[Unanswered]}
        counts["attempts on the wire"] = wire_attempts(lab.journal())
        return Counter(counts), sum(call["attempts"] for call in lab.calls("usage"))
