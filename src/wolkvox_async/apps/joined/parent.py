"""The parent: it has the leases and the stream, and tells the child what is ours.

- It renews only while the child's last heartbeat is young. A child that is silent when its first
  permit would let nothing begin any more is killed: it may stand between its last look at the
  board and the sending of a request, and would send it whenever it goes on.
- What the child handed over whole is stored, whatever has become of the child. What it had is given
  up, and its leases run out.
- No child can be forked beside the threads that run by now: without one the program ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from wolkvox_async import __version__
from wolkvox_async.adapters.telemetry import library_logger
from wolkvox_async.apps.working.forking import ended, in_words
from wolkvox_async.apps.working.frames import Head, read_frame
from wolkvox_async.apps.working.links import Link
from wolkvox_async.clustering.messages import Entry, TokenState
from wolkvox_async.clustering.terms import LeaseTerms
from wolkvox_async.errors import ConfigurationError, StateError
from wolkvox_async.membership.appender import Appender
from wolkvox_async.membership.bell import Bell
from wolkvox_async.membership.member import Member
from wolkvox_async.membership.owner import Taking
from wolkvox_async.membership.strands import Part

from .errand import Shared
from .frames import packed, unpacked
from .labour import Outcome
from .permits import Permits
from .running import Running
from .tenancies import partition_of

SILENCE: Final = 2.0
"""Seconds without a heartbeat after which leases are not renewed."""

_LOOK_EVERY: Final = 0.1
_TOKEN: Final = "tk_"  # noqa: S105 - how their ids begin


@dataclass(frozen=True, slots=True)
class Crewed:
    """What a parent works with; `name` is the machine's, `kind` what it does."""

    name: str
    link: Link
    shared: Shared
    terms: LeaseTerms
    partitions: int
    kind: str


