"""The README's code blocks are run."""

import functools
import re
import shlex
from pathlib import Path
from typing import Any

import click
import duckdb
import orjson
import pytest

import wolkvox_async
from tests.apps.commands import run, written
from wolkvox_async.apps.cli.group import cli
from wolkvox_async.settings.tenants import survey_tenants
from wolkvox_async.testing import Profile, Simulator

README = Path(__file__).parent.parent / "README.md"
pytestmark = pytest.mark.usefixtures("own_state")

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """Return the code blocks in `language`."""
    return [text for found, text in BLOCK.findall(README.read_text()) if found == language]


async def test_the_embedding_example_runs(
    secret_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Simulator(Profile(servers=1, operations=3)) as simulator:
        simulator.write_tenants(secret_store)
        monkeypatch.chdir(secret_store)
        opened = functools.partial(wolkvox_async.open_engine, base_url=simulator.base_url)
        monkeypatch.setattr(wolkvox_async, "open_engine", opened, raising=False)
        names: dict[str, Any] = {}
        exec(blocks("python")[0], names)  # noqa: S102 - our own README
        # The example asks for the same thing twice, which is early but never at once.
        rows = await names["usage_of"](simulator.operations[0].path)
    assert len(rows) == 1
    assert capsys.readouterr().out.split().count("call") == 3


async def test_the_testing_example_runs() -> None:
    names: dict[str, Any] = {}
    exec(blocks("python")[1], names)  # noqa: S102 - our own README
    assert await names["test_my_service"]() is None


def test_the_tenants_example_is_a_tenants_file(tmp_path: Path) -> None:
    (tmp_path / "tenants.json").write_text(blocks("json")[0])
    assert not survey_tenants(tmp_path / "tenants.json").mistakes


async def test_the_line_shown_has_the_fields_of_a_line_written(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=1)) as simulator:
        done = await run("fetch", *written(simulator, secret_store))
    shown = orjson.loads(blocks("json")[1])
    row = next(record for record in done.records if record["type"] == "row")
    assert list(shown) == list(row)


async def test_the_query_runs(secret_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Simulator(Profile(servers=1, operations=3)) as simulator:
        await run("fetch", *written(simulator, secret_store), "--output", str(tmp_path / "usage.jsonl"))
    monkeypatch.chdir(tmp_path)
    answer = duckdb.sql(blocks("sql")[0])
    assert answer is not None
    found = answer.fetchall()
    assert len(found) == 6
    assert all(items > 0 for *_, items in found)


def test_every_command_shown_is_one() -> None:
    shown = [line for text in blocks("sh") for line in text.splitlines() if line.startswith("wolkvox-async ")]
    assert len(shown) >= 4
    for line in shown:
        name, *arguments = shlex.split(line.partition("|")[0], comments=True)[1:]
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        command.make_context(name, arguments)
