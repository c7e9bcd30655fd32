"""What came of a scenario, as a table, a chart and raw numbers."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from benchmarks.drawing import Bar, bars

from .scenarios import CLIENTS, NAIVE, Round, Scenario
from .trial import Trial

PACKAGES = ("aiohttp", "httpx", "niquests", "orjson", "pycurl", "pyreqwest", "scrapy", "uvloop")
HEAD = (
    "client",
    "CPU per call",
    "less than naive",
    "wall",
    "wall per 1,000",
    "peak",
    "connections",
    "busy",
    "server busy",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """One client over all rounds: medians, and the largest share of time that its server was busy."""

    name: str
    label: str
    per_call: float
    ratio: float | None
    wall: float
    calls: int
    peak_mib: float
    connections: int
    busy: float
    server_busy: float

    def cells(self) -> tuple[str, ...]:
        """Return it as a line of the table."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} x"
        each = self.wall / self.calls * 1000
        return (
            self.label,
            f"{self.per_call:,.0f} us",
            ratio,
            f"{self.wall:.2f} s",
            f"{each:.3f} s",
            f"{self.peak_mib:.0f} MiB",
            f"{self.connections:,}",
            f"{self.busy:.0%}",
            f"{self.server_busy:.0%}",
        )


@dataclass(frozen=True, slots=True)
class Report:
    """A scenario and its rounds; `absent` are clients that cannot run here, and why."""

    scenario: Scenario
    rounds: Sequence[Round]
    absent: dict[str, str]

    def standings(self) -> list[Standing]:
        """Return who took part, the cheapest first."""
        found = []
        for client in CLIENTS:
            trials = [trials[client.name] for trials in self.rounds if client.name in trials]
            good = [trial for trial in trials if not trial.faults]
            if good:
                found.append(_standing(client.name, client.label, good, self._ratio(client.name)))
        return sorted(found, key=lambda standing: standing.per_call)

    def _ratio(self, name: str) -> float | None:
        pairs = [(trials[NAIVE], trials[name]) for trials in self.rounds if NAIVE in trials and name in trials]
        ratios = [naive.per_call / one.per_call for naive, one in pairs if one.per_call > 0 and not one.faults]
        return median(ratios) if ratios else None

    def faults(self) -> list[str]:
        """Return what was not in order, each once."""
        told = [
            f"{name}: {fault}" for trials in self.rounds for name, trial in trials.items() for fault in trial.faults
        ]
        return list(dict.fromkeys(told))

    def figures(self) -> list[tuple[str, float | None, float, bool | None]]:
        """Return each figure: what it is, what was measured, the most that it may be, whether it is met."""
        return [
            (str(figure), value, figure.most, None if value is None else value <= figure.most)
            for figure in self.scenario.figures
            for value in [figure.measured(self.rounds, self.scenario.load)]
        ]

    @property
    def well(self) -> bool:
        """Whether every run was in order and no figure was missed."""
        return not self.faults() and all(met is not False for *_, met in self.figures())

    def text(self) -> str:
        """Return everything as a page of Markdown."""
        load = self.scenario.load
        rounds = f"{len(self.rounds)} interleaved rounds" if len(self.rounds) > 1 else "1 round"
        parts = [f"## {self.scenario.name}: {self.scenario.title}", ""]
        parts += [f"{load.calls:,} calls, at most {load.in_flight:,} in flight; medians of {rounds}.", ""]
        if load.latency:
            parts += [f"The bound is calls x latency / calls in flight: {load.bound:.2f} s.", ""]
        parts += _table(HEAD, [standing.cells() for standing in self.standings()])
        parts += ["", *[f"- not here: {name} ({why})" for name, why in self.absent.items()]]
        parts += [f"- NOT IN ORDER: {fault}" for fault in self.faults()]
        if not self.faults():
            parts.append(
                "- every run: 0 overlaps, 0 wrong requests, every call answered once, every row its token's own"
            )
        if figures := self.figures():
            words = {True: "yes", False: "NO", None: "not measured"}
            cells = [
                (name, "" if value is None else f"{value:.3g}", f"{most:.3g}", words[met])
                for name, value, most, met in figures
            ]
            parts += ["", *_table(("figure", "measured", "at most", "met"), cells)]
        return "\n".join([*parts, ""])

    def write(self, folder: Path) -> None:
        """Leave the table, the chart and the raw numbers in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        stem = folder / f"peers-{self.scenario.name}"
        stem.with_suffix(".md").write_text(self.text())
        stem.with_suffix(".svg").write_text(self.chart())
        stem.with_suffix(".json").write_text(json.dumps(self.raw(), indent=1) + "\n")

    def chart(self) -> str:
        """Draw the CPU per call of everybody."""
        shown = [
            Bar(
                one.label, one.per_call, f"{one.per_call:,.0f} us" + (f", {one.ratio:.1f} x" if one.ratio else ""), ours
            )
            for one in self.standings()
            for ours in [one.name.startswith("engine")]
        ]
        note = f"{self.scenario.title}: CPU per call in microseconds, and how many times less than naive aiohttp"
        naive = next((one.per_call for one in self.standings() if one.name == NAIVE), shown[-1].value if shown else 1.0)
        return bars(f"CPU per call ({self.scenario.name})", note, shown, most=2 * naive)

    def raw(self) -> dict[str, object]:
        """Return everything that was measured, and where."""
        return {
            "scenario": self.scenario.name,
            "load": asdict(self.scenario.load),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "packages": {name: found for name in PACKAGES if (found := _version(name))},
            "rounds": [{name: asdict(trial) for name, trial in trials.items()} for trials in self.rounds],
            "absent": self.absent,
            "figures": self.figures(),
        }


def _standing(name: str, label: str, trials: Sequence[Trial], ratio: float | None) -> Standing:
    return Standing(
        name,
        label,
        median(trial.per_call for trial in trials),
        ratio,
        median(trial.wall for trial in trials),
        trials[0].calls,
        max(trial.peak_mib for trial in trials),
        max(trial.server["connections"] for trial in trials),
        median(trial.cpu / trial.wall for trial in trials if trial.wall > 0),
        max(trial.server_busy for trial in trials),
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[n]) for line in [head, *lines]) for n in range(len(head))]
    drawn = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in [head, *lines]]
    drawn.insert(1, ["-" * width for width in widths])
    return [f"| {' | '.join(line)} |" for line in drawn]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
