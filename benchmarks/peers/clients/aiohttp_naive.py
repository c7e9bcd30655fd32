"""aiohttp as its quick start has it: one session, a task per token, a semaphore, `json`."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from pathlib import Path
from typing import TextIO

import aiohttp

from benchmarks.peers.job import Job, Queue, measured, records, rows_of, told


async def fetch(job: Job, queues: list[Queue]) -> None:
    """Fetch everything through one session and its pool of connections."""
    context = ssl.create_default_context(cafile=job.ca_file) if job.ca_file else True
    connector = aiohttp.TCPConnector(limit=job.in_flight, ssl=context)
    semaphore = asyncio.Semaphore(job.in_flight)
    with Path(job.output).open("w", encoding="utf-8") as file:  # noqa: ASYNC230 - as people write it
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as tasks:
            for queue in queues:
                tasks.create_task(fetch_queue(session, semaphore, job, queue, file))


async def fetch_queue(
    session: aiohttp.ClientSession, semaphore: asyncio.Semaphore, job: Job, queue: Queue, file: TextIO
) -> None:
    """Make a token's calls one after the other."""
    for api in job.apis:
        async with (
            semaphore,
            session.get(
                job.url(queue.server, api), headers={"wolkvox-token": queue.token}, allow_redirects=False
            ) as response,
        ):
            response.raise_for_status()
            rows = rows_of(await response.json())
        file.writelines(json.dumps(record) + "\n" for record in records(queue, api, rows, time.time()))


if __name__ == "__main__":
    JOB, QUEUES = told()
    with measured():
        asyncio.run(fetch(JOB, QUEUES))
