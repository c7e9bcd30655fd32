"""aiohttp with every switch that its documentation has for speed: uvloop, orjson, fixed workers.

No cookies, no limit in the connector (the workers are the limit), no happy eyeballs (the
address is a number), addresses made once, bodies read as bytes, one write per call.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from pathlib import Path
from typing import BinaryIO

import aiohttp
import orjson
import uvloop
from yarl import URL

from benchmarks.peers.job import TIMEOUT, Job, Queue, lines, measured, rows_of, told


async def fetch(job: Job, queues: list[Queue]) -> None:
    """Fetch everything with as many workers as calls may be in flight."""
    context = ssl.create_default_context(cafile=job.ca_file) if job.ca_file else True
    connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=None, happy_eyeballs_delay=None, ssl=context)
    urls = {
        (server, api): URL(job.url(server, api), encoded=True)
        for server in {q.server for q in queues}
        for api in job.apis
    }
    todo = deque(queues)
    with Path(job.output).open("wb") as file:  # noqa: ASYNC230 - a buffered write to a file
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT),
                read_bufsize=2**20,
            ) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for _ in range(job.in_flight):
                tasks.create_task(work(session, job, todo, urls, file))


async def work(
    session: aiohttp.ClientSession,
    job: Job,
    todo: deque[Queue],
    urls: dict[tuple[str, str], URL],
    file: BinaryIO,
) -> None:
    """Take tokens, one after the other, and make their calls, one after the other."""
    while todo:
        queue = todo.popleft()
        headers = {"wolkvox-token": queue.token}
        for api in job.apis:
            async with session.get(urls[queue.server, api], headers=headers, allow_redirects=False) as response:
                response.raise_for_status()
                body = await response.read()
            file.write(lines(queue, api, rows_of(orjson.loads(body))))


if __name__ == "__main__":
    JOB, QUEUES = told()
    with measured():
        uvloop.run(fetch(JOB, QUEUES))
