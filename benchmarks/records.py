"""How fast `records` reads a stream into a file: messages a second, CPU of reader and broker, memory.

The stream holds one message for each of many tokens, as a cluster writes them: a head, a row and a
`call` record. The reader is the command; its output is compared with what was written.

    python -m benchmarks.records [--messages N] [--repeat N]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from torture.chaos.brokers import Brokers
from wolkvox_async.adapters.nats import NatsLogin, NatsSettings, NatsStore

from .laboratory import PROGRAM, table
from .million.filling import fill
from .million.seen import cpu_of
from .million.tokens import lines_of_call, token_id

_ROOM = 8 * 1024**3


def main() -> int:
    """Measure, print; exits 1 when the output is not what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=3)
    wanted = parser.parse_args()
    return asyncio.run(measure(wanted.messages, wanted.repeat))


async def measure(messages: int, repeat: int) -> int:
    """Fill a stream, and read it some times."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        brokers = Brokers(folder, 1, _ROOM)
        try:
            await brokers.start()
            (node,) = brokers.nodes
            user, _, password = brokers.credentials.read_text().strip().partition(":")
            settings = NatsSettings((f"nats://127.0.0.1:{node.port}",), login=NatsLogin(user=user, password=password))
            async with await NatsStore.open(settings) as store:
                await fill(store, messages, [node.pid])
            table([("load of the machine at the start", f"{load:.1f}"), ("messages", f"{messages:,}")])
            for number in range(repeat):
                output = folder / f"usage-{number}.jsonl"
                before = cpu_of(node.pid)
                seconds, cpu, peak = _read(settings.servers[0], brokers.credentials, output)
                table(
                    [
                        ("messages a second, and records", f"{messages / seconds:,.0f}, {2 * messages / seconds:,.0f}"),
                        ("CPU of the reader", f"{cpu / messages * 1e6:.0f} us a message, memory {peak:.0f} MiB"),
                        ("CPU of the broker", f"{(cpu_of(node.pid) - before) / messages * 1e6:.0f} us"),
                    ]
                )
            # Behind all runs: a process is said to have had at least the memory of the one that started it.
            is_whole = all(_is_whole(folder / f"usage-{number}.jsonl", messages) for number in range(repeat))
        finally:
            brokers.stop()
    table([("each record is in the output once", "yes" if is_whole else "NO")])
    return 0 if is_whole else 1


def _read(server: str, credentials: Path, output: Path) -> tuple[float, float, float]:
    """Read all of it; return seconds, seconds of CPU and MiB."""
    command = [*PROGRAM, "records", "--join", server, "--join-credentials", f"file:{credentials}"]
    began = time.monotonic()
    process = subprocess.Popen([*command, "--output", str(output)], stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"records ended with exit code {process.returncode}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _is_whole(output: Path, messages: int) -> bool:
    written = (lines_of_call(token_id(number)).splitlines() for number in range(messages))
    with output.open("rb") as file:
        return sorted(file.read().splitlines()) == sorted(line for lines in written for line in lines)


if __name__ == "__main__":
    sys.exit(main())
