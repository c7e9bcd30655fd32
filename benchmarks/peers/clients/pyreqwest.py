"""pyreqwest: one client with a pool that fits, fixed workers, uvloop, orjson.

Its own runtime runs in another thread; the process is pinned to one core like all the others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import orjson
import uvloop
from pyreqwest.client import Client, ClientBuilder

from benchmarks.peers.job import TIMEOUT, Job, Queue, lines, measured, rows_of, told


async def fetch(job: Job, queues: list[Queue]) -> None:
    """Fetch everything with as many workers as calls may be in flight."""
    builder = ClientBuilder().max_connections(job.in_flight).pool_max_idle_per_host(job.in_flight)
    builder = builder.timeout(timedelta(seconds=TIMEOUT)).http1_only().follow_redirects(enable=False).no_proxy()
    builder = builder.error_for_status(enable=True)
    if job.ca_file:
        builder = builder.add_root_certificate_pem(Path(job.ca_file).read_bytes())  # noqa: ASYNC240 - once
    todo = deque(queues)
    with Path(job.output).open("wb") as file:  # noqa: ASYNC230 - a buffered write to a file
        async with builder.build() as client, asyncio.TaskGroup() as tasks:
            for _ in range(job.in_flight):
                tasks.create_task(work(client, job, todo, file))


async def work(client: Client, job: Job, todo: deque[Queue], file: BinaryIO) -> None:
    """Take tokens, one after the other, and make their calls, one after the other."""
    while todo:
        queue = todo.popleft()
        for api in job.apis:
            request = client.get(job.url(queue.server, api)).header("wolkvox-token", queue.token).build()
            response = await request.send()
            file.write(lines(queue, api, rows_of(orjson.loads(memoryview(await response.bytes())))))


if __name__ == "__main__":
    JOB, QUEUES = told()
    with measured():
        uvloop.run(fetch(JOB, QUEUES))
