"""What a person reads in the terminal has no word that is not in the language that is spoken."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from tests.apps.commands import run, written
from tests.apps.dots import dots, words
from wolkvox_async.apps.cli.group import cli
from wolkvox_async.apps.languages import catalogue, speak
from wolkvox_async.apps.reasons import message, sentence
from wolkvox_async.apps.simulating import in_words
from wolkvox_async.apps.standing import Reason, Wait
from wolkvox_async.catalog import BILLING, Catalog
from wolkvox_async.testing import FAULTS, Profile, Simulator
from wolkvox_async.testing.verdict import Rule, Verdict

FACTS = {"kind": "unauthorized", "server": "0010", "endpoint": "interactions", "run": "nightly"}


def here(name: str, *arguments: str) -> str:
    """Run a command in this process, and return all that it says."""
    command = cli.get_command(cli.context_class(cli), name)
    assert command is not None
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert done.exception is None, done.output
    return done.output


async def test_no_command_says_a_word_that_nobody_could_translate(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=2, tenants=1, apis=("interactions",), faults={"1": FAULTS["refused"]})
    async with Simulator(profile) as simulator:
        file, url = written(simulator, secret_store)[:2], written(simulator, secret_store)
        fetched = await run("fetch", *url, "--no-progress", "--log-level", "error")
        one, other = simulator.operations
        facts = [fetched.records[0]["run"], file[1], "acme", one.name, other.name, one.token.id, other.token.id]
    facts += [*Catalog().names(), "forbidden", "held", "secrets", "file"]

    def said() -> dict[str, str]:
        with dots():
            return {
                "check": here("check", *url),
                "plan": here("plan", *url),
                "watch": here("plan", "--watch", *url),
                "status": here("status"),
                "why": here("why", one.tenant),
                "tokens": here("tokens", *file),
                "apis": here("apis"),
            }

    found = await asyncio.to_thread(said)
    assert {name: text for name, text in found.items() if "·" not in text} == {}
    assert {name: words(text, *facts) for name, text in found.items()} == {name: [] for name in found}


async def test_an_operator_asks_in_spanish_why_nothing_comes_and_a_program_is_told_in_english(
    secret_store: Path,
) -> None:
    profile = Profile(servers=1, operations=2, tenants=1, apis=("interactions",), faults={"1": FAULTS["refused"]})
    async with Simulator(profile) as simulator:
        options = written(simulator, secret_store)
        await run("fetch", *options, "--no-progress", "--log-level", "error")
        good, refused = simulator.operations

    def asked() -> tuple[str, str, str]:
        speak("es")
        return here("why", good.tenant), here("tokens", *options[:2]), here("why", refused.path, "--json")

    why, tokens, told = await asyncio.to_thread(asked)
    lines = {line.partition(" ")[0]: line for line in why.splitlines()}
    due = rf"{good.path} \({good.token.id}\): lo próximo que toca es interactions \(--interval\); hasta \d{{4}}-.*"
    assert re.fullmatch(due, lines[good.path])
    assert "el proveedor lo rechazó (forbidden): ponga un token válido donde apunta" in lines[refused.path]
    assert re.search(r"resuelto +file .*  forbidden, hasta \d{4}-", tokens)
    assert orjson.loads(told)["message"].startswith("refused by the vendor (forbidden): put a valid token where")


@pytest.mark.parametrize(
    "wait", [*(Wait(reason, None, FACTS) for reason in Reason), Wait(Reason.LOST_CALL, is_guess=True)]
)
def test_whatever_a_token_waits_for_is_told_to_people_in_their_language_and_to_programs_in_english(wait: Wait) -> None:
    plain = sentence(wait)
    with dots():
        assert words(sentence(wait), *FACTS.values()) == []
        assert message(wait) == plain


@pytest.mark.parametrize("broken", [{}, {Rule.OVERLAP: 2}, {Rule.EARLY: 3, Rule.OVERLAP: 1}])
def test_a_verdict_is_told_as_it_is_in_english_or_in_words_of_a_language(broken: dict[Rule, int]) -> None:
    verdict = Verdict(broken, (), 5, {200: 5}, 0, 4, 2, 4, {}, 0, 4, {}, {})
    assert in_words(verdict.document()) == str(verdict)
    with dots():
        assert words(in_words(verdict.document()), " x early") == []


def test_every_endpoint_of_the_vendor_is_explained_in_spanish() -> None:
    assert [endpoint.name for endpoint in BILLING if endpoint.counts not in catalogue("es")] == []
