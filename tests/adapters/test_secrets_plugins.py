"""Plug-ins: real distributions in a folder of sys.path, good ones and bad ones."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.plugin_packages import install
from wolkvox_async import SecretPlugin
from wolkvox_async.adapters.secrets import Bounds, Secrets, Unresolved, installed_plugins
from wolkvox_async.model import Token
from wolkvox_async.references import PluginReference

TEXT = "5f4dcc3b5aa765d61d8327deb882cf99"
TOKEN = Token(TEXT)

VENDOR = f'''
import asyncio, sys, threading, time

awake = threading.Event()

def find(settings):
    return settings["token"]

async def find_later(settings):
    await asyncio.sleep(0)
    return settings["token"]

def raises(settings):
    raise LookupError("{TEXT}")

def leaves(settings):
    sys.exit("{TEXT}")

def hangs(settings):
    awake.wait(30)
    return "{TEXT}"

async def waits(settings):
    await asyncio.sleep(30)

constant = 7

class Thing:
    def __init__(self, settings):
        self.token = "{TEXT}"
'''
POINTS = {
    "vendor-x": "find",
    "vendor-async": "find_later",
    "raises": "raises",
    "leaves": "leaves",
    "hangs": "hangs",
    "waits": "waits",
    "constant": "constant",
    "thing": "Thing",
    "absent": "nothing_like_that",
}


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    for module in ("vendor_x_secrets", "broken_secrets", "other_secrets"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    install(folder, "vendor-x-secrets", VENDOR, points=POINTS)
    return folder


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path, {})


def plugin(name: str, **settings: Any) -> PluginReference:
    return PluginReference(name, orjson.dumps(settings))


async def refusal(secrets: Secrets, reference: PluginReference) -> str:
    found = await secrets.resolve(reference)
    assert isinstance(found, Unresolved)
    assert TEXT not in f"{found!r}"
    return found.message.removeprefix(f"the plug-in {reference.plugin} ")


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", ["vendor-x", "vendor-async"])
async def test_a_plugin_finds_the_token_by_what_it_is_told(secrets: Secrets, name: str) -> None:
    assert await secrets.resolve(plugin(name, token=TEXT)) == TOKEN


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (plugin("raises"), "failed (LookupError); what it said is not shown, because it may hold the token"),
        (plugin("leaves"), "failed (SystemExit); what it said is not shown, because it may hold the token"),
        (plugin("vendor-x", other=TEXT), "failed (KeyError); what it said is not shown, because it may hold the token"),
        (plugin("thing"), "gives a Thing where the token's text belongs"),
        (plugin("vendor-x", token=None), "gives a NoneType where the token's text belongs"),
        (plugin("vendor-x", token={"a": TEXT}), "gives a dict where the token's text belongs"),
        (plugin("vendor-x", token=""), "gives an empty text"),
        (plugin("vendor-x", token=f"{TEXT}\n"), "gives a text with a line break: it is to give the token and nothing"),
        (plugin("vendor-x", token="short"), "gives no token: a token has 8 to 512 characters, this one has 5"),
        (plugin("vendor-x", token=f"{TEXT} "), "gives no token: a token has visible ASCII characters only"),
        (plugin("constant"), "is no function: its entry point has to name something that can be called"),
        (plugin("absent"), "cannot be imported: is what it needs installed?"),
        (plugin("nobody"), "is not installed, or two packages bring one of that name"),
    ],
)
async def test_what_a_plugin_does_wrong_is_said_and_what_it_said_is_not(
    secrets: Secrets, reference: PluginReference, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert (await refusal(secrets, reference)).startswith(message)
    assert capfd.readouterr() == ("", "")


async def test_a_module_that_cannot_be_imported_is_a_mistake(secrets: Secrets, packages: Path) -> None:
    install(packages, "broken-secrets", f"raise RuntimeError('{TEXT}')", points={"broken": "find"})
    assert (await refusal(secrets, plugin("broken"))).startswith("cannot be imported")


async def test_two_plugins_of_one_name_are_a_mistake(secrets: Secrets, packages: Path) -> None:
    install(packages, "other-secrets", VENDOR, points={"vendor-x": "find"})
    assert (await refusal(secrets, plugin("vendor-x", token=TEXT))).startswith("is not installed, or two packages")


@pytest.mark.usefixtures("packages")
async def test_a_plugin_that_waits_is_ended_when_its_time_is_over(tmp_path: Path) -> None:
    threads = set(threading.enumerate())
    secrets = Secrets(tmp_path, {}, Bounds(seconds=0.02))
    assert await refusal(secrets, plugin("waits")) == "did not answer within 0.02 s"
    async with asyncio.timeout(30):
        while not set(threading.enumerate()) <= threads:
            await asyncio.sleep(0.002)


@pytest.mark.usefixtures("packages")
async def test_a_plugin_that_blocks_stops_nobody_and_has_so_many_threads_at_most(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path, {}, Bounds(at_once=2, seconds=0.2))
    first = await secrets.resolve_all([plugin("hangs", n=n) for n in range(5)])
    messages = [found.message.removeprefix("the plug-in hangs ") for found in first if isinstance(found, Unresolved)]
    assert 2 <= messages.count("did not answer within 0.2 s") <= 3
    assert all(message.startswith("was not asked: it has not answered ") for message in messages[-2:])
    # However busy the machine is: some time or other these take less than the fifth of a second that they have.
    async with asyncio.timeout(30):
        while await secrets.resolve(plugin("vendor-x", token=TEXT)) != TOKEN:
            await asyncio.sleep(0.002)
        sys.modules["vendor_x_secrets"].awake.set()
        while await secrets.resolve(plugin("hangs")) != TOKEN:
            await asyncio.sleep(0.002)


@pytest.mark.usefixtures("packages")
async def test_a_plugin_is_imported_when_a_reference_to_it_is_resolved_and_not_before(secrets: Secrets) -> None:
    assert set(installed_plugins()) >= set(POINTS)
    assert "vendor_x_secrets" not in sys.modules
    await secrets.resolve(plugin("vendor-x", token=TEXT))
    assert "vendor_x_secrets" in sys.modules


@pytest.mark.usefixtures("packages")
async def test_a_lookup_that_is_cancelled_leaves_no_task(secrets: Secrets) -> None:
    task = asyncio.create_task(secrets.resolve(plugin("hangs")))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
    importlib.import_module("vendor_x_secrets").awake.set()


def test_the_protocol_is_public_and_takes_functions_of_both_kinds() -> None:
    def at_once(settings: Mapping[str, Any]) -> str:
        return str(settings["token"])

    async def later(settings: Mapping[str, Any]) -> str:
        return str(settings["token"])

    plugins: list[SecretPlugin] = [at_once, later]
    assert all(map(callable, plugins))
