"""The engine beside other clients, interleaved: CPU per call, wall, memory, ratios to naive aiohttp.

Without a name every scenario is run: rows-1 rows-100 rows-10000 tls-3 tls-20 latency. One
of --rows, --calls-per-token, --tokens, --tls, --latency, --in-flight makes a load of your
own, which no figure is asked of. Exits 1 when a run was not in order or a figure is missed.

    python -m benchmarks.peers [NAME ...] [--repeat N] [--only CLIENT,...] [--write FOLDER]
    python -m benchmarks.peers --rows 1,100 --tokens 200 --calls-per-token 20 [--tls] [--latency 0.05]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import reporting
from .scenarios import CLIENTS, EVERYBODY, SCENARIOS, Round, Scenario
from .servers import Workshop, cores, folder
from .trial import APIS, Client, Load, missing, run


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for."""

    scenarios: Sequence[Scenario]
    repeat: int
    only: Sequence[str]
    write: Path | None


def main() -> int:
    """Measure, print, judge."""
    wanted = _read()
    absent = {client.name: why for client in CLIENTS if (why := missing(client)) is not None}
    if None in cores():
        print("one core only: client and server share it, so walls say little")
    well = True
    with folder() as name:
        workshop = Workshop(Path(name))
        for scenario in wanted.scenarios:
            taking_part = [client for client in scenario.taking_part(wanted.only) if client.name not in absent]
            rounds = [_round(workshop, taking_part, scenario, n, wanted.repeat) for n in range(wanted.repeat)]
            report = reporting.Report(scenario, rounds, {n: w for n, w in absent.items() if n in scenario.clients})
            print(report.text(), flush=True)
            if wanted.write is not None:
                report.write(wanted.write)
            well = well and report.well
    return 0 if well else 1


def _round(workshop: Workshop, clients: Sequence[Client], scenario: Scenario, n: int, repeat: int) -> Round:
    trials: Round = {}
    for client in clients:
        _say(f"{scenario.name}, round {n + 1} of {repeat}: {client.name}")
        trials[client.name] = run(workshop, client, scenario.load)
    _say("")
    return trials


def _say(text: str) -> None:
    """Show what is being done, where somebody watches."""
    if sys.stderr.isatty():
        print(f"\r{text:<70}\r", end="", file=sys.stderr, flush=True)


def _read() -> Wanted:
    parser = argparse.ArgumentParser(
        prog="benchmarks.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [one.name for one in SCENARIOS]
    parser.add_argument("scenarios", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--rows", type=_numbers, help="rows of an answer; several with commas")
    parser.add_argument("--calls-per-token", type=int, help=f"at most {len(APIS)}")
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--in-flight", type=int)
    parser.add_argument("--latency", type=float, metavar="SECONDS")
    parser.add_argument("--tls", action="store_true", default=None)
    parser.add_argument("--repeat", type=int, default=3, help="rounds, in each of which every client runs once")
    parser.add_argument("--only", type=_names, default=[], help=f"clients, with commas: {', '.join(EVERYBODY)}")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="leave tables, charts and raw numbers there")
    given = parser.parse_args()
    if unknown := set(given.scenarios) - set(names):
        parser.error(f"no scenario is called {', '.join(sorted(unknown))}: there are {', '.join(names)}")
    own = {name: getattr(given, name) for name in ("calls_per_token", "tokens", "in_flight", "latency", "tls")}
    own = {name: value for name, value in own.items() if value is not None}
    if given.rows or own:
        scenarios = [_own(rows, own) for rows in given.rows or [1]]
    else:
        scenarios = [one for one in SCENARIOS if not given.scenarios or one.name in given.scenarios]
    return Wanted(scenarios, given.repeat, given.only, given.write)


def _own(rows: int, given: dict[str, Any]) -> Scenario:
    shape: dict[str, Any] = {"tokens": max(4, min(300, 12_000 // rows)), "calls_per_token": 20, "in_flight": 100}
    load = Load(rows=rows, **{**shape, **given})
    title = f"{rows:,} row{'' if rows == 1 else 's'}, {load.calls_per_token} calls on each of {load.tokens:,} tokens"
    title += f", {load.in_flight} in flight"
    title += f", {load.latency * 1000:g} ms" if load.latency else ""
    return Scenario(f"own-{rows}", f"{title}{', TLS' if load.tls else ''}", load)


def _numbers(text: str) -> list[int]:
    return [int(number.replace("_", "")) for number in text.split(",")]


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(EVERYBODY):
        raise argparse.ArgumentTypeError(f"no client is called {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    sys.exit(main())
