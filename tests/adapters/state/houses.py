"""A place where states live, with time by hand: a folder, or the memory of a process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from wolkvox_async.adapters.state import Clocks, MemoryState, SqliteState
from wolkvox_async.fields import OutcomeName
from wolkvox_async.identity import call_id, ulid
from wolkvox_async.marks import Mark
from wolkvox_async.model import Call, Operation, Token
from wolkvox_async.testing import ManualClock

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RUN = ulid(int(NOON.timestamp() * 1000), 1)
TOKEN, OTHER = "tk_9f86d081884c", "tk_0123456789ab"


@dataclass
class Machine:
    """A machine whose time is moved by hand."""

    boot: str = "boot-1"
    monotonic: float = 50_000.0
    boottime: float = 60_000.0
    wall: float = field(default_factory=NOON.timestamp)

    def advance(self, seconds: float) -> None:
        self.monotonic += seconds
        self.suspend(seconds)

    def suspend(self, seconds: float) -> None:
        self.boottime += seconds
        self.wall += seconds

    def reboot(self, name: str = "boot-2", *, up: float = 1.0) -> None:
        self.boot, self.monotonic, self.boottime = name, up, up

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.monotonic, lambda: self.boottime, lambda: self.wall, self.boot)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.wall, UTC)


class House(ABC):
    @abstractmethod
    async def open(self) -> SqliteState | MemoryState: ...

    @abstractmethod
    def advance(self, seconds: float) -> None: ...

    @property
    @abstractmethod
    def now(self) -> datetime: ...


class FolderHouse(House):
    def __init__(self, folder: Path, machine: Machine | None = None) -> None:
        self.folder = folder
        self.machine = machine or Machine()

    async def open(self) -> SqliteState:
        return await SqliteState.open(self.folder, clocks=self.machine.clocks())

    def advance(self, seconds: float) -> None:
        self.machine.advance(seconds)

    @property
    def now(self) -> datetime:
        return self.machine.now


class MemoryHouse(House):
    def __init__(self) -> None:
        self.clock = ManualClock(now=50_000.0, utc=NOON)
        self.first = MemoryState(self.clock)

    async def open(self) -> MemoryState:
        return self.first.beside()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @property
    def now(self) -> datetime:
        return self.clock.utc()


def mark(
    outcome: OutcomeName = "ok",
    *,
    token: str = TOKEN,
    question: str = "interactions",
    run: str = RUN,
    at: datetime = NOON,
    ago: float = 0.0,
    rows: int = 3,
    attempts: int = 1,
    kind: str | None = None,
    operation: str = "bogota",
) -> Mark:
    """Return a mark of a call that asked `question` of `token`; its request left `ago` seconds before `at`."""
    failed = outcome in ("failed", "skipped")
    return Mark(
        run=run,
        call=call_id(run, (token, question, operation)),
        tenant="acme",
        operation=operation,
        server="0010",
        token=token,
        question=question,
        outcome=outcome,
        kind=(kind or "timeout") if failed else None,
        message="no answer" if failed else None,
        rows=rows if outcome == "ok" else 0,
        attempts=attempts,
        at=at.timestamp(),
        sent=at.timestamp() - ago,
    )


SECRET = Token("made-up-secret")
"""A token with a text, for calls: `SECRET.id` is its id."""


def planned(
    question: str = "interactions", *, token: Token = SECRET, operation: str = "bogota", server: str = "0010"
) -> Call:
    """Return a call that is about to ask `question` of `token`."""
    return Call(
        f"{token.id} {operation} {question}",
        Operation("acme", operation, server, token),
        question,
        "",
        (("api", question),),
    )
