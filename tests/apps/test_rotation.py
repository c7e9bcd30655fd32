"""Tokens that are exchanged while programs run: no restart, no overlap, and the text nowhere."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.apps.commands import command, run, written
from tests.apps.joined.lab import lab
from tests.canary import leaks_in_files
from tests.plugin_packages import install
from tests.volumes import Volume
from wolkvox_async.apps.rotation import CurrentReferences
from wolkvox_async.model import ErrorKind, GapReason, Operation, Slot, Token
from wolkvox_async.ports import SlotMissed, TokenClosed
from wolkvox_async.settings.tenants import load_tenants
from wolkvox_async.testing import FAULTS, Profile, Simulator

PROFILE = Profile(servers=1, operations=2, apis=("interactions",), interval=1)
OPTIONS = ("--interval", "1", "--no-progress", "--log-level", "info", "--log-format", "json", "--listen", "off")
OLD, NEW = Token("the-old-token"), Token("the-new-token")
HOUR = 3600.0


# --- what a watch does while a token is refused ---------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "acme").write_text(OLD.reveal())
    return tmp_path


def references(store: Path) -> CurrentReferences:
    operation = {"name": "bogota", "server": "0010", "token": {"secret": "acme"}}
    tenants = load_tenants({"tenants": [{"name": "acme", "operations": [operation]}]}, secrets_dir=store)
    return CurrentReferences(tenants, ask_every=30, look_every=2)


def operation(token: Token = OLD) -> Operation:
    return Operation("acme", "bogota", "0010", token)


class Reading:
    """Counts how often it is asked for."""

    def __init__(self) -> None:
        self.times = 0

    def ask(self) -> None:
        self.times += 1


@pytest.fixture
def reading() -> Reading:
    return Reading()


async def after(seconds: float, reading: Reading, looking: Callable[[Callable[[], None]], Any]) -> int:
    """Return how often it was asked for within so many seconds."""
    before = reading.times
    task = asyncio.create_task(looking(reading.ask))
    await asyncio.sleep(seconds)
    task.cancel()
    return reading.times - before


def closed(kind: ErrorKind = ErrorKind.FORBIDDEN, token: Token = OLD) -> TokenClosed:
    return TokenClosed(operation(token), kind, HOUR)


def missed(reason: GapReason) -> SlotMissed:
    return SlotMissed(operation(), "interactions", Slot(0, 0), reason)


@pytest.mark.looptime
async def test_a_refused_tokens_reference_is_asked_again_until_it_gives_another(store: Path, reading: Reading) -> None:
    current = references(store)
    current.observe(closed())
    assert await after(100, reading, current.look_for_others) == 0
    (store / "acme").write_text(NEW.reveal())
    assert await after(31, reading, current.look_for_others) == 1
    assert await after(100, reading, current.look_for_others) == 0, "once for each token that it gives"
    (store / "acme").write_text("a-third-token")
    assert await after(31, reading, current.look_for_others) == 1


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("event", "times"),
    [
        (closed(ErrorKind.UNAUTHORIZED), 1),
        (missed(GapReason.HELD), 1),
        (closed(ErrorKind.QUOTA), 0),
        (missed(GapReason.DOWN), 0),
    ],
)
async def test_only_refusals_have_references_asked_again(
    store: Path, reading: Reading, event: TokenClosed | SlotMissed, times: int
) -> None:
    current = references(store)
    (store / "acme").write_text(NEW.reveal())
    current.observe(event)
    assert await after(31, reading, current.look_for_others) == times


@pytest.mark.looptime
async def test_what_answers_again_or_is_gone_is_asked_no_more(store: Path, reading: Reading) -> None:
    current = references(store)
    (store / "acme").write_text(NEW.reveal())
    current.observe(closed())
    current.replace(
        load_tenants(
            {"tenants": [{"name": "globex", "operations": [{"name": "main", "server": "0010", "token": {"env": "X"}}]}]}
        )
    )
    assert await after(31, reading, current.look_for_others) == 0
    assert await current.resolve(operation()) is None


@pytest.mark.looptime
async def test_a_file_that_changed_is_taken_once_it_stays_as_it_is(store: Path, reading: Reading) -> None:
    current = references(store)
    assert await after(10, reading, current.look_at_files) == 0
    task = asyncio.create_task(current.look_at_files(reading.ask))
    await asyncio.sleep(1)
    for length in range(8, 13):
        (store / "acme").write_text("x" * length)
        await asyncio.sleep(2)
        assert reading.times == 0, "it is still being written"
    await asyncio.sleep(4)
    assert reading.times == 1
    (store / "acme").unlink()
    await asyncio.sleep(20)
    assert reading.times == 1, "what is gone may be on its way"
    (store / "acme").write_text(NEW.reveal())
    await asyncio.sleep(6)
    assert reading.times == 2
    task.cancel()


# --- as programs --------------------------------------------------------------------------


def told(simulator: Simulator, folder: Path) -> tuple[Volume, list[str]]:
    """Write a tenants file with the first operation alone, whose token is in a volume of secrets."""
    volume = Volume(folder / "secrets")
    volume.show({"acme": simulator.operations[0].token.reveal()})
    first = simulator.operations[0]
    named = {"name": first.name, "server": first.server, "token": {"secret": "acme"}}
    document = {
        "defaults": {"apis": ["interactions"], "secrets_dir": "secrets"},
        "tenants": [{"name": first.tenant, "operations": [named]}],
    }
    (folder / "tenants.json").write_bytes(orjson.dumps(document))
    return volume, ["--tenants", str(folder / "tenants.json"), "--base-url", simulator.base_url]


def calls(output: Path) -> list[dict[str, Any]]:
    text = output.read_bytes() if output.exists() else b""
    records = [orjson.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]
    return [record for record in records if record["type"] == "call"]


async def until(output: Path, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    async with asyncio.timeout(60):
        while not condition(found := calls(output)):
            await asyncio.sleep(0.02)
    return found


@pytest.mark.parametrize("order", ["stored first", "refused first"])
async def test_a_running_watch_takes_the_new_token_whichever_comes_first(
    order: str, secret_store: Path, tmp_path: Path
) -> None:
    output, log = tmp_path / "usage.jsonl", tmp_path / "log"
    async with Simulator(PROFILE) as simulator:
        old, new = (operation.token for operation in simulator.operations)
        volume, options = told(simulator, secret_store)
        async with command("watch", *OPTIONS, *options, "--output", str(output)) as process:
            await until(output, lambda found: len(found) >= 2)
            if order == "refused first":
                simulator.break_token(0, FAULTS["refused"])
                await until(output, lambda found: found[-1]["outcome"] == "failed")
            volume.show({"acme": new.reveal()})
            if order == "stored first":
                simulator.break_token(0, FAULTS["refused"])
            found = await until(output, lambda found: [one["token"] for one in found].count(new.id) >= 2)
            assert process.returncode is None
            process.send_signal(signal.SIGTERM)
            _, said = await process.communicate()
        verdict = simulator.verdict()
        assert verdict.ok, verdict
    failed = [one for one in found if one["outcome"] != "ok"]
    tokens = [one["token"] for one in found]
    assert tokens == sorted(tokens, key=[old.id, new.id].index), "first the old one, then the new one"
    if order == "stored first":
        # The call that met the refusal went on under the new token, unless the file was noticed even before.
        assert failed == []
        assert next(one["attempts"] for one in found if one["token"] == new.id) in (1, 2)
    else:
        assert [(one["token"], one["error"]["kind"]) for one in failed] == [(old.id, "forbidden")]
    log.write_bytes(said)
    assert [leak for token in (old, new) for leak in leaks_in_files(tmp_path, token.reveal())] == []


async def test_a_command_is_run_again_after_a_refusal_with_workers_too(secret_store: Path, tmp_path: Path) -> None:
    async with Simulator(Profile(servers=1, operations=3, apis=("interactions",))) as simulator:
        options = written(simulator, secret_store)
        old, other, new = simulator.operations
        simulator.break_token(0, FAULTS["refused"])
        secret = secret_store / "give"
        secret.write_text(
            "#!/bin/sh\n"
            f"[ -e {tmp_path}/given ] && exec echo {new.token.reveal()}\n"
            f"touch {tmp_path}/given; echo {old.token.reveal()}\n"
        )
        secret.chmod(0o700)
        file = secret_store / "tenants.json"
        document = json.loads(file.read_text())
        operations = document["tenants"][0]["operations"]
        operations[0]["token"] = {"command": [str(secret)]}
        # Plug-ins are asked in threads, which are gone before the workers are forked.
        operations[1]["token"] = {"reader": {"file": str(secret_store / "secrets" / f"{other.tenant}-{other.name}")}}
        source = (
            "from pathlib import Path\n\ndef find(settings):\n    return Path(settings['file']).read_text().strip()\n"
        )
        install(secret_store, "reader-secrets", source, points={"reader": "find"})
        del operations[2]
        file.write_text(json.dumps(document))
        quietly = ("--no-progress", "--log-level", "error")
        env = {"PYTHONPATH": str(secret_store), "PYTHONWARNINGS": "error::DeprecationWarning"}
        done = await run("fetch", *options, *quietly, "--workers", "2", env=env)
        assert simulator.verdict().ok, simulator.verdict()
    ends = {record["operation"]: record for record in done.records if record["type"] == "call"}
    first = ends[old.name]
    assert (done.code, first["outcome"], first["attempts"], first["token"]) == (0, "ok", 2, new.token.id), done.err
    assert ends[other.name]["outcome"] == "ok"


async def test_every_machine_of_a_cluster_takes_the_new_token(secret_store: Path, tmp_path: Path) -> None:
    async with lab(tmp_path, secret_store) as it:
        first, _, second = it.simulator.operations[:3]  # on one server
        file = Path(it.options[it.options.index("--tenants") + 1])
        document = json.loads(file.read_text())
        # That of the other is the token that the first one gets.
        for tenant in document["tenants"]:
            tenant["operations"] = [one for one in tenant["operations"] if one["name"] != second.name]
        document["tenants"] = [tenant for tenant in document["tenants"] if tenant["operations"]]
        file.write_text(json.dumps(document))
        secret = file.parent / "secrets" / f"{first.tenant}-{first.name}"

        def under(token: Token) -> int:
            own = [one for one in it.records if one["type"] == "call" and one["operation"] == first.name]
            return sum(one["token"] == token.id and one["outcome"] == "ok" for one in own)

        async with it.watching() as one, it.watching() as other:
            await it.open_up(machines=2)
            await it.until(lambda: under(first.token) >= 2)
            renewed = secret.with_name("renewed")
            renewed.write_text(second.token.reveal())
            renewed.replace(secret)
            it.simulator.break_token(0, FAULTS["refused"])
            await it.until(lambda: under(second.token) >= 3)
            for machine in (one, other):
                machine.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(machine.wait(), 30) == 128 + signal.SIGTERM
        assert it.simulator.verdict().ok, it.simulator.verdict()
