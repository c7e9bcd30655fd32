"""httpx: one `AsyncClient` with limits that fit, fixed workers, uvloop, orjson."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from pathlib import Path
from typing import BinaryIO

import httpx
import orjson
import uvloop

from benchmarks.peers.job import TIMEOUT, Job, Queue, lines, measured, rows_of, told


async def fetch(job: Job, queues: list[Queue]) -> None:
    """Fetch everything with as many workers as calls may be in flight."""
    limits = httpx.Limits(max_connections=job.in_flight, max_keepalive_connections=job.in_flight)
    verify = ssl.create_default_context(cafile=job.ca_file) if job.ca_file else True
    todo = deque(queues)
    with Path(job.output).open("wb") as file:  # noqa: ASYNC230 - a buffered write to a file
        async with (
            httpx.AsyncClient(limits=limits, timeout=TIMEOUT, verify=verify, trust_env=False) as client,
            asyncio.TaskGroup() as tasks,
        ):
            for _ in range(job.in_flight):
                tasks.create_task(work(client, job, todo, file))


async def work(client: httpx.AsyncClient, job: Job, todo: deque[Queue], file: BinaryIO) -> None:
    """Take tokens, one after the other, and make their calls, one after the other."""
    while todo:
        queue = todo.popleft()
        for api in job.apis:
            response = await client.get(job.url(queue.server, api), headers={"wolkvox-token": queue.token})
            response.raise_for_status()
            file.write(lines(queue, api, rows_of(orjson.loads(response.content))))


if __name__ == "__main__":
    JOB, QUEUES = told()
    with measured():
        uvloop.run(fetch(JOB, QUEUES))
