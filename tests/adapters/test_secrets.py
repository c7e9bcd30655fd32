from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from wolkvox_async.adapters.secrets import Bounds, Secrets, Unresolved
from wolkvox_async.model import Token
from wolkvox_async.references import (
    CommandReference,
    EnvReference,
    FileReference,
    LiteralReference,
    TokenReference,
)

TEXT = "5f4dcc3b5aa765d61d8327deb882cf99"
TOKEN = Token(TEXT)
BRIEF = Bounds(seconds=0.05)


def shell(script: str) -> CommandReference:
    return CommandReference(("sh", "-c", script))


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path, {"PATH": os.environ["PATH"], "ACME": TEXT, "EMPTY": "", "SPACED": f"{TEXT} "})


async def refusal(secrets: Secrets, reference: TokenReference) -> str:
    found = await secrets.resolve(reference)
    assert isinstance(found, Unresolved)
    assert TEXT not in f"{found!r}"
    return found.message


# --- environment ------------------------------------------------------------------------


async def test_a_variable_gives_its_token(secrets: Secrets) -> None:
    assert await secrets.resolve(EnvReference("ACME")) == TOKEN


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NOBODY", "the environment variable NOBODY is not set"),
        ("EMPTY", "the environment variable EMPTY is empty"),
        ("SPACED", "the environment variable SPACED gives no token: a token has visible ASCII characters only"),
    ],
)
async def test_a_variable_without_a_token_is_named(secrets: Secrets, name: str, message: str) -> None:
    assert (await refusal(secrets, EnvReference(name))).startswith(message)


async def test_a_variable_is_looked_up_each_time(tmp_path: Path) -> None:
    environment = {"ACME": "first-token"}
    secrets = Secrets(tmp_path, environment)
    assert await secrets.resolve(EnvReference("ACME")) == Token("first-token")
    environment["ACME"] = TEXT
    assert await secrets.resolve(EnvReference("ACME")) == TOKEN


async def test_a_literal_token_is_itself(secrets: Secrets) -> None:
    assert await secrets.resolve(LiteralReference(TOKEN)) is TOKEN


# --- files ------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
async def test_a_file_gives_its_token_without_one_trailing_newline(
    secrets: Secrets, tmp_path: Path, ending: str
) -> None:
    (tmp_path / "secret").write_bytes(f"{TEXT}{ending}".encode())
    assert await secrets.resolve(FileReference("secret")) == TOKEN
    assert await secrets.resolve(FileReference(str(tmp_path / "secret"))) == TOKEN


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file secret gives nothing"),
        (b"\n", "the file secret gives nothing"),
        (f"{TEXT}\n\n".encode(), "the file secret gives more than one line"),
        (f"{TEXT}\nuser: acme\n".encode(), "the file secret gives more than one line"),
        (f"{TEXT}\r".encode(), "the file secret gives no token: a token has visible ASCII characters only"),
        (b"short\n", "the file secret gives no token: a token has 8 to 512 characters, this one has 5"),
        (f"\xff{TEXT}".encode("latin-1"), "the file secret gives bytes that are no text"),
        (f"{TEXT}\0".encode(), "the file secret gives no token"),
        (TEXT.encode() * 129, "the file secret gives more than 4096 bytes: that is no token"),
        (TEXT.encode() * 20, "the file secret gives no token: a token has 8 to 512 characters, this one has 640"),
    ],
)
async def test_a_file_without_a_token_is_named_and_not_quoted(
    secrets: Secrets, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "secret").write_bytes(content)
    assert (await refusal(secrets, FileReference("secret"))).startswith(message)


