"""The vendor of bytes: it does to a connection what its plan says, and writes down what happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import orjson
import pytest

from tests.judging import answers
from tests.judging.facts import (
    Answered,
    Asked,
    Closed,
    Effect,
    Fact,
    Halted,
    Journal,
    Opened,
    Unanswered,
    Unasked,
    read_journal,
    token_id,
)
from tests.judging.manners import AT_ONCE, End, Framing, Manner, Plan, Says
from tests.judging.rules import broken_on_the_wire
from tests.judging.vendor import HOST, Setting, Vendor

F = TypeVar("F", bound=Fact)

TEXT = "c0ffee" * 6
OTHER = "decade" * 6
TOKENS = ((TEXT, 0), (OTHER, 0))


@asynccontextmanager
async def vendor(*script: Manner, otherwise: Manner | None = None, limit: float = 60.0) -> AsyncIterator[Vendor]:
    """Run a vendor whose only server follows `script`."""
    plan = Plan(otherwise or Manner(), scripts={"server:0": script})
    async with Vendor(Setting(TOKENS, limit=limit, plan=plan), Journal()) as running:
        yield running


class Client:
    """One connection, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def ask(self, token: str = TEXT, path: str = "/api/v2/billing.php?api=interactions", more: str = "") -> None:
        """Write a request."""
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nwolkvox-token: {token}\r\n{more}\r\n".encode())

    async def answer(self) -> bytes:
        """Read an answer that says how long it is."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        return await self.reader.readexactly(length)

    async def rest(self) -> bytes | None:
        """Read to the end; None when that is a reset."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return None


