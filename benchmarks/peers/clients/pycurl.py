"""pycurl: one multi handle, a reused easy handle per worker, orjson.

Driven as pycurl's own examples do it, by `perform` and `select`; with the argument `socket`
by `socket_action` over epoll, libcurl's interface for many transfers: only what is ready is
looked at, and more than 1,024 sockets are no matter. Handles share the multi's connections.
"""

from __future__ import annotations

import select
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import orjson
import pycurl

from benchmarks.peers.job import TIMEOUT, Job, Queue, lines, measured, rows_of, told


class Selecting:
    """The multi handle, which looks at all its sockets itself."""

    def __init__(self, most: int) -> None:
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_MAXCONNECTS, most)

    def turn(self) -> list[pycurl.Curl]:
        """Wait for something to happen; return the handles whose transfers ended well."""
        self.multi.select(1.0)
        self.multi.perform()
        return ended_well(self.multi)


class Polling:
    """The multi handle and the sockets that it wants to be told about."""

    def __init__(self, most: int) -> None:
        self.multi = pycurl.CurlMulti()
        self._poll = select.epoll()
        self._known: set[int] = set()
        self._due: float | None = None
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self._socket)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self._timer)
        self.multi.setopt(pycurl.M_MAXCONNECTS, most)

    def _socket(self, what: int, descriptor: int, *_: Any) -> None:
        if what == pycurl.POLL_REMOVE:
            if descriptor in self._known:
                self._known.remove(descriptor)
                self._poll.unregister(descriptor)
            return
        events = (what & pycurl.POLL_IN and select.EPOLLIN) | (what & pycurl.POLL_OUT and select.EPOLLOUT)
        if descriptor in self._known:
            self._poll.modify(descriptor, events)
        else:
            self._known.add(descriptor)
            self._poll.register(descriptor, events)

    def _timer(self, milliseconds: int) -> None:
        self._due = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def turn(self) -> list[pycurl.Curl]:
        """Wait for something to happen; return the handles whose transfers ended well."""
        wait = 1.0 if self._due is None else min(1.0, max(0.0, self._due - time.monotonic()))
        for descriptor, events in self._poll.poll(wait):
            ready = (pycurl.CSELECT_IN if events & select.EPOLLIN else 0) | (
                pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0
            )
            self.multi.socket_action(descriptor, ready or pycurl.CSELECT_ERR)
        if self._due is not None and self._due <= time.monotonic():
            self._due = None
            self.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return ended_well(self.multi)


def ended_well(multi: pycurl.CurlMulti) -> list[pycurl.Curl]:
    """Return the handles whose transfers are over; one that failed ends the program."""
    ended: list[pycurl.Curl]
    _, ended, failed = multi.info_read()
    if failed:
        raise RuntimeError(f"{len(failed)} transfers failed, the first with {failed[0][1]}")
    return ended


class Worker:
    """One easy handle: a token's calls one after the other, then another token's."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._body: list[bytes] = []
        self._apis: deque[str] = deque()
        self._queue: Queue | None = None
        self.handle = pycurl.Curl()
        self.handle.setopt(pycurl.WRITEFUNCTION, self._body.append)
        self.handle.setopt(pycurl.TIMEOUT, int(TIMEOUT))
        self.handle.setopt(pycurl.NOSIGNAL, 1)
        self.handle.setopt(pycurl.TCP_NODELAY, 1)
        if job.ca_file:
            self.handle.setopt(pycurl.CAINFO, job.ca_file)

    def start(self, todo: deque[Queue]) -> bool:
        """Point the handle at the next call; returns whether there is one."""
        if not self._apis:
            if not todo:
                return False
            self._queue = todo.popleft()
            self._apis.extend(self._job.apis)
            self.handle.setopt(pycurl.HTTPHEADER, [f"wolkvox-token: {self._queue.token}"])
        if self._queue is not None:
            self.handle.setopt(pycurl.URL, self._job.url(self._queue.server, self._apis[0]))
        return True

    def finish(self) -> bytes:
        """Return the lines of the call that ended."""
        body = b"".join(self._body)
        self._body.clear()
        if self._queue is None or self.handle.getinfo(pycurl.RESPONSE_CODE) != 200:
            raise RuntimeError("the answer is no success")
        return lines(self._queue, self._apis.popleft(), rows_of(orjson.loads(body)))


def fetch(job: Job, queues: list[Queue], pump: Selecting | Polling) -> None:
    """Fetch everything with as many handles as calls may be in flight."""
    todo = deque(queues)
    workers = {worker.handle: worker for worker in (Worker(job) for _ in range(min(job.in_flight, len(queues))))}
    busy = 0
    with Path(job.output).open("wb") as file:
        for worker in workers.values():
            if worker.start(todo):
                pump.multi.add_handle(worker.handle)
                busy += 1
        while busy:
            for handle in pump.turn():
                pump.multi.remove_handle(handle)
                file.write(workers[handle].finish())
                if workers[handle].start(todo):
                    pump.multi.add_handle(handle)
                else:
                    busy -= 1


if __name__ == "__main__":
    JOB, QUEUES = told()
    with measured():
        fetch(JOB, QUEUES, (Polling if sys.argv[2:] == ["socket"] else Selecting)(JOB.in_flight))
