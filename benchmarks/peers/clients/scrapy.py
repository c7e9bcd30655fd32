"""Scrapy: a download slot per token with one request in it, a token's next call from its callback, orjson.

What this work has no use for is off: cookies, retries, redirects, robots.txt, statistics to
the log, the telnet console. The reactor is asyncio's, on uvloop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import scrapy
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.http import Response

from benchmarks.peers.job import TIMEOUT, Job, Queue, lines, measured, rows_of, told


class Billing(scrapy.Spider):
    """Fetches every token's endpoints."""

    name = "billing"

    def __init__(self, job: Job, queues: list[Queue], file: BinaryIO, **more: Any) -> None:
        super().__init__(**more)
        self._job = job
        self._queues = queues
        self._file = file

    async def start(self) -> AsyncIterator[scrapy.Request]:
        """Yield the first call of every token."""
        for queue in self._queues:
            yield self._request(queue, 0)

    def _request(self, queue: Queue, n: int) -> scrapy.Request:
        return scrapy.Request(
            self._job.url(queue.server, self._job.apis[n]),
            headers={"wolkvox-token": queue.token},
            callback=self.parse,
            cb_kwargs={"queue": queue, "n": n},
            meta={"download_slot": queue.token},
            dont_filter=True,
        )

    def parse(self, response: Response, queue: Queue, n: int) -> Iterator[scrapy.Request]:
        """Write the lines of a call and go on with the token's next."""
        self._file.write(lines(queue, self._job.apis[n], rows_of(orjson.loads(response.body))))
        if n + 1 < len(self._job.apis):
            yield self._request(queue, n + 1)


def settings(job: Job, queues: list[Queue]) -> dict[str, Any]:
    """Return Scrapy's settings for this work; the connections kept per host are those per domain."""
    return {
        "ASYNCIO_EVENT_LOOP": "uvloop.Loop",
        "CONCURRENT_REQUESTS": job.in_flight,
        "CONCURRENT_REQUESTS_PER_DOMAIN": job.in_flight,
        "COOKIES_ENABLED": False,
        "DOWNLOAD_DELAY": 0,
        "DOWNLOAD_SLOTS": {queue.token: {"concurrency": 1, "delay": 0} for queue in queues},
        "DOWNLOAD_TIMEOUT": TIMEOUT,
        "HTTPPROXY_ENABLED": False,
        "LOG_ENABLED": False,
        "LOGSTATS_INTERVAL": 0,
        "REDIRECT_ENABLED": False,
        "RETRY_ENABLED": False,
        "ROBOTSTXT_OBEY": False,
        "TELNETCONSOLE_ENABLED": False,
    }


def fetch(job: Job, queues: list[Queue]) -> None:
    """Run the crawl."""
    with Path(job.output).open("wb") as file:
        process = AsyncCrawlerProcess(settings(job, queues))
        process.crawl(Billing, job=job, queues=queues, file=file)
        process.start()


if __name__ == "__main__":
    JOB, QUEUES = told()
    with measured():
        fetch(JOB, QUEUES)
