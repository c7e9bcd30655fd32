"""What is done with a block by its language, without being told (what is told: `accounts.py`).

| language | |
|---|---|
| `sh` | run by bash in the page's folder, against the simulator; every line has to end well |
| `python` | run, with the names that the blocks above it left; functions called `test_...` are called |
| `sql` | run by DuckDB, one database for the page (by PostgreSQL where an account says so) |
| `json` | a tenants file, an operation or an endpoint of one is checked; each record is validated |
| `yaml`, `toml`, `ini` | parsed |
| anything else | needs an account |
"""

from __future__ import annotations

import ast
import asyncio
import configparser
import importlib
import inspect
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType, ModuleType
from typing import Any, Final

import duckdb
import orjson
import psycopg
import pytest
from jsonschema import Draft202012Validator

from tests.apps.brokers import need_a_server
from wolkvox_async.records import CallRecord, GapRecord, RowRecord, RunRecord
from wolkvox_async.settings.schema import records_schema
from wolkvox_async.settings.tenants import survey_tenants

from . import shell
from .accounts import Account, Drawing, Elsewhere, Given, NotRun, Shown
from .blocks import Block
from .sandbox import World

DATABASE: Final = "DATABASE_URL"
RECORDS: Final = MappingProxyType({"run": RunRecord, "row": RowRecord, "call": CallRecord, "gap": GapRecord})


@dataclass(slots=True)
class Page:
    """A page while its blocks are run: the world, and what they left."""

    world: World
    database: Callable[[], Any]
    module: ModuleType = field(default_factory=lambda: ModuleType("documented"))
    duck: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    facts: dict[str, str] = field(default_factory=dict)  # what stands in braces in an account's `after`


async def run(block: Block, accounts: Sequence[Account], page: Page) -> None:
    """Do with a block what is to be done; raises `AssertionError` and whatever it raises."""
    if any(isinstance(one, Drawing | Elsewhere) for one in accounts):
        return
    if shown := [one for one in accounts if isinstance(one, Shown)]:
        await _compare(block, shown[0].command, page.world)
    elif block.language in shell.LANGUAGES:
        await _run_shell(block, accounts, page)
    elif not any(isinstance(one, NotRun) for one in accounts):
        await _run_text(block, _given(block, accounts), page)


async def _run_text(block: Block, given: Given | None, page: Page) -> None:
    text, given = _edited(block.text, given), _told(given, page.facts)
    match block.language:
        case "python" | "py":
            await _run_python(text, given, vars(page.module))
        case "sql":
            _run_sql(text, given, page)
        case "json":
            _check_json(text, page.world)
        case "yaml" | "yml":
            assert importlib.import_module("yaml").safe_load(text)
        case "toml":
            assert tomllib.loads(text)
        case "ini":
            configparser.ConfigParser(allow_no_value=True, interpolation=None).read_string(text)
        case _:
            pytest.fail(f"neither rule nor account for {block}: add one to tests/documents/accounts.py")


def _given(block: Block, accounts: Sequence[Account]) -> Given | None:
    found = [one for one in accounts if isinstance(one, Given)]
    assert len(found) <= 1, f"two accounts for {block}"
    return found[0] if found else None


def _edited(text: str, given: Given | None) -> str:
    for old, new in (given.instead if given else {}).items():
        assert old in text, f"{old!r} is not there to be replaced"
        text = text.replace(old, new)
    return text


def _told(given: Given | None, facts: dict[str, str]) -> Given | None:
    after = given.after if given else ""
    for name, value in facts.items():
        after = after.replace(f"{{{name}}}", value)
    return replace(given, after=after) if given else None


# --- sh ---------------------------------------------------------------------------------------


async def _run_shell(block: Block, accounts: Sequence[Account], page: Page) -> None:
    world = page.world
    if missing := shell.missing_tools(block.text, world.variables["PATH"]):
        pytest.skip(f"NOT TESTED, this machine has no {', '.join(missing)}: {block}")
    if re.search(r"wolkvox-async broker|--join ", block.text):
        need_a_server()
    if wrong := list(shell.mistakes(block.text)):
        pytest.fail("\n".join(wrong))
    if DATABASE in block.text:
        world = replace(world, variables={**world.variables, DATABASE: page.database().url})
    said = await shell.run(shell.script(block.text, accounts), world)
    assert said.code == 0, said.out
    assert "Traceback (most recent call last)" not in said.out, said.out


async def _compare(block: Block, command: str, world: World) -> None:
    """Look for each line in what a command says: numbers, ids and times may differ."""
    said = await shell.run(command, world)
    assert said.code == 0, said.out
    there = {shape(line) for line in said.out.splitlines()}
    absent = [line for line in block.text.splitlines() if line.strip() and shape(line) not in there]
    assert not absent, "\n".join(("not in what it says:", *absent, "what it says:", said.out))


def shape(line: str) -> str:
    """Return a line without what differs from time to time."""
    line = re.sub(r"\btk_[0-9a-f]{12}\b|\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b", "ID", line)
    line = re.sub(r"\d{4}-\d\d-\d\d[T ][\d:.]+Z?", "TIME", line)
    return " ".join(re.sub(r"\d[\d,.]*\d|\d", "N", line).split())


# --- python -----------------------------------------------------------------------------------


async def _run_python(text: str, given: Given | None, names: dict[str, Any]) -> None:
    for part in (given.before if given else "", text, given.after if given else ""):
        code = compile(part, "a code block", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        if code.co_flags & inspect.CO_COROUTINE:
            await eval(code, names)  # noqa: S307 - our own pages
        else:
            await asyncio.to_thread(exec, code, names)
    for name in re.findall(r"(?m)^(?:async )?def (test_\w+)\(\)", text):
        function = names[name]
        await (function() if inspect.iscoroutinefunction(function) else asyncio.to_thread(function))


# --- sql --------------------------------------------------------------------------------------


def _run_sql(text: str, given: Given | None, page: Page) -> None:
    run_it = _in_postgres(page) if given is not None and given.on == "postgres" else page.duck.execute
    for part in (given.before if given else "", text, given.after if given else ""):
        if part.strip():
            run_it(part)


def _in_postgres(page: Page) -> Callable[[str], object]:
    def execute(text: str) -> None:
        with psycopg.connect(page.database().url) as connection:
            connection.execute(text.encode())

    return execute


# --- json -------------------------------------------------------------------------------------


def _check_json(text: str, world: World) -> None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        for line in text.splitlines():  # JSON lines
            _check_document(orjson.loads(line), world)
        return
    _check_document(found, world)


def _check_document(found: Any, world: World) -> None:
    match found:
        case {"type": str(kind)} if kind in RECORDS:
            if wrong := [error.message for error in Draft202012Validator(records_schema()).iter_errors(found)]:
                pytest.fail("\n".join(wrong))
            fields = [name for name in RECORDS[kind].__annotations__ if name in found]
            assert list(found) == fields, f"the fields are {', '.join(RECORDS[kind].__annotations__)}"
        case {"tenants": list()}:
            _check_tenants(found, world)
        case {"server": _, "token": _}:
            _check_tenants({"tenants": [{"name": "acme", "operations": [found]}]}, world)
        case {"endpoints": list()}:
            _check_tenants({"tenants": [{"name": "acme", "operations": []}], **found}, world)
        case _:
            pass  # it is JSON


def _check_tenants(document: Any, world: World) -> None:
    path = world.folder / "documented.json"
    path.write_bytes(orjson.dumps(document))
    assert not survey_tenants(path).mistakes
    path.unlink()
