"""As `aiohttp_naive`, with a session per token: no connection ever serves two tokens."""

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
    """Fetch everything, a session per token; they share the TLS context, which is dear to make."""
    context = ssl.create_default_context(cafile=job.ca_file) if job.ca_file else True
    semaphore = asyncio.Semaphore(job.in_flight)
    with Path(job.output).open("w", encoding="utf-8") as file:  # noqa: ASYNC230 - as people write it
        async with asyncio.TaskGroup() as tasks:
            for queue in queues:
                tasks.create_task(fetch_queue(context, semaphore, job, queue, file))


async def fetch_queue(
    context: ssl.SSLContext | bool, semaphore: asyncio.Semaphore, job: Job, queue: Queue, file: TextIO
) -> None:
    """Make a token's calls one after the other, on a connection of its own."""
    async with (
        semaphore,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, ssl=context), headers={"wolkvox-token": queue.token}
        ) as session,
    ):
        for api in job.apis:
            async with session.get(job.url(queue.server, api), allow_redirects=False) as response:
                response.raise_for_status()
                rows = rows_of(await response.json())
            file.writelines(json.dumps(record) + "\n" for record in records(queue, api, rows, time.time()))


if __name__ == "__main__":
    JOB, QUEUES = told()
    with measured():
        asyncio.run(fetch(JOB, QUEUES))
