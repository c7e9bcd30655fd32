"""niquests: one `AsyncSession` with a pool that fits, HTTP/1.1 only, fixed workers, uvloop, orjson."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path
from typing import BinaryIO

import niquests
import orjson
import uvloop

from benchmarks.peers.job import TIMEOUT, Job, Queue, lines, measured, rows_of, told


async def fetch(job: Job, queues: list[Queue]) -> None:
    """Fetch everything with as many workers as calls may be in flight."""
    todo = deque(queues)
    with Path(job.output).open("wb") as file:  # noqa: ASYNC230 - a buffered write to a file
        async with niquests.AsyncSession(
            pool_connections=1, pool_maxsize=job.in_flight, disable_http2=True, disable_http3=True
        ) as session:
            session.trust_env = False
            session.verify = job.ca_file or True
            async with asyncio.TaskGroup() as tasks:
                for _ in range(job.in_flight):
                    tasks.create_task(work(session, job, todo, file))


async def work(session: niquests.AsyncSession, job: Job, todo: deque[Queue], file: BinaryIO) -> None:
    """Take tokens, one after the other, and make their calls, one after the other."""
    while todo:
        queue = todo.popleft()
        for api in job.apis:
            response = await session.get(
                job.url(queue.server, api),
                headers={"wolkvox-token": queue.token},
                timeout=TIMEOUT,
                allow_redirects=False,
            )
            response.raise_for_status()
            file.write(lines(queue, api, rows_of(orjson.loads(response.content or b""))))


if __name__ == "__main__":
    JOB, QUEUES = told()
    with measured():
        uvloop.run(fetch(JOB, QUEUES))
