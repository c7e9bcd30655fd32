"""CPU per call and peak memory of the whole engine, from 100 to 1,000,000 queued calls.

Everything is switched on (state in a folder, leases, deadlines, records to a file), but the
answers are there at once: what is measured is the engine, not the network. A process for
each size; CPU counts from the tenants file, which is read and checked before, until the
output is closed. Memory is the process's peak, imports and the tenants file included.

    python -m benchmarks.scale [--most N] [--calls-per-token N] [--write FOLDER]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from wolkvox_async.model import Answer, Call, Operation

from .drawing import Line, curves
from .peers.job import measured
from .peers.servers import cores, pin
from .peers.trial import Load, write_tenants
from .workloads import answer

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
IN_FLIGHT = 1000


@dataclass(frozen=True, slots=True)
class Size:
    """What so many calls cost: microseconds of CPU per call, peak MiB, seconds of wall."""

    calls: int
    per_call: float
    peak_mib: float
    wall: float


def main() -> int:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=SIZES[-1])
    parser.add_argument("--calls-per-token", type=int, default=10)
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="leave the table, the chart and the numbers there")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.child is not None:
        return _pass(wanted.child)
    found = [_measure(calls, wanted.calls_per_token) for calls in SIZES if calls <= wanted.most]
    text = _table(found, wanted.calls_per_token)
    print(text)
    if wanted.write is not None:
        wanted.write.mkdir(parents=True, exist_ok=True)
        (wanted.write / "scale.md").write_text(text + "\n")
        (wanted.write / "scale.svg").write_text(_chart(found, wanted.calls_per_token))
    return 0


def _measure(calls: int, calls_per_token: int) -> Size:
    load = Load(max(1, calls // calls_per_token), calls_per_token, 1, IN_FLIGHT)
    with tempfile.TemporaryDirectory(prefix="wolkvox-scale-") as name:
        write_tenants(Path(name) / "tenants.json", load)
        command = [sys.executable, "-m", "benchmarks.scale", "--child", name]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        pin(process.pid, cores()[0])
        said, _ = process.communicate()
        done = json.loads(said.splitlines()[-1])
        with (Path(name) / "usage.jsonl").open("rb") as file:
            ended = sum(1 for line in file if line.startswith(b'{"type":"call"') and b'"outcome":"ok"' in line)
    if process.returncode or ended != load.calls:
        raise SystemExit(f"{ended} of {load.calls} calls ended well, exit code {process.returncode}")
    return Size(load.calls, done["cpu"] / load.calls * 1e6, done["peak_mib"], done["wall"])


def _pass(folder: Path) -> int:
    from wolkvox_async import Options, Parts, load_tenants  # noqa: PLC0415 - the parent has no use for it
    from wolkvox_async.apps import logs, passing  # noqa: PLC0415 - as above

    from .peers.clients.engine import import_everything  # noqa: PLC0415 - as above

    import_everything()
    logs.configure("json", "error")
    base_url = "http://127.0.0.1:9/{server}"
    options = Options(base_url=base_url, max_in_flight=IN_FLIGHT, state=str(folder / "state"))
    tenants = load_tenants(folder / "tenants.json", base_url=base_url)
    order = passing.Order(tenants=tenants, options=options, output=str(folder / "usage.jsonl"), progress=False)
    parts = Parts(transport=Instant())
    with measured():
        ending = passing.run(lambda: passing.run_pass(order, parts))
    return int(ending.code)


class Instant:
    """Fulfils `ports.Transport` with an answer that is there at once.

    `testing.ScriptedTransport` does too, but remembers every call, which is memory of its own.
    """

    def __init__(self) -> None:
        self._first = answer(1)
        self._later = replace(self._first, kept=True)

    def turn(self, operation: Operation) -> InstantTurn:  # noqa: ARG002 - the port's
        """Open a turn."""
        return InstantTurn(self._first, self._later)

    async def close(self) -> None:
        """Nothing is open."""


class InstantTurn:
    """A turn of `Instant`."""

    def __init__(self, first: Answer, later: Answer) -> None:
        self._next = first
        self._later = later

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def attempt(self, call: Call) -> Answer:  # noqa: ARG002 - the port's
        """Answer."""
        given, self._next = self._next, self._later
        return given

    def distrust(self) -> None:
        """Nothing is open."""


def _table(found: list[Size], calls_per_token: int) -> str:
    lines = ["| calls | tokens | CPU per call | peak memory | per queued call | wall |", "|--:|--:|--:|--:|--:|--:|"]
    smallest = found[0]
    for size in found:
        cells = [f"{size.calls:,}", f"{size.calls // calls_per_token:,}", f"{size.per_call:,.0f} us"]
        cells += [f"{size.peak_mib:,.0f} MiB"]
        more = (size.peak_mib - smallest.peak_mib) * 2**20 / size.calls
        cells += [f"{more:,.0f} B" if more else "", f"{size.wall:,.1f} s"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _chart(found: list[Size], calls_per_token: int) -> str:
    note = f"whole engine, answers there at once, {calls_per_token} calls per token; calls queued, logarithmic"
    cpu = Line("CPU per call", [(size.calls, size.per_call) for size in found], "us")
    memory = Line("peak memory of the process", [(size.calls, size.peak_mib) for size in found], "MiB")
    return curves(f"From {found[0].calls:,} to {found[-1].calls:,} queued calls", note, [cpu, memory])


if __name__ == "__main__":
    sys.exit(main())