class Parent:
    """The `Owner` of what a member has, and the `Listener` of its appender."""

    member: Member
    appender: Appender

    def __init__(self, crewed: Crewed) -> None:
        self.permits: Final = Permits(crewed.shared.board, crewed.shared.boot)
        self.outcome: Outcome | None = None  # of the child, once it has ended in order
        self.failure: Exception | None = None  # why everything ends before its time
        self.running: Running | None = None
        self._crewed: Final = crewed
        self._link: Final = crewed.link
        self._seen: Mapping[str, int] = {}
        self._is_able = True
        self._ours: Final[set[int]] = set()
        self._bell: Final = Bell()
        self._tasks: Final[list[asyncio.Task[None]]] = []

    # --- its life

    def start(self, *begin: Any) -> None:
        """Tell the child on what terms it is to begin, and listen to it."""
        self._link.post("begin", *begin)
        lives = [self._listen(), self._guard(), self._show()]
        if self.running is not None:
            lives.append(self.running.follow(self._link.post, self._crewed.shared, self.say))
        self._tasks.extend(asyncio.create_task(self._live(one)) for one in lives)

    async def _live(self, one: Coroutine[Any, Any, None]) -> None:
        try:
            await one
        except Exception as error:  # noqa: BLE001 - whoever waits for the end raises it
            self.fail(error)

    async def over(self) -> None:
        """Return when the child has ended in order, or everything has to end."""
        await self._bell.until(lambda: self.outcome is not None or self.failure is not None)

    async def close(self) -> None:
        """Leave off."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def give_up(self) -> None:
        """Let go of all partitions as they are: their leases run out."""
        for partition in list(self._ours):
            self._ours.discard(partition)
            self.member.give_up(partition)

    def fail(self, error: Exception) -> None:
        """Have everything end, because of the first such error."""
        self.failure = self.failure or error
        self._bell.ring()

    # --- the child

    async def _listen(self) -> None:
        while (frame := await read_frame(self._link.reader)) is not None:
            self._take_in(*frame)
            await self.appender.room()
        self._link.is_alive = False
        self.give_up()
        code = await ended(self._link.pid)
        if self.outcome is None:
            raise ChildDiedError(in_words(code))

    def _take_in(self, head: Head, tail: bytes) -> None:
        match head:
            case ["parts", number, labels]:
                self._append(list(unpacked(labels, tail)), lambda: self._link.post("stored", number))
            case ["run", number, run]:
                self._append([self._of_run(run, tail)], lambda: self._link.post("stored", number))
            case ["done", partitions, counts] if self.running is not None:
                self.running.done(partitions, counts)
            case ["released", partition]:
                self._ours.discard(partition)
                self.member.released(partition)
            case ["seen", seen, is_able]:
                self._seen, self._is_able = seen, is_able
            case ["ended", stopped, counters]:
                self.outcome = Outcome(stopped, counters)
                self._bell.ring()
            case ["broken", message]:
                self.fail(StateError(message))
            case ["refused", mistakes]:
                self.fail(ConfigurationError(mistakes))
            case _:
                pass

    def say(self, run: str, line: bytes) -> None:
        """Have a record about a run as a whole stored."""
        self._append([self._of_run(run, line)], lambda: None)

    def _of_run(self, run: str, line: bytes) -> tuple[Sequence[Any], Entry]:
        name = f"run-{run}"
        return (partition_of(name, self._crewed.partitions), name), Entry("", 0, TokenState(), line)

    def _append(self, parts: Sequence[tuple[Sequence[Any], Entry]], stored: Callable[[], None]) -> None:
        left = len(parts)

        def done(error: StateError | None) -> None:
            nonlocal left
            left -= 1
            if error is not None:
                self.fail(error)
            elif not left:
                stored()

        for (partition, token), entry in parts:
            self.appender.append(partition, token, Part(entry.epoch, entry.state, entry.lines, done))

    def _has_others(self) -> bool:
        """Tell whether there is somebody to leave partitions to."""
        return any(worker.able for worker in self.member.seen().workers if worker.id != self._crewed.name)

    async def _guard(self) -> None:
        """Kill the child when it is silent and could go on too late."""
        shared, terms = self._crewed.shared, self._crewed.terms
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if self.may_renew(0) or not self._link.is_alive:
                continue
            if self.permits.earliest_end() - shared.boot() <= terms.hold + terms.margin:
                library_logger().error("the process that calls stands still: it is killed, and others take over")
                self.give_up()
                with suppress(ProcessLookupError):
                    os.kill(self._link.pid, signal.SIGKILL)
                return

    async def _show(self) -> None:
        """Show the child what is seen of the cluster."""
        shown: dict[str, Any] = {}
        while True:
            await asyncio.sleep(1.0)
            self._look_around()
            seen = self.view()
            if seen != shown and self._link.is_alive:
                self._link.post("cluster", seen)
                shown = seen

    def _look_around(self) -> None:
        """Leave partitions to others if we cannot call; refuse to pass where others watch: they keep their tokens."""
        self.member.able = self._is_able or not self._has_others()
        others = {worker.facts.get("kind") for worker in self.member.seen().workers}
        if self._crewed.kind == "fetch" and "watch" in others:
            raise ConfigurationError(
                ["--join: machines of this cluster watch, and would share their tokens: read what they capture instead"]
            )

    def view(self) -> dict[str, Any]:
        """Return what is seen of the cluster, for people."""
        seen = self.member.seen()
        workers = [
            {"id": one.id, "name": one.name, "able": one.able, "partitions": one.partitions} for one in seen.workers
        ]
        return {
            "partitions": self._crewed.partitions,
            "ours": len(self._ours),
            "current": seen.is_current,
            "stuck": self.appender.stuck,
            "unstored": self.appender.unstored(),
            "workers": workers,
        }

    # --- the owner of partitions

    def taken(self, taking: Taking) -> None:
        """Tell the child that a partition is ours, and what is known of its tokens."""
        self._ours.add(taking.partition)
        known = [
            ((one.token,), Entry("", taking.epoch, one.state, b""))
            for one in taking.tokens
            if one.token.startswith(_TOKEN)
        ]
        labels, tail = packed(known)
        self._link.post("taken", taking.partition, taking.epoch, taking.quarantine, labels, tail=tail)

    def finish(self, partition: int) -> None:
        """Have the child bring a partition to its end."""
        self._link.post("finish", partition)

    def lost(self, partition: int) -> None:
        """Tell the child that a partition is ours no more."""
        self._ours.discard(partition)
        self._link.post("lost", partition)

    def may_renew(self, partition: int) -> bool:  # noqa: ARG002 - one child has them all
        """Tell whether the child has just shown that it is alive."""
        shared = self._crewed.shared
        return shared.boot() - shared.board.last_beat < SILENCE

    def facts(self) -> Mapping[str, str | int | float]:
        """Return what other machines show of this one."""
        own: dict[str, str | int | float] = {"kind": self._crewed.kind, "version": __version__, "pid": os.getpid()}
        return {**own, "unstored": self.appender.unstored(), **self._seen}

    def broken(self, error: Exception) -> None:
        """Take in that there are no leases, or no records, any more."""
        self.fail(error)

    # --- the listener of records

    def stuck(self, partition: int, token: str) -> None:  # noqa: ARG002 - the port's signature
        """Tell the child that a token is not to be used: the store is full."""
        if self.appender.stuck == 1:
            library_logger().error("the store is full: tokens whose last record does not fit are not called")
        self._link.post("stuck", token)

    def moving(self, partition: int, token: str) -> None:  # noqa: ARG002 - as above
        """Tell the child that it may be used again."""
        self._link.post("moving", token)

    def learned(self, partition: int, token: str, state: TokenState) -> None:
        """Tell the child what somebody else's late record says."""
        if token.startswith(_TOKEN):
            labels, tail = packed([((partition, token), Entry("", 0, state, b""))])
            self._link.post("learned", labels, tail=tail)


class ChildDiedError(Exception):
    """The process that calls has ended before its time; says how."""
