"""What `fetch --join` costs against `fetch` with a state folder: one machine, one broker, all on this host.

Both make the same calls of one simulated vendor, taking turns, each with a run of its own. Compared is the
rate between the first and the last twentieth of the calls: a machine that joins waits for its leases
before the first, and that is not what is asked here. CPU is of the processes that call, not of
the broker. Then the store alone: CPU of client and broker for a message of 600 bytes in batches of 100.
Exits 1 when one machine joined does less than 80 % of the same one alone, or the client takes more
than 60 us a message.

    python -m benchmarks.joined [--operations N] [--repeat N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from wolkvox_async.adapters.nats import NatsLogin, NatsSettings, NatsStore
from wolkvox_async.ports import Append, Store, Stored

from .laboratory import PROGRAM, Vendor, fetch, table, vendor
from .million.seen import cpu_of

LEAST = 0.8
MOST = 60  # microseconds
BATCH = 100
BATCHES = 200
READY = 60.0
TERMS = ("--timeout", "3", "--connect-timeout", "1", "--server-limit", "2", "--lease", "8", "--partitions", "64")
PACE = ("--interval", "0", "--max-in-flight", "300", "--per-server", "100")


@dataclass(frozen=True, slots=True)
class Rate:
    """Calls a second, and microseconds of CPU a call."""

    calls: float
    cpu: float


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=4000)
    parser.add_argument("--repeat", type=int, default=3)
    wanted = parser.parse_args()
    given = ("--operations", str(wanted.operations), "--servers", "20", "--latency", "0.05", "--interval", "0")
    alone, joined = [], []
    load = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory() as name,
        vendor(*given) as at,
        broker(Path(name)) as join,
    ):
        for number in range(wanted.repeat):
            done = fetch(at, *PACE)
            alone.append(rate([record["at"] for record in done.calls()], done.cpu))
            joined.append(fetched_together(at, join, f"pass-{number}", Path(name)))
        client, server = asyncio.run(stored(join, Path(name)))
    kept = judge(load, alone, joined, at.verdict)
    table(
        [("store, CPU of the client", f"{client:.0f} us a message, at most {MOST}"), ("of the broker", f"{server:.0f}")]
    )
    return 0 if kept and client <= MOST else 1


async def stored(join: Sequence[str], folder: Path) -> tuple[float, float]:
    """Append batches; return microseconds of CPU a message, of this process and of the broker."""
    user, _, password = (folder / "broker" / "credentials").read_text().strip().partition(":")
    login = NatsLogin(user=user, password=password)
    async with await NatsStore.open(NatsSettings((join[1],), login=login)) as store:
        await _append(store, 10, "warm")
        before, process = broker_cpu(folder), time.process_time()
        await _append(store, BATCHES, "tk")
        spent, server = time.process_time() - process, broker_cpu(folder) - before
    return spent / (BATCHES * BATCH) * 1e6, server / (BATCHES * BATCH) * 1e6


async def _append(store: Store, batches: int, name: str) -> None:
    for number in range(batches):
        some = [Append(number % 64, f"{name}_{number}_{n}", 0, b"x" * 600) for n in range(BATCH)]
        became = await store.append(some)
        if not all(isinstance(one, Stored) for one in became):
            raise AssertionError("a fresh token's first message is taken")


def broker_cpu(folder: Path) -> float:
    """Return the seconds of CPU that the broker has taken."""
    (pid,) = re.findall(r"^\[(\d+)\].*Server is ready", (folder / "broker.log").read_text(), re.MULTILINE)
    return cpu_of(int(pid))


def judge(load: float, alone: Sequence[Rate], joined: Sequence[Rate], verdict: dict[str, object]) -> bool:
    """Print what was found; return whether it is as it has to be."""
    best = max(one.calls for one in joined) / max(one.calls for one in alone)
    table(
        [
            ("load of the machine at the start", f"{load:.1f}"),
            ("alone, calls a second", ", ".join(f"{one.calls:.0f}" for one in alone)),
            ("joined, calls a second", ", ".join(f"{one.calls:.0f}" for one in joined)),
            ("alone, CPU", f"{min(one.cpu for one in alone):.0f} us a call"),
            ("joined, CPU of parent and child", f"{min(one.cpu for one in joined):.0f} us a call"),
            ("verdict", verdict["summary"]),
            (f"joined: {best:.2f} of alone, at least {LEAST}", "yes" if best >= LEAST else "NO"),
        ]
    )
    return best >= LEAST and bool(verdict["ok"])


def rate(moments: Sequence[str], cpu: float) -> Rate:
    """Return the rate amid the calls that ended at these moments."""
    times = sorted(datetime.fromisoformat(moment).timestamp() for moment in moments)
    edge = len(times) // 20
    amid = times[edge : len(times) - edge]
    return Rate((len(amid) - 1) / (amid[-1] - amid[0]), cpu / len(times) * 1e6)


@contextmanager
def broker(folder: Path) -> Iterator[list[str]]:
    """Run a broker for the length of the block; returns the options that join it."""
    log = folder / "broker.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*PROGRAM, "broker", "--listen", "127.0.0.1:0", "--data", str(folder / "broker")], stderr=said
        )
    try:
        until = time.monotonic() + READY
        while "Server is ready" not in log.read_text():
            if time.monotonic() > until:
                raise TimeoutError(log.read_text())
            time.sleep(0.05)
        (port,) = re.findall(r"client connections on 127\.0\.0\.1:(\d+)", log.read_text())
        yield ["--join", f"nats://127.0.0.1:{port}", "--join-credentials", f"file:{folder / 'broker' / 'credentials'}"]
    finally:
        process.terminate()
        process.wait()


def fetched_together(at: Vendor, join: Sequence[str], run: str, folder: Path) -> Rate:
    """Make a pass as the only machine of a cluster, and read what it wrote from the stream."""
    command = [*PROGRAM, "fetch", "--tenants", str(at.tenants), "--base-url", at.base_url, "--run", run]
    process = subprocess.Popen([*command, *join, *TERMS, *PACE, "--no-progress", "--log-level", "error"])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"fetch --join ended with exit code {process.returncode}")
    output = folder / "usage.jsonl"
    subprocess.run([*PROGRAM, "records", *join, "--output", str(output)], check=True, stderr=subprocess.DEVNULL)
    records = [json.loads(line) for line in output.read_bytes().splitlines()]
    ids = [record["run"] for record in records if record["type"] == "run"]
    calls = [record["at"] for record in records if record["type"] == "call" and record["run"] == ids[-1]]
    return rate(calls, usage.ru_utime + usage.ru_stime)


if __name__ == "__main__":
    sys.exit(main())
