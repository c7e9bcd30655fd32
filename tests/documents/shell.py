"""Blocks of `sh` as one script of bash, whose lines are told of in `accounts.py` where they need it.

A block with a here-document is one piece: only its first line can be told of.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import click

from wolkvox_async.apps.cli.group import cli

from .accounts import Account, Endless, Ends, Given, NotRun
from .sandbox import World

TOOLS: Final = ("curl", "jq", "psql", "target-jsonl", "zstd", "zstdcat")
LANGUAGES: Final = ("sh", "bash", "shell")
OF_LINES: Final = (NotRun, Endless, Ends, Given)
"""Accounts that a line of a block may have."""

_PATIENCE: Final = 120.0  # seconds

_PRELUDE: Final = """
set -eu -o pipefail
groups=()
endless() {  # CONDITION COMMAND: the next line comes once the condition holds
    said=said-${#groups[@]}.log
    : >"$said"  # a condition may look before the command has begun
    setsid bash -c "$2" </dev/null >"$said" 2>&1 &
    groups+=($!)
    for _ in $(seq 1200); do
        eval "$1" >/dev/null && return
        kill -0 $! 2>/dev/null || break
        sleep 0.05
    done
    echo "this never came to: $1" >&2
    cat "$said" >&2
    return 99
}
finish() {
    code=$?
    for group in ${groups[@]+"${groups[@]}"}; do
        kill -TERM -- -$group 2>/dev/null || true
        while kill -0 -- -$group 2>/dev/null; do sleep 0.02; done
    done
    exit $code
}
trap finish EXIT
"""


@dataclass(frozen=True, slots=True)
class Said:
    """How a script ended, and what it wrote to both of its streams."""

    code: int
    out: str


def lines_of(text: str) -> list[str]:
    """Return the lines as the shell has them: one that goes on below is one."""
    if "<<" in text:
        return [text]
    return [line for line in text.replace("\\\n", "\0").splitlines() if line.strip()]


def told(line: str, accounts: Sequence[Account]) -> list[Account]:
    """Return the accounts that a line has."""
    return [one for one in accounts if line.startswith(one.begins.split("\n")[0])]


def script(text: str, accounts: Sequence[Account]) -> str:
    """Return what is run of a block."""
    return "\n".join(_command(line, told(line, accounts)) for line in lines_of(text)).replace("\0", "\\\n")


def _command(line: str, accounts: Sequence[Account]) -> str:
    for account in accounts:
        match account:
            case NotRun():
                return ":"
            case Given(before=before, after=after, instead=instead):
                for old, new in instead.items():
                    assert old in line, f"{old!r} is not in: {line}"
                    line = line.replace(old, new)
                line = before + line + after
            case Endless(until=until, env=env):
                given = "".join(f"export {name}={shlex.quote(value)}; " for name, value in env.items())
                line = f"endless {shlex.quote(until)} {shlex.quote(given + line)}"
            case Ends(code=code):
                line = f"{{ {line}\n}} && exit 98 || test $? = {code}"
            case _:
                pass
    return line


async def run(text: str, world: World) -> Said:
    """Run a script to its end; whatever it started is gone then."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", _PRELUDE + text),
        cwd=world.folder,
        env=dict(world.variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)  # the script then ends what it has started
            await process.wait()
    return Said(process.returncode or 0, said.decode(errors="replace"))


def mistakes(text: str) -> Iterator[str]:
    """Yield what is wrong with the commands and options of ours that a text names, without running any."""
    joined = text.replace("\\\n", " ").replace("\0", " ")
    for command in re.findall(r"(?:^|[|&;(] *|/bin/|exec )wolkvox-async((?: [^|&;<>\n]+)?)", joined, re.MULTILINE):
        name, *arguments = [*shlex.split(command, comments=True), "--help"]
        if name.startswith("-"):
            continue
        found = cli.get_command(click.Context(cli), name)
        if found is None:
            yield f"there is no command {name}"
            continue
        try:
            with suppress(click.exceptions.Exit), click.Context(found).scope():
                found.make_parser(click.Context(found)).parse_args([one for one in arguments if one != "--help"])
        except click.UsageError as error:
            yield f"wolkvox-async{command}: {error.format_message()}"


def missing_tools(text: str, path: str) -> list[str]:
    """Return the tools that a text uses and this machine has not."""
    used = (name for name in TOOLS if re.search(rf"(?:^|[|&;(]\s*){name}\b", text, re.MULTILINE))
    return [name for name in used if shutil.which(name, path=path) is None]