@asynccontextmanager
async def client(at: Vendor) -> AsyncIterator[Client]:
    """Connect to the vendor."""
    reader, writer = await asyncio.open_connection(HOST, at.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


def facts(at: Vendor, kind: type[F]) -> list[F]:
    """Return the facts of one kind."""
    return [fact for fact in at.journal.facts if isinstance(fact, kind)]


async def until(come: Callable[[], object]) -> None:
    """Wait until something has come about."""
    while not come():
        await asyncio.sleep(0.001)


async def test_a_request_is_answered_with_rows_that_say_whose_they_are() -> None:
    async with vendor(otherwise=Manner(rows=3)) as at, client(at) as one:
        one.ask()
        rows = orjson.loads(await one.answer())["data"]
        (answered,) = facts(at, Answered)
    token = token_id(TEXT)
    assert [row["description"] for row in rows] == [f"{token}:{answered.answer}:{n}" for n in (1, 2, 3)]
    assert (answered.effect, answered.rows) == (Effect.OK, 3)
    assert TEXT not in repr(at.journal.facts)


async def test_the_journal_tells_connection_request_and_answer_in_their_order() -> None:
    async with vendor() as at:
        async with client(at) as one:
            one.ask(path="/api/v2/billing.php?date_ini=1&api=gamification")
            await one.answer()
        await until(lambda: facts(at, Closed))
    opened, asked, answered, closed = at.journal.facts
    assert isinstance(opened, Opened)
    assert isinstance(asked, Asked)
    assert isinstance(answered, Answered)
    assert isinstance(closed, Closed)
    assert (asked.api, asked.query, asked.token, asked.home) == (
        "gamification",
        "date_ini=1",
        token_id(TEXT),
        at.servers[0],
    )
    assert opened.connection == asked.connection == closed.connection
    assert not closed.begun
    assert opened.at <= asked.began <= asked.at <= answered.began <= answered.at <= closed.at


@pytest.mark.parametrize(
    ("says", "status", "effect"),
    [
        (Says.EMPTY, 200, Effect.EMPTY),
        (Says.REFUSED, 403, Effect.REFUSED),
        (Says.UNAUTHORIZED, 401, Effect.REFUSED),
        (Says.BUSY, 403, Effect.BUSY),
        (Says.QUOTA, 403, Effect.QUOTA),
        (Says.MAINTENANCE, 403, Effect.MAINTENANCE),
        (Says.LIMITED, 429, Effect.ERROR),
        (Says.BROKEN, 500, Effect.ERROR),
        (Says.DOWN, 503, Effect.ERROR),
    ],
)
async def test_it_says_what_the_plan_says(says: Says, status: int, effect: Effect) -> None:
    async with vendor(Manner(says=says)) as at, client(at) as one:
        one.ask()
        said = orjson.loads(await one.answer())
    (answered,) = facts(at, Answered)
    assert (said["code"], answered.status, answered.effect) == (status, status, effect)


@pytest.mark.looptime
async def test_a_token_that_is_in_work_is_turned_away_and_the_rule_sees_it() -> None:
    async with vendor(Manner(latency=9.0)) as at, client(at) as one, client(at) as two:
        one.ask()
        await until(lambda: facts(at, Asked))
        two.ask()
        assert b"SIMULTANEOUS" in await two.answer()
        assert b"Information" in await one.answer()
    assert [found.rule for found in broken_on_the_wire(at.journal.facts, limit=60)] == ["overlap"]


async def abandon(at: Vendor) -> None:
    """Ask, and go away before there is an answer."""
    async with client(at) as one:
        one.ask()
        await until(lambda: facts(at, Asked))
    await until(lambda: facts(at, Unanswered))


async def test_an_abandoned_request_is_worked_on_until_the_limit() -> None:
    async with vendor(Manner(latency=9.0)) as at:
        await abandon(at)
        async with client(at) as two:
            two.ask()
            assert b"SIMULTANEOUS" in await two.answer()
    assert [found.rule for found in broken_on_the_wire(at.journal.facts, limit=60)] == ["overlap"]


async def test_an_abandoned_request_is_worked_on_no_longer_than_the_limit() -> None:
    async with vendor(Manner(latency=9.0), limit=0.05) as at:
        await abandon(at)
        await until(lambda: time.monotonic() > facts(at, Asked)[0].at + 0.05)
        async with client(at) as two:
            two.ask()
            assert b"Information" in await two.answer()
    assert broken_on_the_wire(at.journal.facts, limit=0.05) == []


async def test_a_connection_serves_request_after_request() -> None:
    async with vendor() as at, client(at) as one:
        for _ in range(3):
            one.ask()
            await one.answer()
    assert len(facts(at, Opened)) == 1
    assert len(facts(at, Answered)) == 3
    assert broken_on_the_wire(at.journal.facts, limit=60) == []


@pytest.mark.parametrize("halt", [0, 1, 20, 0.5])
@pytest.mark.parametrize("end", [End.CLOSE, End.RESET])
async def test_an_answer_breaks_off_where_the_plan_says(halt: float, end: End) -> None:
    async with vendor(Manner(halt=halt, end=end)) as at:
        async with client(at) as one:
            one.ask()
            received = await one.rest()
        await until(lambda: facts(at, Closed))
    (unanswered,) = facts(at, Unanswered)
    assert received is None if end is End.RESET else received is not None and len(received) == unanswered.sent
    assert not facts(at, Answered)
    assert unanswered.sent == halt or 0 < halt < 1 < unanswered.sent


@pytest.mark.looptime
async def test_a_pause_in_the_middle_of_an_answer_is_told_and_the_answer_goes_on() -> None:
    async with vendor(Manner(halt=0.5, halt_for=9.0)) as at, client(at) as one:
        one.ask()
        await until(lambda: facts(at, Halted))
        assert not facts(at, Answered)
        assert b"Information" in await one.answer()
    assert len(facts(at, Answered)) == 1


async def test_an_answer_that_is_out_before_it_could_break_off_is_whole() -> None:
    async with vendor(Manner(halt=100_000, end=End.RESET)) as at, client(at) as one:
        one.ask()
        assert b"Information" in await one.answer()
        assert await one.rest() == b""
    assert len(facts(at, Answered)) == 1
    assert not facts(at, Unanswered)


async def test_a_stalled_answer_ends_with_its_client() -> None:
    async with vendor(Manner(halt=0.5, end=End.STALL)) as at:
        async with client(at) as one:
            one.ask()
            await until(lambda: facts(at, Halted))
        await until(lambda: facts(at, Closed))
    assert facts(at, Unanswered)
    assert not facts(at, Answered)


@pytest.mark.parametrize("reads", [0, 1, 40])
async def test_a_request_can_be_cut_at_any_byte(reads: int) -> None:
    async with vendor(Manner(reads=reads, end=End.CLOSE)) as at:
        async with client(at) as one:
            one.ask()
            assert await one.rest() == b""
        await until(lambda: facts(at, Closed))
    assert not facts(at, Asked)
    assert facts(at, Closed)[0].begun


async def test_a_connection_can_be_cut_before_it_says_anything() -> None:
    async with vendor(Manner(reads=AT_ONCE, end=End.RESET)) as at:
        async with client(at) as one:
            assert await one.rest() is None
        await until(lambda: facts(at, Closed))
    assert not facts(at, Asked)
    assert not facts(at, Closed)[0].begun


async def test_a_request_into_a_closed_connection_is_seen() -> None:
    async with vendor(Manner(end=End.CLOSE)) as at:
        async with client(at) as one:
            one.ask()
            await one.answer()
            one.ask()
            assert await one.rest() == b""
            await until(lambda: _has_heard(at))
        await until(lambda: facts(at, Closed))
    assert len(facts(at, Asked)) == 1
    assert facts(at, Closed)[0].begun


def _has_heard(at: Vendor) -> bool:
    return any(connection._cut_short for connection in at._connections)


async def test_a_script_is_followed_once_and_then_chance_decides() -> None:
    plan = Plan(Manner(says=Says.EMPTY), ((1.0, Manner(says=Says.DOWN)),), {"token:1": (Manner(says=Says.QUOTA),)})
    async with Vendor(Setting(TOKENS, plan=plan), Journal()) as at, client(at) as one, client(at) as two:
        for _ in range(2):
            one.ask(OTHER)
            await one.answer()
        two.ask()
        await two.answer()
    assert [fact.effect for fact in facts(at, Answered)] == [Effect.QUOTA, Effect.ERROR, Effect.ERROR]


async def test_an_answer_nobody_asked_for_is_told_as_one() -> None:
    async with vendor(Manner(unasked=0.0)) as at, client(at) as one:
        one.ask()
        assert orjson.loads(await one.answer())["data"] != orjson.loads(await one.answer())["data"]
        (unasked,) = facts(at, Unasked)
    assert (unasked.token, unasked.rows) == (token_id(TEXT), 2)
    assert len(facts(at, Answered)) == 1


async def test_servers_can_be_told_apart_by_path() -> None:
    setting = Setting(((TEXT, 1),), servers=2, by_path=True)
    async with Vendor(setting, Journal()) as at, client(at) as one:
        for server in ("0001", "0000"):
            one.ask(path=f"/{server}/api/v2/billing.php?api=vision")
            await one.answer()
    assert [(fact.server, fact.home) for fact in facts(at, Asked)] == [("0001", "0001"), ("0000", "0001")]
    assert [found.rule for found in broken_on_the_wire(at.journal.facts, limit=60)] == ["misplaced token"]


async def test_a_closed_port_refuses() -> None:
    async with Vendor(Setting(TOKENS, closed=1), Journal()) as at:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, int(at.closed[0]))


