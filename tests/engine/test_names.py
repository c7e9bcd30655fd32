"""Answers on connections that serve any token: whose they are is told by the names in their rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.engine.stage import EMPTY, Ear, LoopWall, Stage, ends, outcomes, read_all, subscription
from wolkvox_async.adapters.state import MemoryState, SqliteState
from wolkvox_async.model import Answer, Breakdown, Call, Operation
from wolkvox_async.ports import Clock, State
from wolkvox_async.records import Record
from wolkvox_async.scheduling.retry import RetryPolicy
from wolkvox_async.testing import ScriptedTransport, ok_answer
from wolkvox_async.testing.scripted import Script, ScriptedTurn

ACME, GLOBEX = "acme/bogota", "globex/lima"
NAMES = {ACME: "ACME BOG", GLOBEX: "GLOBEX LIM"}
BOTH = [subscription(ACME), subscription(GLOBEX)]


class OneConnection(ScriptedTransport):
    """Every turn uses the same connection, until it is distrusted; then there is another."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.has_answered = False

    def turn(self, operation: Operation) -> ScriptedTurn:
        self.turns.append(operation)
        return SharedTurn(self, operation)


class SharedTurn(ScriptedTurn):
    def __init__(self, transport: OneConnection, operation: Operation) -> None:
        super().__init__(transport, operation)
        self._shared = transport

    async def attempt(self, call: Call) -> Answer | Breakdown:
        met = await super().attempt(call)
        if not isinstance(met, Answer):
            self._shared.has_answered = False
            return met
        kept, self._shared.has_answered = self._shared.has_answered, True
        return replace(met, kept=kept)

    def distrust(self) -> None:
        super().distrust()
        self._shared.has_answered = False


def named(name: str) -> Answer:
    return ok_answer([{"operation": name, "items": "1"}, {"operation": "TOTAL", "items": "1"}])


def as_known(call: Call, _number: int) -> Answer:
    return named(NAMES[call.operation.path])


@dataclass
class Vendor:
    """Answers as it should, but for what is `said` instead: once, when the operation is next called."""

    said: dict[str, Answer] = field(default_factory=dict)

    def __call__(self, call: Call, number: int) -> Answer:
        return self.said.pop(call.operation.path, None) or as_known(call, number)


def stage_of(
    script: Callable[[Call, int], Answer] = as_known, *, state: State | None = None, max_attempts: int = 4
) -> SharedStage:
    """Return a stage on which two tenants share one connection."""
    retry = RetryPolicy(max_attempts=max_attempts)
    return SharedStage(BOTH, script, state=state, shared=True, retry=retry, jitter=0.0)


class SharedStage(Stage):
    def __post_init__(self) -> None:
        self.ear = Ear()
        self.scripted = self.connection = OneConnection(self.script)


def rows(records: list[Record]) -> list[tuple[str, str]]:
    """Return of every row what the file calls its operation, and what the vendor does, but for totals."""
    found = [
        (f"{record['tenant']}/{record['operation']}", record["row"]["operation"])
        for record in records
        if record["type"] == "row"
    ]
    return sorted((path, name) for path, name in found if name != "TOTAL")


RIGHT = sorted(NAMES.items())


# --- refused


@pytest.mark.looptime
async def test_anothers_answer_is_refused_and_asked_for_again_over_a_new_connection() -> None:
    vendor = Vendor()
    stage = stage_of(vendor)
    async with stage.engine() as engine:
        assert rows(await read_all(engine)) == RIGHT
        vendor.said[GLOBEX] = named("ACME BOG")
        began = asyncio.get_running_loop().time()
        records = await read_all(engine)
        took = asyncio.get_running_loop().time() - began
    assert (outcomes(records), rows(records)) == ({"ok": 2}, RIGHT)
    assert {end["tenant"]: end["attempts"] for end in ends(records)} == {"acme": 1, "globex": 2}
    assert [operation.path for operation in stage.connection.distrusted] == [GLOBEX]
    assert took == 60, "the true answer may still be on its way"


