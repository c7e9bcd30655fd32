"""The system's keyring: the real package, with backends of its own and of ours."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import InitError, KeyringLocked

from wolkvox_async.adapters.secrets import Bounds, Secrets, Unresolved
from wolkvox_async.model import Token
from wolkvox_async.references import KeyringReference

TEXT = "5f4dcc3b5aa765d61d8327deb882cf99"
TOKEN = Token(TEXT)
ACME = KeyringReference("wolkvox", "acme")


class FileKeyring(KeyringBackend):
    """A keyring in a file, as `keyrings.alt` has one."""

    priority = 9

    def __init__(self, path: Path) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.path = path

    def get_password(self, service: str, username: str) -> str | None:
        found: dict[str, str] = json.loads(self.path.read_text()) if self.path.exists() else {}
        return found.get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self.path.write_text(json.dumps({f"{service} {username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        self.set_password(service, username, "")


class Failing(FileKeyring):
    """A keyring that raises, and says the token as it does."""

    def __init__(self, path: Path, error: type[Exception]) -> None:
        super().__init__(path)
        self.error = error

    def get_password(self, service: str, username: str) -> str | None:
        raise self.error(f"{service} {username} {TEXT}")


class Counting(FileKeyring):
    """A keyring that counts who asks it at once."""

    asking = 0
    most = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.asking += 1
        self.most = max(self.most, self.asking)
        threading.Event().wait(0.002)
        self.asking -= 1
        return super().get_password(service, username)


class Asleep(FileKeyring):
    """A keyring that waits for somebody to type a password."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.awake = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.awake.wait(30)
        return super().get_password(service, username)


@pytest.fixture(autouse=True)
def whatever_keyring_was_there() -> Iterator[None]:
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path, {})


async def refusal(secrets: Secrets) -> str:
    found = await secrets.resolve(ACME)
    assert isinstance(found, Unresolved)
    assert TEXT not in f"{found!r}"
    return found.message.removeprefix("the keyring entry wolkvox/acme ")


async def test_the_keyring_gives_what_was_stored_in_it(secrets: Secrets, tmp_path: Path) -> None:
    keyring.set_keyring(FileKeyring(tmp_path / "keyring"))
    assert await refusal(secrets) == "does not exist: `keyring set wolkvox acme` asks for the token and stores it"
    keyring.set_password("wolkvox", "acme", TEXT)
    assert await secrets.resolve(ACME) == TOKEN


async def test_without_the_extra_the_way_to_get_it_is_said(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert await refusal(secrets) == "needs an extra: pip install 'wolkvox-async[keyring]'"


async def test_without_a_backend_the_ways_out_are_said(secrets: Secrets) -> None:
    keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]
    message = await refusal(secrets)
    assert message.startswith("cannot be read, because no keyring is there: on a server there mostly is none")
    assert '"secret"' in message
    assert "PYTHON_KEYRING_BACKEND" in message


async def test_a_keyring_that_is_switched_off_is_told_from_an_empty_one(secrets: Secrets) -> None:
    keyring.set_keyring(null.Keyring())  # type: ignore[no-untyped-call]
    assert (await refusal(secrets)).startswith("does not exist: the keyring is switched off (null backend)")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyringLocked, "cannot be read, because the keyring is locked: unlock it"),
        (InitError, "cannot be read (InitError): `python -m keyring diagnose`"),
        (ModuleNotFoundError, "cannot be read: is the backend that PYTHON_KEYRING_BACKEND or keyringrc.cfg names"),
        (LookupError, "cannot be read (LookupError)"),
    ],
)
async def test_an_error_of_a_keyring_is_named_and_not_quoted(
    secrets: Secrets, tmp_path: Path, error: type[Exception], message: str
) -> None:
    keyring.set_keyring(Failing(tmp_path, error))
    assert (await refusal(secrets)).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "gives an empty text"),
        (f"{TEXT}\n", "gives a text with a line break"),
        ("short", "gives no token: a token has 8 to 512 characters, this one has 5"),
    ],
)
async def test_what_is_no_token_is_said_and_not_shown(
    secrets: Secrets, tmp_path: Path, text: str, message: str
) -> None:
    keyring.set_keyring(FileKeyring(tmp_path / "keyring"))
    keyring.set_password("wolkvox", "acme", text)
    assert (await refusal(secrets)).startswith(message)


async def test_the_keyring_is_asked_one_thing_at_a_time_and_not_by_the_event_loop(
    secrets: Secrets, tmp_path: Path
) -> None:
    counting = Counting(tmp_path / "keyring")
    keyring.set_keyring(counting)
    found = await secrets.resolve_all([KeyringReference("wolkvox", f"name-{n}") for n in range(8)])
    assert len(found) == 8
    assert counting.most == 1


async def test_no_thread_is_left_when_the_keyring_has_answered(secrets: Secrets, tmp_path: Path) -> None:
    keyring.set_keyring(FileKeyring(tmp_path / "keyring"))
    threads = set(threading.enumerate())
    left: set[threading.Thread] = set()
    for _ in range(100):
        await secrets.resolve(ACME)
        left |= set(threading.enumerate()) - threads
    assert left == set(), "who forks next has to be alone"


async def test_a_keyring_that_asks_somebody_stops_nothing_and_is_not_asked_again_meanwhile(tmp_path: Path) -> None:
    keyring.set_keyring(asleep := Asleep(tmp_path / "keyring"))
    secrets = Secrets(tmp_path, {}, Bounds(seconds=0.02))
    assert await refusal(secrets) == (
        "did not come within 0.02 s: is the keyring locked, or asking somebody something?"
    )
    assert await refusal(secrets) == "was not asked for: the keyring has not answered an earlier question"
    asleep.awake.set()
    keyring.set_keyring(FileKeyring(tmp_path / "keyring"))
    keyring.set_password("wolkvox", "acme", TEXT)
    async with asyncio.timeout(30):
        while await secrets.resolve(ACME) != TOKEN:
            await asyncio.sleep(0.002)


def test_the_package_is_imported_only_when_a_reference_needs_it(tmp_path: Path) -> None:
    program = f"""
import asyncio, sys
from pathlib import Path
from wolkvox_async.adapters.secrets import Secrets
from wolkvox_async.references import EnvReference, KeyringReference
secrets = Secrets(Path({str(tmp_path)!r}), {{"ACME": "made-up-token"}})
asyncio.run(secrets.resolve(EnvReference("ACME")))
before = "keyring" in sys.modules
asyncio.run(secrets.resolve(KeyringReference("wolkvox", "acme")))
print(before, "keyring" in sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "True"]