@pytest.mark.parametrize(
    ("path", "more", "stray"),
    [
        (f"/api/v2/billing.php?api=x&token={TEXT}", "", "address"),
        ("/api/v2/billing.php?api=x", f"Cookie: {TEXT}\r\n", "header cookie"),
        ("/api/v2/billing.php?api=x", f"Content-Length: {len(TEXT)}\r\n", "body"),
        ("/api/v2/billing.php?api=x", f"wolkvox-token: {TEXT}\r\n", "a second header"),
    ],
)
async def test_a_token_anywhere_else_is_seen_and_not_written_down(path: str, more: str, stray: str) -> None:
    async with vendor() as at, client(at) as one:
        one.ask(path=path, more=more)
        if stray == "body":
            one.writer.write(TEXT.encode())
        await one.answer()
    (asked,) = facts(at, Asked)
    assert asked.strays == (stray,)
    assert TEXT not in repr(at.journal.facts)


@pytest.mark.parametrize("framing", Framing)
def test_only_sound_framing_counts_as_an_answer(framing: Framing) -> None:
    composed = answers.compose(replace(Manner(), framing=framing), "tk_x", 1)
    is_sound = framing in {Framing.LENGTH, Framing.CHUNKED, Framing.UNTIL_CLOSE}
    assert (composed.effect is Effect.OK) == is_sound
    assert composed.data.startswith(b"HTTP/1.1 200 ")


def test_a_journal_in_a_file_reads_back_as_it_was(tmp_path: Path) -> None:
    written = Journal(tmp_path / "journal")
    told: list[Fact] = [
        Opened(0.5, 1, 80),
        Asked(1.0, 1, 2, 0.9, "s", "tk_x", "s", "api", "q=1", ("body",)),
        Halted(1.1, 2, 7),
        Answered(1.2, 2, 1.1, 200, Effect.OK, 3, 1),
        Unanswered(1.3, 4, 5),
        Unasked(1.4, 1, "tk_x", 6, 2),
        Closed(1.5, 1, begun=True),
    ]
    for fact in told:
        written.note(fact)
    written.close()
    assert read_journal(tmp_path / "journal") == told
