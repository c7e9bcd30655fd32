"""`docs/secrets.md`: every reference of its table is resolved, every block of it is used as it is meant."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import keyring
import pytest
import yaml  # type: ignore[import-untyped]
from keyring.backend import KeyringBackend

from tests.plugin_packages import install
from tests.volumes import Volume
from wolkvox_async.adapters.secrets import GROUP
from wolkvox_async.apps.cli.group import cli
from wolkvox_async.apps.cli.tokens import _HEAD
from wolkvox_async.apps.tokens import Bond
from wolkvox_async.model import Token
from wolkvox_async.settings.resolution import secrets_of, survey_tokens
from wolkvox_async.settings.tenants import load_tenants

PAGE = (Path(__file__).parent.parent / "docs" / "secrets.md").read_text()
TOKEN = Token("made-up-token-of-acme-quito")
ROW = re.compile(r'^\| ([^|]+) \| `(\{".*?\}|".*?")`[^|]* \|', re.MULTILINE)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What the programs themselves would take: which words stand where, and what is no word of theirs.
STAND_INS = {
    "pass": '[ "$1" = show ] && [ "$2" = wolkvox/acme-quito ] && [ $# = 2 ]',
    "gopass": '[ "$1 $2" = "show -o" ] && [ "$3" = wolkvox/acme-quito ]',
    "op": 'case "$1 $2" in "read op://"*/*/*) true ;; *) false ;; esac',
    "vault": '[ "$1 $2" = "kv get" ] && case "$*" in *-field=*wolkvox/acme-quito) true ;; *) false ;; esac',
    "aws": '[ "$1 $2 $3" = "secretsmanager get-secret-value --secret-id" ] && [ "$7 $8" = "--output text" ]',
    "gcloud": '[ "$1 $2 $3 $4" = "secrets versions access latest" ] && [ "$5" = --secret=acme-quito ]',
    "az": '[ "$1 $2 $3" = "keyvault secret show" ] && case "$*" in *"value --output tsv") true ;; *) false ;; esac',
}


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(PAGE) if found == language]


def rows() -> dict[str, Any]:
    """Return what to write, by where it is kept."""
    found = {place.strip(): json.loads(text) for place, text in ROW.findall(PAGE)}
    del found["where it is kept"]
    return found


class OneEntry(KeyringBackend):
    """A keyring in which the token was stored."""

    priority = 9

    def get_password(self, service: str, username: str) -> str | None:
        return TOKEN.reveal() if (service, username) == ("wolkvox", "acme-quito") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError(service, username, len(password))


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep the token in all the places that the table names."""
    monkeypatch.chdir(tmp_path)
    for folder in ("tokens", "secrets", "bin", "packages"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("ACME_QUITO_TOKEN", TOKEN.reveal())
    for file in ("tokens/acme-quito", "secrets/acme-quito"):
        (tmp_path / file).write_text(TOKEN.reveal() + "\n")
        (tmp_path / file).chmod(0o600)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    for program, fits in STAND_INS.items():
        stand_in = tmp_path / "bin" / program
        stand_in.write_text(f"#!/bin/sh\n{{ {fits}; }} || exit 64\necho {TOKEN.reveal()}\n")
        stand_in.chmod(0o700)
    (tmp_path / "tokens.json").write_text(json.dumps({"acme-quito": TOKEN.reveal()}))
    points = tomllib.loads(blocks("toml")[0])["project"]["entry-points"][GROUP]
    monkeypatch.syspath_prepend(tmp_path / "packages")
    functions = {name: value.partition(":")[2] for name, value in points.items()}
    install(tmp_path / "packages", "json-file-secrets", blocks("python")[0], points=functions)
    before = keyring.get_keyring()
    keyring.set_keyring(OneEntry())  # type: ignore[no-untyped-call]
    yield tmp_path
    keyring.set_keyring(before)


def resolved(document: Any, folder: Path, secrets_dir: Path | None = None) -> dict[str, Token]:
    """Return the token of every operation of a tenants file; all of them have to resolve."""
    file = folder / "tenants.json"
    file.write_text(json.dumps(document))
    file.chmod(0o600)
    tenants = load_tenants(file, secrets_dir=secrets_dir)
    found, mistakes = asyncio.run(survey_tokens(tenants, secrets_of(tenants)))
    assert not mistakes, mistakes.listed
    return {one.operation.path: one.operation.token for one in found}


def test_every_reference_of_the_table_gives_the_token(places: Path) -> None:
    table = rows()
    assert len(table) == 13
    operations = [{"name": name, "server": "0010", "token": table[place]} for name, place in enumerate_names(table)]
    found = resolved({"tenants": [{"name": "acme", "operations": operations}]}, places, places / "secrets")
    assert len(found) == len(table)
    assert set(found.values()) == {TOKEN}
    programs = {reference["command"][0] for reference in table.values() if "command" in reference}
    assert programs == set(STAND_INS)


def enumerate_names(table: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for number, place in enumerate(table):
        yield f"operation-{number}", place


@pytest.mark.parametrize("program", STAND_INS)
def test_a_stand_in_takes_nothing_else(program: str, places: Path) -> None:
    (command,) = (one["command"] for one in rows().values() if "command" in one and one["command"][0] == program)
    broken = {"command": command[:-1]}
    operation = {"name": "quito", "server": "0010", "token": broken}
    with pytest.raises(AssertionError, match="exit status 64"):
        resolved({"tenants": [{"name": "acme", "operations": [operation]}]}, places)


def test_the_secrets_folder_of_kubernetes_is_the_one_of_the_tenants_file(tmp_path: Path) -> None:
    document = json.loads(blocks("json")[0])
    pod = yaml.safe_load(blocks("yaml")[0])
    (container,), (volume,) = pod["spec"]["containers"], pod["spec"]["volumes"]
    (mount,) = container["volumeMounts"]
    assert mount["mountPath"] == document["defaults"]["secrets_dir"]
    assert mount["name"] == volume["name"]
    assert volume["secret"]["defaultMode"] == 0o400
    document["defaults"]["secrets_dir"] = "mounted"
    mounted = Volume(tmp_path / "mounted")
    mounted.show({"acme-bogota": "token-of-bogota", "acme-quito": TOKEN.reveal()}, volume["secret"]["defaultMode"])
    assert resolved(document, tmp_path) == {"acme/bogota": Token("token-of-bogota"), "acme/quito": TOKEN}


def test_dockers_secrets_are_those_of_the_tenants_file(tmp_path: Path) -> None:
    document = json.loads(blocks("json")[0])
    compose = yaml.safe_load(blocks("yaml")[1])
    watch = compose["services"]["watch"]
    assert watch["environment"]["WOLKVOX_SECRETS_DIR"] == "/run/secrets"
    (tmp_path / "run").mkdir()
    for secret in watch["secrets"]:
        assert secret["source"] in compose["secrets"]
        file = tmp_path / "run" / secret["source"]
        file.write_text(f"token-of-{secret['source']}")
        file.chmod(secret["mode"])
    found = resolved(document, tmp_path, tmp_path / "run")
    assert found == {"acme/bogota": Token("token-of-acme-bogota"), "acme/quito": Token("token-of-acme-quito")}


def test_the_commands_and_the_table_of_tokens_are_those_of_the_program() -> None:
    for line in blocks("sh")[0].splitlines():
        _, name, *arguments = shlex.split(line, comments=True)
        found = cli.get_command(click.Context(cli), name)
        assert found is not None
        found.make_context(name, arguments)
    (sample,) = blocks("text")
    head, *lines = sample.splitlines()
    assert re.split(r"  +", head) == list(_HEAD)
    states = {bond.value.replace("_", " ") for bond in Bond}
    assert {re.split(r"  +", line)[1] for line in lines} <= states
    _, explained = PAGE.split("| state | means |")
    assert set(re.findall(r"^\| `(\w[\w ]+)` \|", explained, re.MULTILINE)) == states
