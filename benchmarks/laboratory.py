"""What the measurements share: a simulator and a client, each a process of its own."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = [sys.executable, "-m", "wolkvox_async"]


@dataclass(slots=True)
class Vendor:
    """A running simulator; `verdict` is there once its block has ended."""

    base_url: str
    tenants: Path
    folder: Path
    verdict: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pass:
    """What one `fetch` did: its exit code, seconds (whole process, CPU of it), peak memory and records."""

    code: int
    wall: float
    cpu: float
    peak_mib: float
    records: tuple[dict[str, Any], ...]

    @property
    def run_seconds(self) -> float:
        """What the pass itself took, by its closing record."""
        return float(self.records[-1]["seconds"])

    @property
    def start_up(self) -> float:
        """What the process took beside the pass."""
        return self.wall - self.run_seconds

    def calls(self) -> list[dict[str, Any]]:
        """Return the `call` records."""
        return [record for record in self.records if record["type"] == "call"]

    def rows(self) -> Counter[tuple[str, str, str]]:
        """Count rows by tenant, operation and endpoint."""
        return Counter((r["tenant"], r["operation"], r["api"]) for r in self.records if r["type"] == "row")


@contextmanager
def vendor(*arguments: str) -> Iterator[Vendor]:
    """Run `simulate` with `arguments` for the length of the block."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = subprocess.Popen(
            [*PROGRAM, "simulate", "--port", "0", "--write", name, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            if process.stdout is None:
                raise AssertionError("the simulator's output is a pipe")
            ready = json.loads(process.stdout.readline())
            found = Vendor(ready["base_url"], Path(ready["tenants"]), folder)
            yield found
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)
            found.verdict = json.loads(said)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def fetch(at: Vendor, *arguments: str) -> Pass:
    """Run `fetch` against the vendor, with a state folder of its own, and read what it wrote."""
    number = time.monotonic_ns()
    output = at.folder / f"usage-{number}.jsonl"
    command = [*PROGRAM, "fetch", "--tenants", str(at.tenants), "--base-url", at.base_url, "--output", str(output)]
    command += ["--state", str(at.folder / f"state-{number}")]
    started = time.monotonic()
    process = subprocess.Popen([*command, "--no-progress", "--log-level", "error", *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    records = tuple(json.loads(line) for line in output.read_bytes().splitlines())
    return Pass(process.returncode, wall, usage.ru_utime + usage.ru_stime, _peak(usage), records)


def _peak(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024


def table(rows: Sequence[tuple[str, object]]) -> None:
    """Print names and values."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
