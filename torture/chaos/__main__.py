"""`python -m torture.chaos`: many machines, and everything that can go wrong; exits 1 when a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, Final

from torture.figures import Figures

from . import gap, trial
from .lab import Pace
from .plan import Kind
from .trial import Trial

_ALL: Final = "all"
_LONG: Final = Trial(seconds=600.0, machines=4, tenants=300, every=5.0)
_SHORT: Final = Trial(seconds=20.0, tenants=40, every=1.2)


def main() -> int:
    """Run what was asked for."""
    wanted = _parser().parse_args()
    # What the lab started is to end with it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    # Brokers elect a leader within nine seconds, which leases are to outlive.
    pace = Pace(lease=12.0) if wanted.nodes > 1 else Pace()
    if wanted.gap:
        ways = gap.WAYS if wanted.gap == _ALL else (wanted.gap,)
        kept = [_keeps(f"the last gap: {gap.WAYS[way]}", partial(gap.run, way=way, pace=pace)) for way in ways]
    else:
        asked = _trial(wanted)
        title = f"chaos: {asked.machines} machines, {asked.nodes} broker(s), seed {asked.seed}"
        title += ", WITHOUT RULES" if asked.is_lawless else ""
        kept = [_keeps(title, partial(trial.run, trial=asked, pace=pace))]
    print("\nevery promise was kept" if all(kept) else "\nA PROMISE WAS BROKEN")
    return 0 if all(kept) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="what a test has time for")
    parser.add_argument("--seconds", type=float, metavar="N", help="mishaps for so long  [default: 600]")
    parser.add_argument("--calls", type=int, metavar="N", help="go on until the vendor saw so many")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="which plan of mishaps")
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1, help="brokers")
    parser.add_argument("--tenants", type=int, metavar="N", help="of two endpoints each  [default: 300]")
    parser.add_argument("--every", type=float, metavar="N", help="seconds from one mishap to the next, on average")
    parser.add_argument(
        "--only", action="append", choices=[kind.name.lower() for kind in Kind], help="no other mishaps (repeats)"
    )
    parser.add_argument("--control", action="store_true", help="without rules: there have to be overlaps")
    parser.add_argument(
        "--gap",
        nargs="?",
        const=_ALL,
        choices=(_ALL, *gap.WAYS),
        help="instead: a pause between the last look and the sending, in one way or all",
    )
    return parser


def _trial(wanted: argparse.Namespace) -> Trial:
    base = _SHORT if wanted.short else _LONG
    return replace(
        base,
        seed=wanted.seed,
        seconds=base.seconds if wanted.seconds is None else wanted.seconds,
        calls=wanted.calls or 0,
        nodes=wanted.nodes,
        tenants=wanted.tenants or base.tenants,
        every=wanted.every or base.every,
        kinds=frozenset(Kind[name.upper()] for name in wanted.only or ()) or base.kinds,
        is_lawless=wanted.control,
    )


def _keeps(title: str, run: Callable[[Figures], Coroutine[Any, Any, None]]) -> bool:
    figures = Figures(title)
    began = time.monotonic()
    try:
        asyncio.run(run(figures))
        figures.note("seconds", f"{time.monotonic() - began:.1f}")
    finally:
        figures.show()
    return figures.kept


if __name__ == "__main__":
    sys.exit(main())
