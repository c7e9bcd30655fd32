"""The engine as `wolkvox-async fetch` runs it: state in a folder, leases, retries, deadlines, records to a file.

It calls the function that the command calls once its options are read. A second argument
chooses what differs from the command's default: `asyncio` runs it without uvloop, `shared`
with `--connections shared`.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

from benchmarks.peers.job import Job, measured, told
from wolkvox_async import Options, load_tenants
from wolkvox_async.apps import logs, passing

LATER = ("anyio._backends._asyncio", "anyio.streams.memory", "anyio.to_thread", "encodings.idna", "uvloop")
"""What a pass imports once it runs. The others import everything first, so that is not counted for them."""


def import_everything() -> None:
    """Have nothing left to import once the clock runs."""
    for name in LATER:
        with suppress(ImportError):
            import_module(name)


def order(job: Job, **changes: Any) -> passing.Order:
    """Return what the command would make of its options."""
    options = Options(
        base_url=job.base_url, max_in_flight=job.in_flight, ca_file=job.ca_file, state=job.state, **changes
    )
    tenants = load_tenants(job.tenants, base_url=job.base_url)
    return passing.Order(tenants=tenants, options=options, output=job.output, apis=job.apis, progress=False)


def main() -> int:
    """Make the pass."""
    job, _ = told()
    variant = sys.argv[2] if len(sys.argv) > 2 else ""
    import_everything()
    logs.configure("json", "error")
    wanted = order(job, **({"connections": "shared"} if variant == "shared" else {}))
    with measured():
        if variant == "asyncio":
            ending = asyncio.run(passing.run_pass(wanted))
        else:
            ending = passing.run(lambda: passing.run_pass(wanted))
    return int(ending.code)


if __name__ == "__main__":
    sys.exit(main())
