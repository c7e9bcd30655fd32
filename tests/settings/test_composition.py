"""From a tenants file and options to an open engine, with whatever a service brings along."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.engine.stage import (
    BROKEN,
    BUSY,
    GOOD,
    REFUSED,
    Ear,
    LoopWall,
    Rotation,
    left,
    outcomes,
    read_all,
    settle_down,
    soon_only,
)
from tests.settings.samples import TOKEN, operation, tenants, write
from wolkvox_async import (
    ConfigurationError,
    Options,
    Parts,
    Tenants,
    Token,
    UsageError,
    WolkvoxError,
    load_tenants,
    open_engine,
)
from wolkvox_async.model import Answer, Call, ErrorKind, Operation
from wolkvox_async.settings.changes import Changes
from wolkvox_async.testing import FAULTS, Fixed, ManualClock, Profile, ScriptedTransport, Simulator

GOOD_TOKEN = {"token": Token("a-token-of-nobody")}


def one(**changes: Any) -> Tenants:
    """Return a description with one operation, `acme/bogota`."""
    return load_tenants(tenants(operation(**{**GOOD_TOKEN, **changes})))


def scripted(answer: Answer = GOOD) -> ScriptedTransport:
    return ScriptedTransport(lambda _call, _n: answer)


# --- tokens -------------------------------------------------------------------------------


async def test_token_references_are_resolved_before_the_block_begins(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("token-from-a-file\n")
    described = load_tenants(
        write(
            tmp_path,
            tenants(
                operation(name="a", token={"env": "A_TOKEN"}),
                operation(name="b", token={"file": "token"}),
                operation(name="c", token={"command": ["echo", "token-from-a-command"]}),
            ),
        )
    )
    parts = Parts(scripted(), environment={"A_TOKEN": "token-from-the-environment", "PATH": "/usr/bin:/bin"})
    async with open_engine(described, parts=parts) as engine:
        found = [operation.token for operation in engine.operations()]
    assert found == [Token(f"token-from-{place}") for place in ("the-environment", "a-file", "a-command")]


async def test_every_reference_that_gives_no_token_is_said_at_once(tmp_path: Path) -> None:
    described = load_tenants(
        write(
            tmp_path,
            tenants(
                operation(name="a", token={"env": "NOT_SET"}),
                operation(name="b", token={"file": "nowhere"}),
                operation(name="c", token={"command": ["false"]}),
            ),
        )
    )
    transport = scripted()
    with pytest.raises(ConfigurationError) as caught:
        async with open_engine(described, parts=Parts(transport, environment={"PATH": "/usr/bin:/bin"})):
            raise AssertionError("the block was entered")
    messages = [mistake.message for mistake in caught.value.mistakes]
    assert [message.split(" ")[:3] for message in messages] == [
        ["the", "environment", "variable"],
        ["the", "file", "nowhere"],
        ["the", "command", "false"],
    ]
    assert all(mistake.line for mistake in caught.value.mistakes)
    assert not transport.calls


async def test_servers_that_do_not_go_with_the_base_url_are_said() -> None:
    described = one(server="not-four-digits")
    async with open_engine(described, parts=Parts(scripted()), base_url="http://localhost/{server}"):
        pass
    with pytest.raises(ConfigurationError, match="not-four-digits"):
        async with open_engine(described, parts=Parts(scripted())):
            raise AssertionError("the block was entered")


async def test_one_token_under_two_entries_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    described = load_tenants(tenants(*[operation(name=name, **GOOD_TOKEN) for name in ("a", "b", "c")]))
    async with open_engine(described, parts=Parts(scripted())):
        pass
    said = [record.getMessage() for record in caplog.records if "same token" in record.getMessage()]
    assert len(said) == 1
    assert Token("a-token-of-nobody").id in said[0]


async def test_warnings_of_the_tenants_file_and_exposed_token_files_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "token").write_text("token-from-a-file\n")
    (tmp_path / "token").chmod(0o644)
    described = load_tenants(
        write(tmp_path, tenants(operation(name="a", token=TOKEN), operation(name="b", token={"file": "token"})))
    )
    async with open_engine(described, parts=Parts(scripted())):
        pass
    said = [str(record.msg) for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 2
    assert "a token stands in this file as text" in said[0]
    assert "chmod 600" in said[1]
    assert TOKEN not in caplog.text


async def test_a_refused_token_is_looked_up_again_where_its_reference_points() -> None:
    environment = {"ACME_TOKEN": "the-first-token"}
    described = load_tenants(tenants(operation(apis=["interactions", "vision"])))
    transport = ScriptedTransport(
        lambda call, _n: REFUSED if call.operation.token == Token("the-first-token") else GOOD
    )
    async with open_engine(described, parts=Parts(transport, environment=environment)) as engine:
        environment["ACME_TOKEN"] = "the-second-token"
        assert outcomes(await read_all(engine)) == {"ok": 2}
        environment["ACME_TOKEN"] = ""
    assert [call.operation.token for call in transport.calls] == [
        Token("the-first-token"),
        *[Token("the-second-token")] * 2,
    ]


async def test_a_service_may_bring_its_own_token_source() -> None:
    rotation = Rotation({"acme/bogota": ["new"]})
    transport = ScriptedTransport(lambda call, _n: REFUSED if call.operation.token == GOOD_TOKEN["token"] else GOOD)
    async with open_engine(one(), parts=Parts(transport, tokens=rotation)) as engine:
        assert (await engine.call("acme/bogota", "vision")).attempts == 2
    assert rotation.asked == ["acme/bogota"]


async def test_a_token_source_that_fails_is_reported_and_costs_the_refused_call_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing:
        async def resolve(self, operation: Operation) -> Token | None:
            raise LookupError(operation.token.reveal())

    async with open_engine(one(), parts=Parts(scripted(REFUSED), tokens=Failing())) as engine:
        result = await engine.call("acme/bogota", "vision")
    assert result.error is not None
    assert result.error.kind == ErrorKind.FORBIDDEN
    assert "the token source failed" in caplog.text
    assert "LookupError" in caplog.text
    assert "a-token-of-nobody" not in caplog.text


# --- options ------------------------------------------------------------------------------


async def test_options_may_be_given_one_by_one_or_as_a_value_or_both() -> None:
    one_by_one: Changes = {"max_attempts": 2, "backoff": 0.0}
    for options, changes in ((Options(max_attempts=2, backoff=0), Changes()), (None, one_by_one)):
        async with open_engine(one(), options, parts=Parts(scripted(BROKEN)), **changes) as engine:
            assert (await engine.call("acme/bogota", "vision")).attempts == 2
    async with open_engine(one(), Options(max_attempts=9), parts=Parts(scripted(BROKEN)), max_attempts=1) as engine:
        assert (await engine.call("acme/bogota", "vision")).attempts == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"max_in_flight": 0},
        {"timeout": 0},
        {"base_url": "http://example.com"},
        {"after_failure": "cry"},
        {"backoff": -1},
    ],
)
def test_a_wrong_option_is_said_before_anything_is_opened(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(changes)).replace("_", "-")):
        open_engine(one(), **changes)


def test_an_option_that_does_not_exist_is_a_mistake_in_the_code() -> None:
    with pytest.raises(TypeError, match="no option 'max_in_flihgt': did you mean 'max_in_flight'"):
        open_engine(one(), max_in_flihgt=3)  # type: ignore[call-arg]


def test_type_checkers_know_every_option_that_may_be_given_by_itself() -> None:
    known = {name: hint.__forward_arg__ for name, hint in Changes.__annotations__.items()}
    assert known == {option.name: option.type for option in fields(Options)}
    assert Changes.__required_keys__ == frozenset()


def test_the_name_of_a_file_is_no_tenants() -> None:
    with pytest.raises(TypeError, match=r"open_engine\(load_tenants\(...\)\)"):
        open_engine("tenants.json")  # type: ignore[arg-type]


async def _of_the_limits(changes: dict[str, Any], script: Callable[[Call, int], Any], **more: Any) -> tuple[Any, float]:
    described = load_tenants(
        tenants(
            *[
                operation(name=f"op{n}", server=f"{n % 2:04}", token=Token(f"made-up-{n}"), apis=["vision", "nlp_ai"])
                for n in range(6)
            ]
        )
    )
    transport = ScriptedTransport(script)
    began = asyncio.get_running_loop().time()
    parts = Parts(transport, clock=LoopWall(), chance=itertools.repeat(0.5).__next__)
    async with open_engine(described, parts=parts, **changes, **more) as engine:
        records = await read_all(engine)
    return (records, transport), asyncio.get_running_loop().time() - began


async def _slow(_call: Call, _number: int) -> Answer:
    await asyncio.sleep(1)
    return GOOD


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("changes", "seconds"),
    [({}, 2), ({"max_in_flight": 2}, 6), ({"per_server": 1}, 6), ({"token_gap": 10.0}, 12), ({"per_server": 2}, 4)],
)
async def test_the_limits_reach_the_scheduler(changes: dict[str, Any], seconds: float) -> None:
    (records, transport), took = await _of_the_limits(changes, _slow)
    assert outcomes(records) == {"ok": 12}
    assert took == pytest.approx(seconds)
    assert transport.overlaps == 0


@pytest.mark.looptime
async def test_the_policy_of_retries_reaches_the_scheduler() -> None:
    (records, _), took = await _of_the_limits({"max_attempts": 3, "backoff": 8.0}, lambda _call, _n: BROKEN)
    assert outcomes(records) == {"failed server_error": 6, "skipped held": 6}
    assert took == pytest.approx(4 + 8)
    (records, _), took = await _of_the_limits({"patience": 50.0}, lambda _call, _n: BUSY)
    assert outcomes(records) == {"failed token_busy": 6, "skipped held": 6}
    assert took == pytest.approx(50, abs=0.01)
    (records, _), took = await _of_the_limits({"after_failure": "continue", "max_attempts": 1}, lambda _c, _n: BROKEN)
    assert outcomes(records) == {"failed server_error": 12}


@pytest.mark.looptime
async def test_timeout_and_server_limit_reach_transport_and_engine() -> None:
    profile = Profile(servers=1, operations=1, faults={"0": (FAULTS["hang"], None)}, apis=("vision",), limit=20)
    async with Simulator(profile) as vendor:
        described = load_tenants(vendor.tenants_document())
        parts = Parts(environment=vendor.environment())
        options = Options(base_url=vendor.base_url, timeout=7, server_limit=20, backoff=0)
        async with open_engine(described, options, parts=parts) as engine:
            result = await engine.call(vendor.operations[0].path, "vision")
        assert vendor.verdict().ok, vendor.verdict()
    assert (result.ok, result.attempts) == (True, 2)
    assert asyncio.get_running_loop().time() == pytest.approx(20, abs=0.1)


async def test_max_body_reaches_the_transport() -> None:
    async with Simulator(Profile(servers=1, operations=1, rows=100, interval=0)) as vendor:
        for limit, kind in ((500, ErrorKind.TOO_LARGE), (100_000, None)):
            parts = Parts(environment=vendor.environment())
            described = load_tenants(vendor.tenants_document())
            async with open_engine(described, parts=parts, base_url=vendor.base_url, max_body=limit) as engine:
                result = await engine.call(vendor.operations[0].path, "vision")
            assert (result.error.kind if result.error else None) == kind


@pytest.mark.parametrize(
    ("content", "says"), [(None, "no such file"), ("no certificate", "certificate|cannot be read")]
)
async def test_a_ca_file_that_cannot_be_used_is_a_mistake(content: str | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=says) as caught:
        async with open_engine(one(), ca_file=str(path)):
            raise AssertionError("the block was entered")
    assert "--ca-file" in str(caught.value)


# --- proxies ------------------------------------------------------------------------------


async def _through_whatever(vendor: Simulator, **options: Any) -> str:
    described, parts = load_tenants(vendor.tenants_document()), Parts(environment=vendor.environment())
    async with open_engine(described, parts=parts, base_url=vendor.base_url, max_attempts=1, **options) as engine:
        result = await engine.call(vendor.operations[0].path, "vision")
    return result.outcome if result.error is None else result.error.message


async def test_the_environments_proxy_is_used_only_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Simulator(Profile(servers=1, operations=1, interval=0)) as vendor:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        assert await _through_whatever(vendor) == "ok"
        assert "the proxy cannot be reached" in await _through_whatever(vendor, proxy="env")
        assert "the proxy cannot be reached" in await _through_whatever(vendor, proxy="http://127.0.0.1:1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert await _through_whatever(vendor, proxy="env") == "ok"
        monkeypatch.delenv("http_proxy")
        monkeypatch.delenv("no_proxy")
        assert await _through_whatever(vendor, proxy="env") == "ok"


# --- what a service brings along ----------------------------------------------------------


async def test_a_connector_stays_its_owners() -> None:
    connects = Counter[str]()

    class Counting(aiohttp.TCPConnector):
        async def connect(self, *given: Any, **more: Any) -> Any:
            connects["all"] += 1
            return await super().connect(*given, **more)

    async with Simulator(Profile(servers=2, operations=4, interval=0)) as vendor:
        async with Counting(limit=0, force_close=True) as connector:
            parts = Parts(connector=connector, environment=vendor.environment())
            for _ in range(2):
                described = load_tenants(vendor.tenants_document())
                async with open_engine(described, parts=parts, base_url=vendor.base_url) as engine:
                    assert outcomes(await read_all(engine)) == {"ok": 8}
                assert not connector.closed
            assert connects.total() == 8
        assert vendor.verdict().ok


async def test_a_transport_is_closed_with_the_engine() -> None:
    transport = scripted()
    async with open_engine(one(), parts=Parts(transport)):
        assert not transport.closed
    assert transport.closed


async def test_a_clock_and_chance_of_ones_own_are_used() -> None:
    clock, drawn = ManualClock(), list[float]()

    def chance() -> float:
        drawn.append(0.25)
        return 0.25

    async with open_engine(one(), parts=Parts(scripted(BROKEN), clock=clock, chance=chance), backoff=8.0) as engine:
        call = asyncio.create_task(engine.call("acme/bogota", "vision"))
        attempts = []
        for seconds in (0, 1.9, 0.2, 3.8, 0.2, 7.8, 0.3):
            clock.advance(seconds)
            await settle_down()
            attempts.append(call.done())
        assert (await call).attempts == 4
    assert attempts == [False] * 6 + [True]
    assert drawn


async def test_hooks_hear_what_happens_and_one_that_raises_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    class Raising:
        def observe(self, _event: object) -> None:
            raise ValueError

    ear = Ear()
    async with open_engine(one(), parts=Parts(scripted(), hooks=(Raising(), ear))) as engine:
        for _ in range(3):
            await engine.call("acme/bogota", "vision")
    assert len(ear.settled) == 3
    assert caplog.text.count("a hook failed and is left out") == 1


async def test_a_busy_token_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    async with open_engine(one(), parts=Parts(scripted(BUSY), clock=(clock := ManualClock()))) as engine:
        call = asyncio.create_task(engine.call("acme/bogota", "vision"))
        for _ in range(20):
            await settle_down(5)
            clock.advance(60)
        assert not (await call).ok
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "somebody else is using this token" in str(warnings[0].msg)


async def test_no_call_makes_a_line_of_the_log_at_info(caplog: pytest.LogCaptureFixture) -> None:
    async with open_engine(one(), parts=Parts(scripted())) as engine:
        for _ in range(20):
            await read_all(engine)
    assert [record for record in caplog.records if record.name.startswith("wolkvox_async")] == []


# --- the block ----------------------------------------------------------------------------


async def test_an_engine_is_opened_once() -> None:
    opening = open_engine(one(), parts=Parts(scripted()))
    async with opening as engine:
        with pytest.raises(UsageError, match="entered once"):
            await opening.__aenter__()
        assert (await engine.call("acme/bogota", "vision")).ok
    with pytest.raises(UsageError, match="entered once"):
        async with opening:
            raise AssertionError("the block was entered")


async def test_mistakes_are_errors_of_the_library() -> None:
    assert issubclass(ConfigurationError, WolkvoxError)
    with pytest.raises(WolkvoxError):
        async with open_engine(load_tenants(tenants(operation(token={"env": "NOT_SET"}))), parts=Parts(environment={})):
            raise AssertionError("the block was entered")


@pytest.mark.parametrize("steps", [0, 1, 3, 10, 30, 100])
async def test_cancelled_while_it_opens_it_leaves_nothing(steps: int) -> None:
    before = left()
    described = load_tenants(tenants(operation(token={"command": ["sleep", "30"]})))

    async def use() -> None:
        async with open_engine(described):
            raise AssertionError("the block was entered")

    opening = asyncio.create_task(use())
    await settle_down(steps)
    opening.cancel()
    await asyncio.wait([opening])
    assert opening.cancelled()
    assert await soon_only(before)


async def test_what_is_raised_in_the_block_comes_out_as_it_is() -> None:
    before = left()
    error = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        async with open_engine(one(), parts=Parts(scripted())):
            raise error
    assert caught.value is error
    assert left() == before


async def test_two_engines_do_not_know_each_other() -> None:
    async with Simulator(Profile(servers=2, operations=6, latency=Fixed(0.001), interval=0)) as vendor:
        half = vendor.tenants_document()["tenants"]
        described = [load_tenants({"tenants": part}) for part in (half[:1], half[1:])]
        parts = Parts(environment=vendor.environment())
        async with (
            open_engine(described[0], parts=parts, base_url=vendor.base_url, interval=0) as first,
            open_engine(described[1], parts=parts, base_url=vendor.base_url, interval=0) as second,
        ):
            seen = await asyncio.gather(read_all(first), read_all(second), read_all(first), read_all(second))
        assert vendor.verdict().ok, vendor.verdict()
    assert sum((outcomes(records) for records in seen), Counter()) == {"ok": 24}
