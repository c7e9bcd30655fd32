"""A mistake in the input is said clearly, with the others, before anything is called."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.apps.commands import run, written
from wolkvox_async.testing import FAULTS, Profile, Simulator


async def test_mistakes_in_options_and_file_and_tokens_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "tenants.json").write_text(
        json.dumps(
            {
                "tenants": [
                    {
                        "name": "acme",
                        "operations": [
                            {"name": "a", "server": "10", "token": {"env": "NOT_SET_ANYWHERE"}},
                            {"name": "b", "server": "0010", "tokn": {"env": "X"}},
                        ],
                    }
                ]
            },
            indent=1,
        )
    )
    done = await run("fetch", "--timeout", "soon", cwd=tmp_path)
    assert (done.code, done.out) == (2, b"")
    assert len(done.complaints) >= 4
    assert "--timeout 'soon'" in done.complaints[0]
    for part in ("0010", "tokn", "NOT_SET_ANYWHERE"):
        assert part in done.err
    assert all(line.startswith("tenants.json:") for line in done.complaints[1:])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "nobody"], "nobody"),
        (["--api", "interactons"], "interactions"),
        (["--from", "yesterday"], "yesterday"),
        (["--from", "2999-01-01"], "future"),
        (["--from", "2026-02-01", "--to", "2026-01-01"], "before"),
        (["--to", "2026-01-01"], "--from"),
        (["--api", "interactions", "--from", "2026-01-01"], "dates"),
        (["--ca-file", "/nowhere.pem"], "/nowhere.pem"),
        (["--output", "/nowhere/usage.jsonl"], "/nowhere"),
    ],
)
async def test_a_wrong_option_calls_nothing(arguments: list[str], says: str, secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=2)) as simulator:
        done = await run("fetch", *written(simulator, secret_store), *arguments)
        assert simulator.verdict().requests == 0
    assert done.code == 2
    assert done.out == b""
    assert says in done.err
    assert "Traceback" not in done.err
    assert len(done.complaints) == 1


async def test_mistakes_in_dates_selectors_and_endpoints_come_at_once(secret_store: Path) -> None:
    wrong = ["--from", "x", "--to", "y", "--only", "nope", "--api", "gamificaton", "--timeout", "-3"]
    async with Simulator(Profile(servers=1, operations=2)) as simulator:
        done = await run("fetch", *written(simulator, secret_store), *wrong)
    assert done.code == 2
    for part in ("--from 'x'", "--to 'y'", "nope", "gamification", "--timeout '-3'"):
        assert part in done.err
    assert len(done.complaints) == 5


async def test_the_tenants_file_is_no_output(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=1)) as simulator:
        options = written(simulator, secret_store)
        before = Path(options[1]).read_bytes()
        done = await run("fetch", *options, "--output", options[1])
        assert simulator.verdict().requests == 0
    assert done.code == 2
    assert Path(options[1]).read_bytes() == before


async def test_plain_http_never_leaves_this_machine_by_a_proxy(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=1)) as simulator:
        done = await run("fetch", *written(simulator, secret_store), "--proxy", "http://proxy.example:3128")
    assert done.code == 2
    assert "--proxy" in done.err


async def test_an_unknown_option_or_command_gets_a_proposal() -> None:
    option, verb = await run("fetch", "--tiemout", "3"), await run("fecth")
    assert (option.code, verb.code) == (2, 2)
    assert "--timeout" in option.err
    assert "fetch" in verb.err


async def test_check_says_where_every_mistake_is(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=3)) as simulator:
        options = written(simulator, secret_store)
        sound = await run("check", *options)
        next((secret_store / "secrets").iterdir()).unlink()
        broken = await run("check", *options)
    assert (sound.code, sound.err) == (0, "")
    assert b"3 operations" in sound.out
    assert broken.code == 2
    assert broken.err.startswith(os.path.join(secret_store, "tenants.json:"))  # noqa: PTH118


async def test_probing_makes_one_call_per_token(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=3)) as simulator:
        options = written(simulator, secret_store)
        sound = await run("check", *options, "--probe")
        assert simulator.verdict().requests == 3
    assert sound.code == 0


async def test_a_probe_that_fails_is_a_mistake_found(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=3, faults={"1": FAULTS["refused"]})) as simulator:
        done = await run("check", *written(simulator, secret_store), "--probe")
        path = simulator.operations[1].path
    assert done.code == 1
    assert path in done.err
    assert "forbidden" in done.err


@pytest.mark.parametrize("before", [[], ["fetch"], ["init"], ["tokens"], ["--{}"], ["fetch", "--{}"]], ids=" ".join)
async def test_a_token_that_was_typed_as_something_else_is_not_repeated(
    before: list[str], tmp_path: Path, canary_text: str, assert_no_canary: Callable[..., None]
) -> None:
    arguments = [one.format(canary_text) for one in before]
    done = await run(*arguments, *([] if any("{}" in one for one in before) else [canary_text]), cwd=tmp_path)
    assert done.code == 2
    assert "not shown: it looks like a token" in done.err
    assert_no_canary("what it says", done.out, done.err)


async def test_a_token_in_the_place_of_a_files_name_is_not_repeated(
    tmp_path: Path, canary_text: str, assert_no_canary: Callable[..., None]
) -> None:
    done = await run("check", "--tenants", canary_text, cwd=tmp_path)
    assert (done.code, done.complaints) == (2, ["(not shown: it looks like a token): there is no such file"])
    assert_no_canary("what it says", done.err)
