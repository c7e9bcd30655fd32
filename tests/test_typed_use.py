"""The library as a typed program uses it: what mypy and the tests say about this file, they say to users."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from importlib.resources import files
from types import TracebackType
from typing import Any, Literal, Self, assert_type

import wolkvox_async
from wolkvox_async import (
    Alarm,
    Answer,
    Breakdown,
    Call,
    CallError,
    CallRecord,
    CallResult,
    CallSettled,
    Clock,
    DateRange,
    Engine,
    Event,
    Gathered,
    Hook,
    OpenEngine,
    Operation,
    Options,
    Parts,
    Record,
    Records,
    RowRecord,
    RunRecord,
    Sink,
    Summary,
    Tenants,
    Token,
    TokenSource,
    Transport,
    Turn,
    fetch_all,
    load_tenants,
    open_engine,
)
from wolkvox_async.testing import ok_answer

TENANTS = {
    "tenants": [
        {"name": "acme", "operations": [{"name": "bogota", "server": "0010", "token": Token("made-up-token")}]},
    ]
}


# --- what a service may bring along ---------------------------------------------------------


class MyTurn:
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def attempt(self, call: Call) -> Answer | Breakdown:
        return ok_answer([{"operation": call.operation.name, "items": "12"}])

    def distrust(self) -> None:
        return None


class MyTransport:
    def turn(self, _operation: Operation) -> AbstractAsyncContextManager[Turn]:
        return MyTurn()

    async def close(self) -> None:
        return None


class MyClock:
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def utc(self) -> datetime:
        return datetime(2026, 11, 21, 12, tzinfo=UTC)

    def alarm(self, when: float, ring: Callable[[], None]) -> Alarm:
        return asyncio.get_running_loop().call_at(when, ring)


class MyHook:
    def __init__(self) -> None:
        self.ended: list[str] = []

    def observe(self, event: Event) -> None:
        if isinstance(event, CallSettled):
            assert_type(event.ended, Literal["ok", "empty", "failed", "skipped"])
            self.ended.append(event.call.operation.path)


class MyTokens:
    async def resolve(self, operation: Operation) -> Token | None:
        return operation.token


class MySink:
    def __init__(self) -> None:
        self.lines: list[bytes] = []

    async def write(self, lines: bytes) -> None:
        self.lines += lines.splitlines()


def _as_ports(hook: MyHook, sink: MySink) -> tuple[Transport, Clock, Hook, TokenSource, Sink]:
    return MyTransport(), MyClock(), hook, MyTokens(), sink


# --- what it does with the engine -----------------------------------------------------------


def _figure(record: Record) -> int | float | str | None:
    """Tell the kinds of records apart as types do."""
    if record["type"] == "row":
        assert_type(record, RowRecord)
        return record["items"]
    if record["type"] == "call":
        assert_type(record, CallRecord)
        assert_type(record["outcome"], Literal["ok", "empty", "failed", "skipped"])
        return record["outcome"]
    assert_type(record, RunRecord)
    return record["event"]


async def _call(engine: Engine) -> CallResult:
    result = await engine.call("acme/bogota", "interactions")
    assert_type(result, CallResult)
    assert_type(result.ok, bool)
    assert_type(result.rows, list[Any])
    assert_type(result.error, CallError | None)
    assert_type(result.records, list[RowRecord | CallRecord])
    assert_type(result.at, datetime)
    assert_type(result.due, datetime | None)
    return result


async def _read(engine: Engine) -> CallResult:
    result = await engine.read("acme/bogota", "gamification", dates=DateRange("2026-11-01"), max_age=3600)
    assert_type(result, CallResult)
    return result


async def _fetch(engine: Engine) -> list[int | float | str | None]:
    figures = []
    async with engine.fetch(apis=["interactions"], only=["acme"]) as records:
        assert_type(records, Records)
        async for record in records:
            assert_type(record, RunRecord | RowRecord | CallRecord)
            figures.append(_figure(record))
    return figures


async def _write(engine: Engine, sink: Sink) -> Summary:
    async with engine.fetch() as records:
        summary = await records.write_to(sink)
    assert_type(summary, Summary)
    return summary


async def test_a_typed_program_embeds_the_engine_with_parts_of_its_own() -> None:
    hook, sink = MyHook(), MySink()
    transport, clock, listening, tokens, writing = _as_ports(hook, sink)
    tenants = load_tenants(TENANTS)
    assert_type(tenants, Tenants)
    parts = Parts(transport=transport, clock=clock, hooks=(listening,), tokens=tokens)
    opening = open_engine(tenants, Options(max_in_flight=10, interval=0), parts=parts)
    assert_type(opening, OpenEngine)
    async with opening as engine:
        assert_type(engine, Engine)
        assert (await _call(engine)).rows == [{"operation": "bogota", "items": "12"}]
        assert await _fetch(engine) == ["started", 12, "ok", "finished"]
        summary = await _write(engine, writing)
        assert await _read(engine) is not None
    assert summary.counters.ok == 2
    assert len(sink.lines) == 4 + 2
    assert hook.ended == ["acme/bogota"] * 5


async def test_a_typed_notebook_gathers_a_whole_pass() -> None:
    parts = Parts(transport=MyTransport())
    found = await fetch_all(load_tenants(TENANTS), apis=["interactions"], parts=parts, max_in_flight="auto")
    assert_type(found, Gathered)
    assert_type(found.rows, list[RowRecord])
    assert_type(found.calls, list[CallRecord])
    assert_type(found.missing, list[CallRecord])
    assert_type(found.summary, Summary)
    assert [row["items"] for row in found.rows] == [12]


def test_the_package_says_that_it_is_typed() -> None:
    assert files(wolkvox_async).joinpath("py.typed").is_file()
