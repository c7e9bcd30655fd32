"""What a client is told, what it writes, and what it says of itself.

The clock runs from the moment when everything is imported and the tenants are known until
the output is closed: making the session, the loop and the connections is in it, starting an
interpreter is not. It is the same for all.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson

PATH = "/api/v2/billing.php?api="
TIMEOUT = 65.0


class Queue(NamedTuple):
    """A token, whose calls are made one after the other, and whose they are."""

    tenant: str
    operation: str
    server: str
    token: str


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be fetched, how, and where to; `state` is a folder for the client that keeps one."""

    tenants: str
    base_url: str
    apis: tuple[str, ...]
    in_flight: int
    output: str
    state: str
    ca_file: str | None = None

    @classmethod
    def read(cls, path: str) -> Job:
        """Read the job that the program was given."""
        told = json.loads(Path(path).read_bytes())
        return cls(**{**told, "apis": tuple(told["apis"])})

    def write(self, path: Path) -> None:
        """Write the job for a program."""
        path.write_text(json.dumps(asdict(self)))

    def queues(self) -> list[Queue]:
        """Return the tokens of the tenants file, in its order."""
        document = json.loads(Path(self.tenants).read_bytes())
        return [
            Queue(tenant["name"], operation["name"], operation["server"], operation["token"])
            for tenant in document["tenants"]
            for operation in tenant["operations"]
        ]

    def url(self, server: str, api: str) -> str:
        """Return the address of one endpoint."""
        return f"{self.base_url.replace('{server}', server)}{PATH}{api}"


def rows_of(answer: Any) -> list[Any]:
    """Return the rows of a successful answer; anything else ends the program."""
    if answer["code"] != 200 or not isinstance(answer["data"], list):
        raise ValueError("the answer is no success")
    return answer["data"]


def lines(queue: Queue, api: str, rows: Sequence[Any]) -> bytes:
    """Return the lines of one call, by orjson."""
    at = time.time()
    written = [orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records(queue, api, rows, at)]
    return b"".join(written)


def records(queue: Queue, api: str, rows: Sequence[Any], at: float) -> Iterator[dict[str, Any]]:
    """Yield the records of one call: its rows, then itself."""
    shared = {"tenant": queue.tenant, "operation": queue.operation, "server": queue.server, "api": api, "at": at}
    for n, row in enumerate(rows, 1):
        yield {"type": "row", "n": n, **shared, "items": int(row["items"]), "row": row}
    yield {"type": "call", **shared, "outcome": "ok", "rows": len(rows)}


@contextmanager
def measured() -> Iterator[None]:
    """Print what the block cost: CPU and wall in seconds, the process's peak memory in MiB."""
    used, began = cpu(), time.monotonic()
    yield
    print(json.dumps({"cpu": cpu() - used, "wall": time.monotonic() - began, "peak_mib": peak_mib()}), flush=True)


def cpu() -> float:
    """Return the seconds of CPU that this process has used, all threads and the system's part included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mib() -> float:
    """Return this program's peak memory; `ru_maxrss` would also count the process that it was forked from."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        found = None
    if found:
        return int(found[1]) / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024 * 1024 if sys.platform == "darwin" else 1024)


def told() -> tuple[Job, list[Queue]]:
    """Return the job that this program was given, and its tokens."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    job = Job.read(sys.argv[1])
    return job, job.queues()
