"""`tokens`: what references give, and what the state folder remembers, held against each other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import keyring
import orjson
import pytest
from click.testing import CliRunner, Result
from keyring.backend import KeyringBackend

from tests.apps.commands import run, written
from tests.plugin_packages import install
from wolkvox_async.adapters.secrets import Unresolved
from wolkvox_async.adapters.state import LastCall, Survey, TokenState
from wolkvox_async.apps.cli.check import command as check
from wolkvox_async.apps.cli.tokens import command
from wolkvox_async.apps.tokens import Bond, Holding, Source, holdings
from wolkvox_async.model import ErrorKind, Token
from wolkvox_async.ports import Refusal
from wolkvox_async.references import CommandReference, EnvReference, TokenReference
from wolkvox_async.testing import FAULTS, Profile, Simulator

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OLD, NEW, OTHER = Token("the-old-token"), Token("the-new-token"), Token("another-token")
ENV, PASS = EnvReference("ACME"), CommandReference(("pass", "show", "acme"))
QUIET = ("--no-progress", "--log-level", "error")


def call(
    token: Token, operation: str = "bogota", *, hours: float = 1.0, kind: str | None = None, attempts: int = 1
) -> LastCall:
    """Return the last call of a token, so many hours ago."""
    at = NOW - timedelta(hours=hours)
    return LastCall(
        tenant="acme",
        operation=operation,
        server="0010",
        token=token.id,
        question=f"interactions?{token.id}",
        outcome="failed" if kind else "ok",
        kind=kind,
        message=f"said {kind}" if kind else None,
        noted=at,
        rows=1,
        attempts=attempts,
        run="01K",
        due=None,
        since=None,
        sent=None,
    )


def known(*calls: LastCall, **refused: Refusal) -> Survey:
    tokens = {one.token: TokenState(refusal=refused.get(one.operation)) for one in calls}
    return Survey(calls, tokens, (), {}, None)


def source(found: Token | Unresolved | None, reference: TokenReference = ENV, operation: str = "acme/bogota") -> Source:
    return Source(reference, (operation,), found)


def bonds(found: list[Holding]) -> list[tuple[str | None, str]]:
    return [(one.token, one.bond.value) for one in found]


# --- pure ---------------------------------------------------------------------------------


def test_a_token_that_is_used_no_more_is_rotated() -> None:
    found = holdings([source(NEW)], known(call(OLD)), NOW, others=True)
    assert bonds(found) == [(NEW.id, "resolved"), (OLD.id, "rotated")]
    assert [one.last_used for one in found] == [None, NOW - timedelta(hours=1)]
    assert [one.operations for one in found] == [("acme/bogota",)] * 2


@pytest.mark.parametrize(("found", "bond"), [(None, "not_asked"), (Unresolved("is not set"), "unresolved")])
def test_where_the_reference_tells_nothing_the_token_used_last_stands_for_it(
    found: Unresolved | None, bond: str
) -> None:
    survey = known(call(OLD, hours=3), call(NEW, hours=1))
    assert bonds(holdings([source(found, PASS)], survey, NOW, others=True)) == [(NEW.id, bond), (OLD.id, "rotated")]
    assert bonds(holdings([source(found, PASS)], None, NOW, others=True)) == [(None, bond)]


def test_a_token_of_several_references_is_one_and_the_best_known() -> None:
    (one,) = holdings([source(None, PASS), source(NEW, operation="acme/quito")], known(call(NEW)), NOW, others=True)
    assert (one.token, one.bond) == (NEW.id, Bond.RESOLVED)
    assert one.operations == ("acme/bogota", "acme/quito")


def test_tokens_of_nobody_come_last_and_only_when_they_are_asked_for() -> None:
    survey = known(call(OTHER, "lima"), call(OLD))
    assert bonds(holdings([source(NEW)], survey, NOW, others=True)) == [
        (NEW.id, "resolved"),
        (OLD.id, "rotated"),
        (OTHER.id, "unreferenced"),
    ]
    assert OTHER.id not in dict(bonds(holdings([source(NEW)], survey, NOW, others=False)))


def test_a_refusal_lasts_as_long_as_it_is_remembered() -> None:
    refusal = Refusal(ErrorKind.FORBIDDEN, "PLEASE VALIDATE TOKEN", 600.0)
    (one,) = holdings([source(NEW)], known(call(NEW, kind="forbidden"), bogota=refusal), NOW, others=True)
    assert one.refusal is not None
    assert (one.refusal.kind, one.refusal.message) == ("forbidden", "PLEASE VALIDATE TOKEN")
    assert (one.refusal.at, one.refusal.until) == (NOW - timedelta(hours=1), NOW + timedelta(minutes=10))


def test_of_a_refusal_that_is_over_the_call_tells() -> None:
    survey = known(call(NEW, "quito", hours=2, kind="quota"), call(NEW, hours=1))
    (one,) = holdings([source(NEW)], survey, NOW, others=True)
    assert one.refusal is not None
    assert (one.refusal.kind, one.refusal.until) == ("quota", None)
    assert one.last_used == NOW - timedelta(hours=1)
    (good,) = holdings([source(NEW)], known(call(NEW, kind="timeout")), NOW, others=True)
    assert good.refusal is None


def test_what_was_not_sent_is_no_use() -> None:
    (one,) = holdings([source(NEW)], known(call(NEW, kind="server_down", attempts=0)), NOW, others=True)
    assert one.last_used is None


def here(*options: str, file: Path) -> Result:
    """Run the command in this process, which takes a tenth of the time."""
    return CliRunner().invoke(command, ["--tenants", str(file), *options], standalone_mode=False)


class Leaky(KeyringBackend):
    """A keyring that says what it should not."""

    priority = 9

    def __init__(self, text: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.text = text

    def get_password(self, service: str, username: str) -> str | None:
        raise LookupError(f"{service} {username} {self.text}")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError(service, username, len(password))


@pytest.mark.parametrize("told", [(check, ()), (command, ("--resolve",)), (command, ("--resolve", "--json"))])
def test_no_way_of_going_wrong_shows_a_token(
    told: tuple[click.Command, tuple[str, ...]],
    secret_store: Path,
    canary_text: str,
    monkeypatch: pytest.MonkeyPatch,
    assert_no_canary: Callable[..., None],
) -> None:
    source = "import os, sys\n\ndef raises(settings):\n    raise LookupError(os.environ['CANARY'])\n\n"
    source += "def lines(settings):\n    print('looked up', file=sys.stderr)\n    return os.environ['CANARY'] + '\\n'\n"
    install(secret_store, "leaky-secrets", source, points={"raises": "raises", "lines": "lines"})
    monkeypatch.syspath_prepend(secret_store)
    monkeypatch.setenv("CANARY", canary_text)
    monkeypatch.setenv("SPACED", f"{canary_text} ")
    (secret_store / "two").write_text(f"{canary_text}\n{canary_text}\n")
    references: list[dict[str, Any]] = [
        {"env": "SPACED"},
        {"file": "two"},
        {"secret": "two"},
        {"command": ["sh", "-c", "echo $CANARY; echo $CANARY >&2; exit 3"]},
        {"command": ["sh", "-c", "echo $CANARY $CANARY"]},
        {"keyring": "wolkvox/acme"},
        {"raises": {"key": canary_text}},
        {"lines": {}},
    ]
    operations = [{"name": f"o{n}", "server": "0010", "token": one} for n, one in enumerate(references)]
    file = secret_store / "tenants.json"
    file.write_bytes(orjson.dumps({"tenants": [{"name": "acme", "operations": operations}]}))
    before = keyring.get_keyring()
    keyring.set_keyring(Leaky(canary_text))
    try:
        options = ["--tenants", str(file), "--secrets-dir", str(secret_store), *told[1]]
        done = CliRunner().invoke(told[0], options, standalone_mode=False)
    finally:
        keyring.set_keyring(before)
        del sys.modules["leaky_secrets"]
    assert done.stderr.count("tenants.json:1:") == len(references), done.stderr
    assert_no_canary("what was said", done.output)


@pytest.mark.parametrize("told", ["by option", "by variable", "by the file"])
def test_check_finds_secrets_in_the_folder_that_it_is_told(
    told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "acme-quito").write_text("a-token-in-the-folder")
    (tmp_path / "mounted" / "acme-quito").chmod(0o444)
    operations = [{"name": "quito", "server": "0010", "token": {"secret": "acme-quito"}}]
    document: dict[str, Any] = {"tenants": [{"name": "acme", "operations": operations}]}
    options = ["--tenants", "tenants.json"]
    monkeypatch.chdir(tmp_path)
    match told:
        case "by option":
            options += ["--secrets-dir", "mounted"]
        case "by variable":
            monkeypatch.setenv("WOLKVOX_SECRETS_DIR", "mounted")
        case _:
            document["defaults"] = {"secrets_dir": "mounted"}
    Path("tenants.json").write_bytes(orjson.dumps(document))
    good = CliRunner().invoke(check, options, standalone_mode=False)
    assert (good.return_value, good.stderr.count("\n")) == (0, 1), good.stderr
    assert "a secret in" in good.stderr
    assert "set mode 0400" in good.stderr
    (tmp_path / "mounted" / "acme-quito").rename(tmp_path / "mounted" / "acme-quitto")
    missing = CliRunner().invoke(check, options, standalone_mode=False)
    assert missing.return_value == 2
    assert "tenants.json:1:" in missing.stderr
    assert "did you mean 'acme-quitto'?" in missing.stderr


# --- as a program -------------------------------------------------------------------------


def _referring(file: Path, *references: dict[str, Any]) -> None:
    document = orjson.loads(file.read_bytes())
    operations = [operation for tenant in document["tenants"] for operation in tenant["operations"]]
    for operation, reference in zip(operations, references, strict=False):
        operation["token"] = reference
    file.write_bytes(orjson.dumps(document))


async def test_tokens_are_listed_with_where_they_come_from_and_what_became_of_them(
    secret_store: Path, tmp_path: Path
) -> None:
    profile = Profile(servers=1, operations=4, tenants=2, apis=("interactions",), faults={"1": FAULTS["refused"]})
    async with Simulator(profile) as simulator:
        options = written(simulator, secret_store)
        await run("fetch", *options, *QUIET)
        good, refused, _, rotated = simulator.operations
    give = tmp_path / "give"
    give.write_text("#!/bin/sh\ntouch ran\necho a-token-of-a-command\n")
    give.chmod(0o700)
    file = Path(options[1])
    kept = [{"file": f"secrets/{one.tenant}-{one.name}"} for one in (good, refused)]
    _referring(file, *kept, {"command": [str(give)]}, {"env": "NEW_TOKEN"})
    env = {"NEW_TOKEN": NEW.reveal()}

    done = await run("tokens", *options[:2], "--json", env=env)
    assert (done.code, [line["state"] for line in done.records]) == (
        0,
        ["resolved", "resolved", "not_asked", "resolved", "rotated"],
    )
    first, second, third, fourth, fifth = done.records
    assert first["token"] == good.token.id
    assert first["operations"] == [good.path]
    assert first["references"][0]["way"] == "file"
    assert first["last_used"] is not None
    assert second["refusal"]["kind"] == "forbidden"
    assert datetime.fromisoformat(second["refusal"]["until"]) > datetime.now(UTC)
    assert third["references"][0] == {
        "way": "command",
        "name": str(give),
        "operations": third["operations"],
        "resolves": None,
        "message": None,
    }
    assert (fourth["token"], fourth["last_used"]) == (NEW.id, None)
    assert (fifth["token"], fifth["operations"]) == (rotated.token.id, [rotated.path])
    assert "1 reference was not asked" in done.err
    assert not (secret_store / "ran").exists()

    asked = await run("tokens", *options[:2], "--json", "--resolve", env=env)
    assert asked.records[2]["token"] == Token("a-token-of-a-command").id
    assert (secret_store / "ran").exists()
    assert not asked.err

    people = await run("tokens", *options[:2], "--only", rotated.path, env=env)
    head, *rows = people.out.decode().splitlines()
    assert head.split() == ["TOKEN", "STATE", "FROM", "OPERATIONS", "LAST", "USED", "REFUSED"]
    assert [row.split()[:2] for row in rows] == [[NEW.id, "resolved"], [rotated.token.id, "rotated"]]


def test_without_a_state_folder_and_with_references_that_give_nothing_they_are_listed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations = [
        {"name": "bogota", "server": "0010", "token": {"env": "NOBODY_SET_THIS"}},
        {"name": "quito", "server": "0010", "token": {"secret": "acme-quito"}},
    ]
    file = tmp_path / "tenants.json"
    file.write_bytes(orjson.dumps({"tenants": [{"name": "acme", "operations": operations}]}))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "acme-quito").write_text("a-token-in-the-folder")
    monkeypatch.chdir(tmp_path)
    done = here("--json", "--secrets-dir", "secrets", file=file)
    lines = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert [(line["state"], line["token"]) for line in lines] == [
        ("resolved", Token("a-token-in-the-folder").id),
        ("unresolved", None),
    ]
    assert lines[1]["references"][0]["message"] == "the environment variable NOBODY_SET_THIS is not set"
    assert f"{file}:1:" in done.stderr
    assert here("--state", str(tmp_path / "none"), file=file).return_value == 0
    (tmp_path / "state.db").write_bytes(b"garbage" * 1_000)
    assert here("--state", str(tmp_path), file=file).return_value == 5


def test_a_tenants_file_with_mistakes_and_a_selection_of_nothing_are_said(tmp_path: Path) -> None:
    file = tmp_path / "tenants.json"
    operation = {"name": "b", "server": "0010", "token": {"fil": ""}}
    file.write_bytes(orjson.dumps({"tenants": [{"name": "acme", "operations": [operation]}]}))
    wrong = here(file=file)
    assert wrong.return_value == 2
    assert "unknown key 'fil': did you mean 'file'?" in wrong.stderr
    file.write_text(file.read_text().replace("fil", "env").replace('""', '"A"'))
    nothing = here("--only", "acm", file=file)
    assert nothing.return_value == 2
    assert "did you mean 'acme'" in nothing.stderr


@pytest.mark.parametrize("options", [(), ("--json",), ("--resolve",), ("--json", "--resolve")])
def test_no_token_is_shown(options: tuple[str, ...], secret_store: Path, canary_text: str) -> None:
    file = secret_store / "tenants.json"
    plain = {"name": "a", "server": "0010", "token": canary_text}
    told = {"name": "b", "server": "0010", "token": {"command": ["echo", canary_text]}}
    file.write_bytes(orjson.dumps({"tenants": [{"name": "acme", "operations": [plain, told]}]}))
    file.chmod(0o600)
    done = here(*options, file=file)
    assert done.return_value == 0
    assert Token(canary_text).id in done.stdout
    assert canary_text not in done.output
