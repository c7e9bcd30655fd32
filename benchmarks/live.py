"""`watch` in real time, on one core: how late slots begin, what it costs, and what memory does.

10,000 operations x 2 endpoints every 300 s, answers of 200 ms, one after the other on each
token: at least 99.9 % of the slots begin within 5 s of their due time. The simulator and the
watch are processes of their own; the watch has one core. Exits 1 when the share is missed, a
slot ended twice or not at all, or the simulator found a rule broken. With an hour
(`--seconds 3600`) the curve of the memory shows whether it is flat.

    python -m benchmarks.live [--operations N] [--seconds S] [--listen HOST:PORT]
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import orjson

from .laboratory import PROGRAM, Vendor, table, vendor

APIS = ("interactions", "vision")
INTERVAL = 300
LATENCY = 0.2
WITHIN = 5.0  # seconds
SHARE = 0.999
SERVERS = 40
SAMPLES = 20  # of the memory

_KIB_PER_PAGE = os.sysconf("SC_PAGE_SIZE") / 1024


@dataclass(slots=True)
class Seen:
    """Of the slots: how late calls began (seconds), gaps by reason, ends by slot; MiB by second; CPU in seconds."""

    late: list[float] = field(default_factory=list)
    gaps: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    ends: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    memory: list[tuple[float, float]] = field(default_factory=list)
    cpu: float = 0.0
    code: int = 0

    def share(self) -> float:
        """Return the share of slots that began in time; those that fell to the end of the run do not count."""
        slots = len(self.late) + sum(self.gaps.values()) - self.gaps["stopped"]
        return sum(late <= WITHIN for late in self.late) / max(slots, 1)

    def skipped_places(self) -> int:
        """Return how many slots are missing between the first and the last of their subject."""
        dues: dict[tuple[str, str, str], list[float]] = {}
        for tenant, operation, api, slot in self.ends:
            dues.setdefault((tenant, operation, api), []).append(_seconds(slot))
        return sum(round((max(some) - min(some)) / INTERVAL) + 1 - len(some) for some in dues.values())


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--listen", default="off")
    wanted = parser.parse_args()
    apis = [part for api in APIS for part in ("--api", api)]
    arguments = ["--operations", f"{wanted.operations}", "--servers", f"{SERVERS}", "--latency", f"{LATENCY}", *apis]
    with vendor(*arguments) as simulator:
        seen = _watch(simulator, wanted.seconds, wanted.listen)
    _show(seen, wanted.seconds)
    broken = simulator.verdict.get("violations", 0)
    print(f"rules broken at the simulator       {broken}")
    doubled = sum(count > 1 for count in seen.ends.values())
    return int(seen.share() < SHARE or bool(broken) or doubled > 0 or seen.skipped_places() > 0)


def _watch(at: Vendor, seconds: float, listen: str) -> Seen:
    output = at.folder / "usage.jsonl"
    command = [*PROGRAM, "watch", "--tenants", str(at.tenants), "--base-url", at.base_url, "--output", str(output)]
    command += ["--state", str(at.folder / "state"), "--no-progress", "--log-level", "error", "--listen", listen]
    seen = Seen()
    process = subprocess.Popen(command, preexec_fn=_on_one_core)  # noqa: PLW1509 - it starts no thread
    with _ended(process, seen):
        _wait_for(output)
        begun = time.monotonic()
        while (elapsed := time.monotonic() - begun) < seconds and process.poll() is None:
            seen.memory.append((elapsed, _resident(process.pid)))
            time.sleep(min(seconds / SAMPLES, seconds - elapsed) + 0.01)
    _read(output, seen)
    return seen


@contextmanager
def _ended(process: subprocess.Popen[bytes], seen: Seen) -> Iterator[None]:
    try:
        yield
        process.send_signal(signal.SIGTERM)
    finally:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = seen.code = os.waitstatus_to_exitcode(status)
        seen.cpu = usage.ru_utime + usage.ru_stime


def _on_one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _wait_for(output: Path) -> None:
    while not (output.exists() and output.stat().st_size):
        time.sleep(0.05)


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * _KIB_PER_PAGE / 1024


def _read(output: Path, seen: Seen) -> None:
    with output.open("rb") as lines:
        for line in lines:
            record = orjson.loads(line)
            if record["type"] == "gap":
                seen.gaps[record["reason"]] += 1
            elif record["type"] == "call":
                seen.outcomes[record["outcome"]] += 1
                seen.late.append(_seconds(record["at"]) - record["seconds"] - _seconds(record["slot"]))
            else:
                continue
            seen.ends[record["tenant"], record["operation"], record["api"], record["slot"]] += 1


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _show(seen: Seen, seconds: float) -> None:
    late = sorted(seen.late)
    table(
        (
            ("slots that ended", sum(seen.ends.values())),
            ("ended twice", sum(count > 1 for count in seen.ends.values())),
            ("missing between others", seen.skipped_places()),
            ("calls", dict(seen.outcomes)),
            ("gaps", dict(seen.gaps)),
            (f"began within {WITHIN:g} s of their due time", f"{seen.share():.3%} (asked {SHARE:.1%})"),
            ("late: median, 99 %, worst", _quantiles(late)),
            ("CPU", f"{seen.cpu:.1f} s in {seconds:.0f} s, {seen.cpu / max(len(late), 1) * 1e6:.0f} us a call"),
            ("memory by second (MiB)", ", ".join(f"{at:.0f}: {mib:.0f}" for at, mib in seen.memory)),
            ("exit code", seen.code),
        )
    )


def _quantiles(late: Sequence[float]) -> str:
    if not late:
        return "-"
    return f"{late[len(late) // 2]:.3f}, {late[len(late) * 99 // 100]:.3f}, {late[-1]:.3f} s"


if __name__ == "__main__":
    sys.exit(main())