@pytest.mark.looptime
@pytest.mark.parametrize("unasked", NAMES.values())
async def test_on_a_connection_that_is_one_answer_behind_no_row_stands_under_another_tenant(unasked: str) -> None:
    under_way: list[str] = []

    def script(call: Call, _number: int) -> Answer:
        if not stage.connection.has_answered:
            under_way.clear()
        under_way.append(NAMES[call.operation.path])
        return named(under_way.pop(0))

    stage = stage_of(script)
    async with stage.engine() as engine:
        for _ in range(5):
            assert rows(await read_all(engine)) == RIGHT
            under_way.append(unasked)
    assert len(stage.connection.distrusted) == 4


async def test_without_attempts_left_it_is_a_failure_that_holds_no_rows() -> None:
    vendor = Vendor()
    stage = stage_of(vendor, max_attempts=1)
    async with stage.engine() as engine:
        await read_all(engine)
        vendor.said[GLOBEX] = named("ACME BOG")
        records = await read_all(engine)
    assert outcomes(records) == {"ok": 1, "failed protocol": 1}
    assert rows(records) == [(ACME, "ACME BOG")]
    (message,) = [end["error"]["message"] for end in ends(records) if end["error"] is not None]
    assert "names an operation of another token" in message
    assert not any(name in message for name in NAMES.values())


# --- believed


async def test_where_connections_are_not_shared_nothing_is_remembered_and_nothing_refused() -> None:
    vendor, state = Vendor(), Noting(LoopWall())
    stage = stage_of(vendor, state=state)
    stage.shared = False
    async with stage.engine() as engine:
        await read_all(engine)
        vendor.said[GLOBEX] = named("ACME BOG")
        assert outcomes(await read_all(engine)) == {"ok": 2}
    assert (stage.connection.distrusted, state.noted) == ([], [])


async def test_a_fresh_connection_is_believed_and_its_name_is_the_tokens_from_then_on() -> None:
    vendor = Vendor()
    stage = stage_of(vendor)
    async with stage.engine() as engine:
        await read_all(engine)
        stage.connection.has_answered = False
        for _ in range(2):
            vendor.said[ACME] = named("GLOBEX LIM")
            assert rows(await read_all(engine, only=["acme"])) == [(ACME, "GLOBEX LIM")]
    assert not stage.connection.distrusted


async def test_two_tokens_of_one_vendor_operation_are_both_believed() -> None:
    stage = stage_of(lambda _call, _number: named("ACME BOG"))
    async with stage.engine() as engine:
        for _ in range(3):
            assert outcomes(await read_all(engine)) == {"ok": 2}
    assert not stage.connection.distrusted


async def test_an_empty_answer_proves_nothing() -> None:
    vendor = Vendor()
    stage = stage_of(vendor)
    async with stage.engine() as engine:
        await read_all(engine)
        vendor.said = {ACME: EMPTY, GLOBEX: ok_answer([{"operation": "TOTAL", "items": "1"}])}
        assert outcomes(await read_all(engine)) == {"ok": 1, "empty": 1}
    assert not stage.connection.distrusted


async def test_a_name_that_is_known_costs_no_write() -> None:
    state = Noting(LoopWall())
    async with stage_of(state=state).engine() as engine:
        for _ in range(3):
            assert rows(await read_all(engine)) == RIGHT
    assert sorted(state.noted) == sorted(subscription.operation.token.id for subscription in BOTH)


class Noting(MemoryState):
    """A state that keeps whose names were noted."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.noted: list[str] = []

    def name(self, token: str, names: Collection[int]) -> None:
        self.noted.append(token)
        super().name(token, names)


# --- remembered


async def test_names_are_known_to_the_next_process_on_the_folder(tmp_path: Path) -> None:
    async with await SqliteState.open(tmp_path) as state, stage_of(state=state).engine() as engine:
        assert rows(await read_all(engine)) == RIGHT
    async with await SqliteState.open(tmp_path) as state:
        stage = stage_of(Vendor({GLOBEX: named("ACME BOG")}), state=state, max_attempts=1)
        stage.jitter = None  # or the second run had the id of the first
        async with stage.engine() as engine:
            records = await read_all(engine)
    assert outcomes(records) == {"ok": 1, "failed protocol": 1}
    assert [operation.path for operation in stage.connection.distrusted] == [GLOBEX]
