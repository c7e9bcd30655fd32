"""`init`: what it asks, what it writes, what it never shows."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.apps.commands import run
from tests.apps.terminals import Terminal, terminal
from wolkvox_async.apps.cli import beginning, init
from wolkvox_async.apps.cli.options import Read
from wolkvox_async.settings.tenants import survey_tenants
from wolkvox_async.testing import FAULTS, Profile, Simulator

FILE = "tenants.json"
ALL = ("init", "--name", "acme", "--server", "0010", "--token-env", "ACME_TOKEN", "--no-probe", "--yes")


def operations(path: Path) -> dict[str, tuple[str, object]]:
    """Return server and token reference by path, of a file without mistakes."""
    found = survey_tenants(path)
    assert not found.mistakes
    return {entry.path: (entry.server, entry.reference) for entry in found.tenants.entries}


def written(path: Path) -> list[str]:
    """Return everything in a folder."""
    return sorted(str(one.relative_to(path)) for one in path.rglob("*") if "wolkvox-async" not in one.parts)


async def test_options_say_all_and_the_next_commands_are_told(secret_store: Path, canary_text: str) -> None:
    done = await run(*ALL, env={"ACME_TOKEN": canary_text}, cwd=secret_store)
    assert done.code == 0, done.err
    assert list(operations(secret_store / FILE)) == ["acme/main"]
    assert b"acme/main is in tenants.json\ntenants.json: 1 tenants, 1 operations, 1 tokens: no mistakes" in done.out
    assert b"wolkvox-async plan\n" in done.out
    assert written(secret_store) == [FILE]


@pytest.mark.parametrize("spelling", ["https://wv0010.wolkvox.com/"])
async def test_the_vendors_spellings_of_a_server_are_one(spelling: str, tmp_path: Path) -> None:
    await run("init", "--name", "acme", "--server", spelling, "--token-env", "X", "--no-probe", "--yes", cwd=tmp_path)
    assert operations(tmp_path / FILE)["acme/main"][0] == "0010"


async def test_what_is_missing_where_nobody_can_be_asked_is_said_at_once(tmp_path: Path) -> None:
    done = await run("init", "--server", "10", cwd=tmp_path)
    assert (done.code, written(tmp_path)) == (2, [])
    assert "write 0010 instead of 10" in done.err
    missing = next(line for line in done.complaints if "missing" in line)
    assert [name in missing for name in ("--name", "--server", "--token-file", "--yes")] == [True, False, True, True]


async def test_a_probe_makes_one_call_and_says_how_it_ended(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=2, faults={"1": FAULTS["refused"]})) as simulator:
        good, bad = simulator.operations
        environment = {"GOOD": good.token.reveal(), "BAD": bad.token.reveal()}
        options = ("--server", good.server, "--base-url", simulator.base_url, "--yes", "--state", "state")
        named = ("init", "--name", "acme", *options, "--token-env")
        first = await run(*named, "GOOD", "--operation", "a", env=environment, cwd=secret_store)
        second = await run(*named, "BAD", "--operation", "b", "--add", env=environment, cwd=secret_store)
        assert simulator.verdict().requests == 2
    assert (first.code, second.code) == (0, 1)
    assert b"1 tokens probed, 0 with mistakes" in first.out
    assert b"1 tokens probed, 1 with mistakes" in second.out
    assert b"check --probe" in second.out
    assert list(operations(secret_store / FILE)) == ["acme/a", "acme/b"]


async def test_a_token_that_is_not_there_yet_ends_with_2_and_with_what_to_type(tmp_path: Path) -> None:
    done = await run(*ALL, cwd=tmp_path)
    assert done.code == 2
    assert "ACME_TOKEN" in done.err
    assert b"read -rs ACME_TOKEN && export ACME_TOKEN" in done.out
    assert list(operations(tmp_path / FILE)) == ["acme/main"]


async def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("mine")
    done = await run(*ALL, cwd=tmp_path)
    assert done.code == 2
    assert (tmp_path / FILE).read_text() == "mine"


@pytest.mark.parametrize("option", ["--name", "--server", "--token-env"])
async def test_a_token_in_the_place_of_a_name_is_neither_shown_nor_kept(
    option: str, tmp_path: Path, canary_text: str, assert_no_canary: Callable[..., None]
) -> None:
    given = {"--name": "acme", "--server": "0010", "--operation": "main"}
    if not option.startswith("--token"):
        given["--token-env"] = "ACME_TOKEN"
    arguments = [part for pair in {**given, option: canary_text}.items() for part in pair]
    there = ("--base-url", "http://127.0.0.1/{server}")  # where any name may be a server's
    done = await run("init", *arguments, *there, "--yes", "--no-probe", cwd=tmp_path)
    assert done.code == 2
    assert "token" in done.err
    assert_no_canary("what it says", done.out, done.err)
    assert written(tmp_path) == []


def test_a_server_that_is_not_there_is_waited_for_as_long_as_a_person_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def check(said: Read, *, probe: bool, of: str | None) -> int:
        assert (probe, of) == (True, "acme/main")
        waits.append(said.engine().patience)
        return 0

    monkeypatch.setattr(beginning, "check", check)
    given = ["--name", "acme", "--server", "0010", "--token-env", "X", "--yes", "--tenants", str(tmp_path / FILE)]
    assert init.command.main(given, standalone_mode=False) == 0
    assert waits == [10]


async def test_a_folder_that_is_not_there_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    done = await run(*ALL, "--tenants", "no/such/tenants.json", cwd=tmp_path)
    assert (done.code, done.complaints) == (2, ["no/such: there is no such folder"])
    with terminal("init", "--tenants", "no/such/tenants.json", cwd=tmp_path) as person:
        assert person.end() == 2
        assert "Tenant" not in person.screen


# --- a person at a terminal -------------------------------------------------------------------


def answer_names(person: Terminal, server: str = "0010") -> None:
    """Answer the questions before that for the token."""
    person.answer("Tenant", "acme")
    person.answer("Server", server)
    person.answer("Operation", "")


def test_a_person_is_asked_and_hears_what_is_wrong(tmp_path: Path, canary_text: str) -> None:
    with terminal("init", cwd=tmp_path, env={"ACME_MAIN_TOKEN": canary_text}) as person:
        person.answer("Tenant", "ac/me")
        person.see("has a slash")
        person.answer("Tenant", "acne\x7f\x7fme")
        person.answer("Server", "10")
        person.see("write 0010 instead of 10")
        person.answer("[0010]", "")
        person.answer("[main]", "")
        person.answer("token [1]", "1")
        person.answer("[ACME_MAIN_TOKEN]", "")
        person.answer("[Y/n]", "n")
        assert person.end() == 0
        assert person.echoes()
    assert operations(tmp_path / FILE)["acme/main"][0] == "0010"


def test_a_pasted_token_goes_into_a_file_of_its_own_and_is_never_on_the_screen(
    secret_store: Path, canary_text: str, assert_no_canary: Callable[..., None]
) -> None:
    with terminal("init", cwd=secret_store) as person:
        person.answer("Tenant", canary_text)
        person.see("looks like a token")
        answer_names(person)
        person.answer("token [1]", "9")
        person.see("write a number from 1 to 5")
        person.answer("token [1]", "1")
        person.answer("[ACME_MAIN_TOKEN]", "some-token")
        person.see("letters, digits and underscores only")
        person.answer("token [1]", "1")
        person.answer("[ACME_MAIN_TOKEN]", canary_text)
        person.answer("[Y/n]", "n")
        person.answer("token [1]", canary_text)
        person.answer("[Y/n]", "y")
        person.answer("[Y/n]", "n")
        assert person.end() == 0
        assert_no_canary("the screen", person.screen)
    secret = secret_store / "secrets" / "acme-main"
    assert secret.read_text() == canary_text + "\n"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert orjson.loads((secret_store / FILE).read_bytes())["tenants"][0]["operations"][0]["token"] == {
        "file": "secrets/acme-main"
    }


def test_a_token_that_is_typed_is_wiped_out_once_it_looks_like_one(
    tmp_path: Path, canary_text: str, assert_no_canary: Callable[..., None]
) -> None:
    with terminal("init", cwd=tmp_path) as person:
        person.see("Tenant")
        person.type(canary_text[:9])
        person.see(canary_text[:9])
        person.type(canary_text[9:])
        person.see("\b" * 9 + " " * 9 + "\b" * 9)
        person.type("\x03")
        assert person.end() == 130
        assert_no_canary("the screen", person.screen)


PLACES = ("Tenant", "Server", "Operation", "token [1]", "ACME_MAIN_TOKEN", "[Y/n]")


CTRL_C, END_OF_INPUT = "\x03", "\x04"


@pytest.mark.parametrize(
    ("place", "end"), [*((place, CTRL_C) for place in range(len(PLACES))), (0, END_OF_INPUT), (4, END_OF_INPUT)]
)
def test_whoever_breaks_off_leaves_nothing_behind(place: int, end: str, tmp_path: Path) -> None:
    with terminal("init", "--lang", "en", cwd=tmp_path) as person:
        for question, answer in zip(PLACES[:place], ("acme", "0010", "", "1", ""), strict=False):
            person.answer(question, answer)
        person.see(PLACES[place])
        person.type(end)
        assert person.end() == 130
        assert person.echoes()
        assert "nothing was written" in person.screen
    assert written(tmp_path) == []


def test_a_person_may_add_to_the_file_that_is_there_or_name_another(tmp_path: Path, canary_text: str) -> None:
    named = ("init", "--name", "acme", "--server", "0010", "--token-env", "X", "--no-probe")
    for answer, operation in (("", "main"), ("", "quito"), ("other.json", "main")):
        with terminal(*named, "--operation", operation, cwd=tmp_path, env={"X": canary_text}) as person:
            if (tmp_path / FILE).exists():
                person.answer("name of another file", "no/such.json")
                person.see("no such folder")
                person.answer("name of another file", answer)
            assert person.end() == 0, person.screen
    assert list(operations(tmp_path / FILE)) == ["acme/main", "acme/quito"]
    assert list(operations(tmp_path / "other.json")) == ["acme/main"]


def test_the_conversation_is_in_spanish_for_whoever_wants_it(tmp_path: Path, canary_text: str) -> None:
    with terminal("--lang", "es", "init", cwd=tmp_path, env={"ACME_MAIN_TOKEN": canary_text}) as person:
        for question, answer in (("Cliente", "acme"), ("Servidor", "0010"), ("Operación", ""), ("o el token", "")):
            person.answer(question, answer)
        person.answer("nombre de la variable [ACME_MAIN_TOKEN]", "")
        person.answer("[S/n]", "no")
        assert person.end() == 0
    assert "acme/main está en tenants.json" in person.screen
    assert "ahora escriba:\n  wolkvox-async plan\n" in person.screen


def test_a_program_that_is_ended_gives_the_terminal_back(tmp_path: Path) -> None:
    with terminal("init", cwd=tmp_path) as person:
        person.see("Tenant")
        assert not person.echoes()
        os.kill(person.pid, 15)
        assert person.end() == 143
        assert person.echoes()
