"""Making worker processes, and hearing of their ends.

They are forked while there is one thread and no event loop: what the parent has in memory,
tokens included, is there in the worker and travels by no pipe, argument or environment.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NoReturn

from wolkvox_async.errors import ConfigurationError

from .parentage import end_with

BROKEN: Final = 70
"""The exit status of a worker that met a defect of this program."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_STDOUT: Final = 1
_LOOK_AGAIN: Final = 0.005  # seconds
_LOOKS: Final = 400  # so many before a worker that has closed its socket and does not end is killed


@dataclass(frozen=True, slots=True)
class Forked:
    """A worker process, and our end of what connects us."""

    number: int
    pid: int
    channel: socket.socket


def can_fork() -> bool:
    """Tell whether workers can be had here, and share a state folder."""
    from wolkvox_async.adapters.state.locks import HAS_OPEN_FILE_LOCKS  # noqa: PLC0415 - not where there is no fcntl

    return hasattr(os, "fork") and HAS_OPEN_FILE_LOCKS


def fork_workers(
    numbers: Iterable[int], work: Callable[[socket.socket], None], beside: Sequence[socket.socket] = ()
) -> list[Forked]:
    """Fork a worker for each number, which does `work` and ends; raises `ConfigurationError` when that fails.

    `beside` are sockets of ours that they are not to have.
    """
    workers: list[Forked] = []
    try:
        for number in numbers:
            not_theirs = [*beside, *(worker.channel for worker in workers)]
            workers.append(_fork(number, work, not_theirs))
    except OSError as error:
        dismiss(workers)
        raise ConfigurationError([f"--workers: no more processes can be started: {error.strerror}"]) from error
    return workers


def _fork(number: int, work: Callable[[socket.socket], None], not_theirs: Iterable[socket.socket]) -> Forked:
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    # A signal that comes in between finds either the parent's handlers or the worker's.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        pid = os.fork()
        if pid == 0:
            end_with(parent)
            _be_worker(work, theirs, [ours, *not_theirs])
    except OSError:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        theirs.close()
    return Forked(number, pid, ours)


def _be_worker(work: Callable[[socket.socket], None], channel: socket.socket, others: list[socket.socket]) -> NoReturn:
    status = BROKEN
    try:
        for number in _SIGNALS:
            # Not ignored, which the commands that give tokens would inherit.
            signal.signal(number, _leave_it_to_the_parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        # As long as anybody has them, nobody hears that the parent is gone, or reads to the end of the output.
        for other in others:
            other.close()
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
        work(channel)
        status = 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, it ends here
        confess(error)
    finally:
        # Nothing of the parent's is to be run twice: no block left, no buffer flushed.
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(status)


def confess(error: BaseException) -> None:
    """Say on standard error what a worker met, and where; its text may hold what was sent or answered."""
    where = "".join(traceback.format_tb(error.__traceback__))
    sys.stderr.write(f"a defect of this program, in a worker: {type(error).__name__}\n{where}")
    sys.stderr.flush()


def _leave_it_to_the_parent(number: int, frame: object) -> None:
    """Do nothing: the terminal sends its signals to all of its processes."""


def dismiss(workers: Sequence[Forked]) -> None:
    """Hang up on workers that are still there, and wait until they are gone."""
    for worker in workers:
        worker.channel.close()
    for worker in workers:
        with suppress(ChildProcessError):  # it was waited for
            end(worker.pid)


def end(pid: int) -> int:
    """Wait as `ended` does, where there is no loop."""
    pause = threading.Event()
    for _ in range(_LOOKS):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        pause.wait(_LOOK_AGAIN)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def ended(pid: int) -> int:
    """Wait for a worker that has closed its socket; return its exit code, less than 0 for the signal that killed it."""
    looks = 0
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222 - it does not wait
        if found:
            return os.waitstatus_to_exitcode(status)
        looks += 1
        if looks == _LOOKS:
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(_LOOK_AGAIN)


def in_words(code: int) -> str:
    """Say how a worker ended."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