async def test_what_is_no_file_is_not_read(secrets: Secrets, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    missing = await refusal(secrets, FileReference("none/secret"))
    assert missing == f"the file none/secret does not exist (looked for in {tmp_path})"
    for name in ("pipe", "folder", "/dev/zero"):
        assert await refusal(secrets, FileReference(name)) == f"the file {name} is no regular file"
    assert "cannot be read" in await refusal(secrets, FileReference("a\0b"))
    assert "cannot be read" in await refusal(secrets, FileReference("x" * 300))


async def test_files_that_everybody_may_read_are_remembered_by_name(secrets: Secrets, tmp_path: Path) -> None:
    for name, mode in (("private", 0o600), ("group", 0o640), ("public", 0o644)):
        (tmp_path / name).write_text(TEXT)
        (tmp_path / name).chmod(mode)
        for _ in range(2):
            assert await secrets.resolve(FileReference(name)) == TOKEN
    assert secrets.exposed == (FileReference("public"),)


# --- commands ---------------------------------------------------------------------------


async def test_a_command_gives_what_it_prints(secrets: Secrets) -> None:
    assert await secrets.resolve(CommandReference(("echo", TEXT))) == TOKEN


async def test_a_command_gets_no_shell_and_no_input_but_the_environment_and_the_folder(
    secrets: Secrets, tmp_path: Path
) -> None:
    assert await refusal(secrets, CommandReference(("echo", f"{TEXT}; echo $HOME"))) == (
        "the command echo gives no token: a token has visible ASCII characters only: no spaces, no control characters"
    )
    assert await refusal(secrets, CommandReference(("cat",))) == "the command cat gives nothing"
    assert await secrets.resolve(shell('echo "$ACME"')) == TOKEN
    (tmp_path / "give").write_text(f"#!/bin/sh\necho {TEXT}\n")
    (tmp_path / "give").chmod(0o700)
    assert await secrets.resolve(CommandReference(("./give",))) == TOKEN


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (f"echo {TEXT} >&2; exit 3", "the command sh ended with exit status 3"),
        (f"echo {TEXT}; exit 1", "the command sh ended with exit status 1"),
        (f"echo {TEXT}; kill -9 $$", "the command sh was ended by signal 9"),
        (f"echo {TEXT}; echo {TEXT}", "the command sh gives more than one line"),
        (f"while :; do echo {TEXT}; done", "the command sh gives more than 4096 bytes: that is no token"),
        (f"echo {TEXT}; exec sleep 60", "the command sh did not end within 0.05 s"),
        (f"echo {TEXT}; sleep 60 & exit 0", "the command sh did not end within 0.05 s"),
    ],
)
async def test_a_command_without_a_token_says_how_it_ended_and_not_what_it_said(
    tmp_path: Path, script: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    limits = BRIEF if "within" in message else Bounds()
    assert await refusal(Secrets(tmp_path, os.environ, limits), shell(script)) == message
    assert capfd.readouterr() == ("", "")


async def test_a_command_that_cannot_be_started_is_named(secrets: Secrets, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    missing = await refusal(secrets, CommandReference(("no-such-program", TEXT)))
    assert missing == (
        "the command no-such-program could not be started: No such file or directory "
        "(is it installed, and its folder in PATH?)"
    )
    forbidden = await refusal(secrets, CommandReference(("./plain", TEXT)))
    assert forbidden == "the command ./plain could not be started: Permission denied"


class Lifeline:
    """A pipe that tells whether any process still holds its other end."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.script = f"exec 3>{path}; echo ready >&3; sleep 60 & sleep 60"

    async def held(self) -> None:
        """Wait until a process holds it."""
        async with asyncio.timeout(30):
            while not self._read():
                await asyncio.sleep(0.005)

    async def dropped(self) -> None:
        """Wait until no process holds it."""
        async with asyncio.timeout(30):
            while self._read() != b"":
                await asyncio.sleep(0.005)

    def _read(self) -> bytes | None:
        try:
            return os.read(self.descriptor, 100)
        except BlockingIOError:
            return None


@pytest.fixture
def lifeline(tmp_path: Path) -> Iterator[Lifeline]:
    lifeline = Lifeline(tmp_path / "lifeline")
    yield lifeline
    os.close(lifeline.descriptor)


async def test_a_cancelled_command_leaves_no_process_and_no_task(secrets: Secrets, lifeline: Lifeline) -> None:
    task = asyncio.create_task(secrets.resolve(shell(lifeline.script)))
    await lifeline.held()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await lifeline.dropped()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_command_is_ended_with_what_it_started_when_its_time_is_over(
    tmp_path: Path, lifeline: Lifeline
) -> None:
    secrets = Secrets(tmp_path, os.environ, Bounds(seconds=2.0))
    task = asyncio.create_task(secrets.resolve(shell(lifeline.script)))
    await lifeline.held()
    assert isinstance(await task, Unresolved)
    await lifeline.dropped()


@pytest.mark.parametrize("rounds", range(4))
async def test_a_command_may_be_given_up_at_any_moment(secrets: Secrets, rounds: int) -> None:
    task = asyncio.create_task(secrets.resolve(shell("sleep 60")))
    for _ in range(rounds):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- many -------------------------------------------------------------------------------


async def test_many_are_resolved_in_their_order(secrets: Secrets, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("token-of-a-file")
    references: list[TokenReference] = [
        EnvReference("ACME"),
        shell("echo token-of-a-command"),
        FileReference("secret"),
        EnvReference("NONE"),
    ]
    found = await secrets.resolve_all([*references, *references])
    once = [TOKEN, Token("token-of-a-command"), Token("token-of-a-file")]
    assert found[:3] == once
    assert found[4:7] == once
    assert isinstance(found[3], Unresolved)


async def test_equal_references_are_resolved_once(secrets: Secrets, tmp_path: Path) -> None:
    await secrets.resolve_all([shell("echo run >> runs; echo token-of-a-command")] * 5)
    assert (tmp_path / "runs").read_text() == "run\n"


async def test_no_more_commands_run_at_once_than_allowed(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path, os.environ, Bounds(at_once=2))
    script = "mkdir running.$$; ls -d running.* | wc -l >> seen; sleep 0.02; rmdir running.$$; echo token-{}"
    commands = [shell(script.format(number)) for number in range(10, 18)]
    together = await asyncio.gather(secrets.resolve_all(commands[:5]), *map(secrets.resolve, commands[5:]))
    assert together[0] == [Token(f"token-{number}") for number in range(10, 15)]
    seen = [int(count) for count in (tmp_path / "seen").read_text().split()]
    assert len(seen) == 8
    assert max(seen) <= 2


async def test_a_failing_command_does_not_stop_the_others(secrets: Secrets) -> None:
    found = await secrets.resolve_all([shell("exit 1"), shell(f"echo {TEXT}"), CommandReference(("no-such-program",))])
    assert [isinstance(one, Unresolved) for one in found] == [True, False, True]


async def test_resolving_thousands_lets_other_tasks_run(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path, {f"T{n}": f"token-number-{n}" for n in range(2_000)})
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    found = await secrets.resolve_all([EnvReference(f"T{n}") for n in range(2_000)])
    counting.cancel()
    assert found == [Token(f"token-number-{n}") for n in range(2_000)]
    assert turns >= 5


async def test_many_cancelled_commands_leave_nothing_behind(secrets: Secrets, lifeline: Lifeline) -> None:
    many = [shell(f"{lifeline.script} {number}") for number in range(20)]
    task = asyncio.create_task(secrets.resolve_all(many))
    await lifeline.held()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await lifeline.dropped()
    assert asyncio.all_tasks() == {asyncio.current_task()}
