"""Tokens that commands print.

A command gets no shell, no input and no terminal; it is a process group of its own,
which is killed with everything it started when its time is over or its caller gives up.
What it prints to standard error is thrown away.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wolkvox_async.references import CommandReference

from .files import reason
from .found import LARGEST, Resolution, decoded, unresolved


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where commands run, with what environment, and for how many seconds at most."""

    folder: Path
    environment: Mapping[str, str]
    seconds: float


async def from_command(reference: CommandReference, around: Surroundings) -> Resolution:
    """Return the token that a command prints; when cancelled, it is killed."""
    try:
        transport, ending = await _start(reference, around)
    except FileNotFoundError as error:
        return unresolved(reference, f"could not be started: {reason(error)}{_hint(reference, around)}")
    except (OSError, ValueError) as error:
        return unresolved(reference, f"could not be started: {reason(error)}")
    try:
        async with asyncio.timeout(around.seconds):
            await asyncio.shield(ending.reached)
    except TimeoutError:
        return unresolved(reference, f"did not end within {around.seconds:g} s")
    finally:
        await _end(transport, ending)
    status = transport.get_returncode()
    # What prints too much is stopped, so its status says nothing.
    if status == 0 or len(ending.output) > LARGEST:
        return decoded(reference, bytes(ending.output))
    return unresolved(reference, _exit(status))


def _hint(reference: CommandReference, around: Surroundings) -> str:
    if not around.folder.is_dir():
        return f" (there is no folder {around.folder} to run it in)"
    return "" if "/" in reference.program else " (is it installed, and its folder in PATH?)"


async def _start(reference: CommandReference, around: Surroundings) -> tuple[asyncio.SubprocessTransport, _Ending]:
    """Start a command; when cancelled meanwhile, it is ended as any other."""
    starting = asyncio.ensure_future(
        asyncio.get_running_loop().subprocess_exec(
            _Ending,
            *reference.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=around.folder,
            env=dict(around.environment),
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # Left to itself, a cancelled start kills the process and not what that has started.
        with suppress(OSError, ValueError):
            await _end(*await starting)
        raise


class _Ending(asyncio.SubprocessProtocol):
    """What a command prints, up to one byte more than allowed, and how it comes to its end.

    `exited` is when the process is gone, `reached` when its output is complete as well.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.output: Final = bytearray()
        self.exited: Final = loop.create_future()
        self.reached: Final = loop.create_future()
        self._printing: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.SubprocessTransport):
            self._printing = transport.get_pipe_transport(1)

    def pipe_data_received(self, _fd: int, data: bytes) -> None:
        self.output.extend(data[: LARGEST + 1 - len(self.output)])
        if len(self.output) > LARGEST and self._printing is not None:
            self._printing.close()

    def process_exited(self) -> None:
        self.exited.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        self.reached.set_result(None)


async def _end(transport: asyncio.SubprocessTransport, ending: _Ending) -> None:
    """Leave nothing behind: neither the process, nor what it started, nor the pipe."""
    if not ending.reached.done() and not _kill_group(transport.get_pid()):
        # Another user's program, as with sudo: what is left to do is not to listen any more.
        with suppress(PermissionError):
            transport.close()
        return
    # Closed only now: closing earlier asks for the exit status before the loop does, and the loop warns.
    await asyncio.shield(ending.exited)
    transport.close()
    await asyncio.shield(ending.reached)


def _kill_group(leader: int) -> bool:
    """Kill a command with everything in its process group; False when that is not allowed."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def _exit(status: int | None) -> str:
    if status is None:
        return "did not end"
    return f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
