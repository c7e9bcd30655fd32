"""`plan --watch` as a person runs it: it calls nothing, and says when, how much, and what cannot be met."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import orjson

from tests.apps.commands import run, written
from wolkvox_async.adapters.state import Survey, TokenState
from wolkvox_async.apps.feasibility import held_in_words
from wolkvox_async.catalog import BILLING
from wolkvox_async.model import ErrorKind, Operation, Token
from wolkvox_async.planning import Subscription, Wanted
from wolkvox_async.ports import Refusal
from wolkvox_async.scheduling.subjects import Subjects
from wolkvox_async.testing import Profile, Simulator

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


async def test_plan_says_what_watching_comes_to_and_calls_nothing(secret_store: Path, tmp_path: Path) -> None:
    async with Simulator(Profile(servers=2, operations=6)) as simulator:
        options = [*written(simulator, secret_store), "--state", str(tmp_path / "state")]
        people, machines = await run("plan", "--watch", *options), await run("plan", "--watch", "--list", *options)
        busy = await run("plan", "--watch", *options, "--interval", "10", "--latency", "6")
        assert simulator.verdict().requests == 0
    assert (people.code, machines.code, busy.code) == (0, 0, 0)
    assert people.out.startswith(b"watching 12 endpoints: 6 operations, 6 tokens, 2 servers\n")
    assert b"calls a minute: least " in people.out
    assert b"cannot be met" not in people.out
    assert busy.out.count(b"cannot be met: ") == 6  # each token has 12 s of calls every 10 s
    assert max(map(len, people.out.decode().splitlines())) <= 80
    rows = machines.records
    assert len(rows) == 12
    assert {row["interval"] for row in rows} == {300.0}
    assert {row["closing"] is None for row in rows if row["api"] == "interactions"} == {False}
    assert all(row["due"].endswith("Z") and row["token"].startswith("tk_") for row in rows)


async def test_plan_says_how_long_a_pass_will_take(secret_store: Path, tmp_path: Path) -> None:
    async with Simulator(Profile(servers=1, operations=3)) as simulator:
        options = [*written(simulator, secret_store), "--state", str(tmp_path / "state"), "--per-server", "2"]
        done = await run("plan", *options, "--latency", "3")
    assert b"about 12.0 s at 3 s a call (--latency), 2 in flight at most\n" in done.out
    assert b"at least 9.0 s at 3 s a call: server " in done.out


async def test_plan_refuses_what_cannot_be_watched_at_all(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=1)) as simulator:
        options = written(simulator, secret_store)
        never = await run("plan", "--watch", *options, "--interval", "0")
        future = await run("plan", *options, "--from", "2199-01-01")
    assert (never.code, never.out) == (2, b"")
    assert "an interval of 0.1 s" in never.err
    assert "Traceback" not in future.err


async def test_licences_that_do_not_suffice_are_said_from_the_tenants_file(secret_store: Path) -> None:
    document = {
        "defaults": {"apis": [endpoint.api for endpoint in BILLING]},
        "tenants": [
            {"name": "acme", "operations": [{"name": "a", "server": "0010", "token": "made-up-token", "licences": 7}]}
        ],
    }
    path = secret_store / "tenants.json"
    path.write_bytes(orjson.dumps(document))
    path.chmod(0o600)
    done = await run("plan", "--watch", "--tenants", str(path), "--state", str(secret_store / "state"))
    said = " ".join(done.out.decode().split())
    assert "cannot be met: acme/a: 7776 calls a day and 26 closing readings, but 7 licences allow 7000" in said
    assert "try: --interval 335, fewer endpoints, or 8 licences" in said
    assert "made-up-token" not in said


def test_operations_whose_tokens_are_refused_are_counted_apart() -> None:
    wanted = tuple(Wanted(endpoint) for endpoint in BILLING[:2])
    found = [Subscription(Operation("acme", name, "0010", Token(f"made-up-{name}")), wanted) for name in "abc"]
    subjects = list(Subjects(300.0).of(found, NOW))
    refusals = {
        found[0].operation.token.id: TokenState(refusal=Refusal(ErrorKind.UNAUTHORIZED, "no such token", 30)),
        found[1].operation.token.id: TokenState(refusal=Refusal(ErrorKind.QUOTA, "TOKEN LIMIT EXCEEDED", 30)),
    }
    assert held_in_words(Survey((), refusals, (), {}, None), subjects) == [
        "for now gaps only (quota), operations: 1: their quota is used up",
        "for now gaps only (held), operations: 1: the vendor refused their tokens (--retry-refused)",
    ]
    assert held_in_words(None, subjects) == []
