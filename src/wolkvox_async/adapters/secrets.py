"""Token references resolved: environment, files, commands and the system's keyring.

A token's text is here for moments only, between where it was found and the `Token` that
never shows it. So no message quotes what was found, no exception of anybody leaves this
file (theirs may hold it), and what a command prints to standard error is thrown away.

A command gets no shell, no input and no terminal; it is a process group of its own,
which is killed with everything it started when its time is over or its caller gives up.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias, assert_never

from wolkvox_async.model import Token
from wolkvox_async.references import (
    CommandReference,
    EnvReference,
    FileReference,
    KeyringReference,
    LiteralReference,
    TokenReference,
    describe,
)

LARGEST: Final = 4096
"""Bytes that a secret may have where it is found; a token has at most 512."""

# A pipe or a device in a secret's place must not be waited for.
_OPEN: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
# So many environment variables and files are read before other tasks have a chance to run.
_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class CommandLimits:
    """How many commands run at once, and for how many seconds each."""

    at_once: int = 16
    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A reference that gives no token; `message` names the reference and says why."""

    message: str


Resolution: TypeAlias = Token | Unresolved

_LIMITS: Final = CommandLimits()


class Secrets:
    """Resolves token references, as often as it is asked to: nothing found is kept."""

    __slots__ = ("_environment", "_exposed", "_folder", "_keyring", "_limits", "_places")

    def __init__(self, folder: Path, environment: Mapping[str, str], limits: CommandLimits = _LIMITS) -> None:
        """Resolve against `folder`, that of the tenants file, and `environment`, which commands inherit."""
        self._folder: Final = folder.absolute()
        self._environment: Final = environment
        self._limits: Final = limits
        self._places: Final = asyncio.Semaphore(limits.at_once)  # noqa: TID251 - these are programs, not calls
        self._keyring: Final = asyncio.Lock()
        # At most as many as there are file references.
        self._exposed: Final[dict[str, None]] = {}

    @property
    def exposed(self) -> tuple[str, ...]:
        """The files resolved so far that every user of the machine may read, as their references write them."""
        return tuple(self._exposed)

    async def resolve(self, reference: TokenReference) -> Resolution:
        """Return the token that `reference` gives now, or why it gives none; never raises for either.

        When cancelled, a running command is killed.
        """
        match reference:
            case EnvReference() | FileReference() | LiteralReference():
                return self._resolve_at_once(reference)
            case CommandReference():
                async with self._places:
                    return await self._from_command(reference)
            case KeyringReference():
                async with self._keyring:
                    return await _from_keyring(reference)
            case _ as never:
                assert_never(never)

    async def resolve_all(self, references: Sequence[TokenReference]) -> list[Resolution]:
        """Resolve many, in their order; equal references are resolved once, commands several at a time."""
        found: dict[TokenReference, Resolution] = {}
        slow: list[TokenReference] = []
        for number, reference in enumerate(dict.fromkeys(references)):
            if isinstance(reference, CommandReference | KeyringReference):
                slow.append(reference)
                continue
            found[reference] = self._resolve_at_once(reference)
            if number % _BATCH == 0:
                await asyncio.sleep(0)
        await self._resolve_slow(slow, found)
        return [found[reference] for reference in references]

    async def _resolve_slow(self, slow: list[TokenReference], found: dict[TokenReference, Resolution]) -> None:
        remaining = iter(slow)

        async def resolve_next() -> None:
            for reference in remaining:
                found[reference] = await self.resolve(reference)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._limits.at_once, len(slow))):
                group.create_task(resolve_next())

    def _resolve_at_once(self, reference: EnvReference | FileReference | LiteralReference) -> Resolution:
        match reference:
            case EnvReference():
                return self._from_environment(reference)
            case FileReference():
                return self._from_file(reference)
            case LiteralReference(token=token):
                return token

    def _from_environment(self, reference: EnvReference) -> Resolution:
        text = self._environment.get(reference.name)
        if text is None:
            return _unresolved(reference, "is not set")
        return _token(reference, text) if text else _unresolved(reference, "is empty")

    def _from_file(self, reference: FileReference) -> Resolution:
        try:
            content, mode = _read(self._folder / reference.path)
        except FileNotFoundError:
            return _unresolved(reference, f"does not exist (looked for in {self._folder})")
        except PermissionError:
            return _unresolved(reference, "may not be read: permission denied")
        except (OSError, ValueError) as error:
            return _unresolved(reference, f"cannot be read: {_reason(error)}")
        if content is None:
            return _unresolved(reference, "is no regular file")
        if mode & stat.S_IROTH:
            self._exposed[reference.path] = None
        return _decode(reference, content)

    async def _from_command(self, reference: CommandReference) -> Resolution:
        try:
            transport, ending = await self._start(reference)
        except (OSError, ValueError) as error:
            return _unresolved(reference, f"could not be started: {_reason(error)}")
        try:
            async with asyncio.timeout(self._limits.seconds):
                await asyncio.shield(ending.reached)
        except TimeoutError:
            return _unresolved(reference, f"did not end within {self._limits.seconds:g} s")
        finally:
            await _end(transport, ending)
        status = transport.get_returncode()
        # What prints too much is stopped, so its status says nothing.
        if status == 0 or len(ending.output) > LARGEST:
            return _decode(reference, bytes(ending.output))
        return _unresolved(reference, _exit(status))

    async def _start(self, reference: CommandReference) -> tuple[asyncio.SubprocessTransport, _Ending]:
        """Start a command; when cancelled meanwhile, it is ended as any other."""
        starting = asyncio.ensure_future(
            asyncio.get_running_loop().subprocess_exec(
                _Ending,
                *reference.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                cwd=self._folder,
                env=dict(self._environment),
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


async def _from_keyring(reference: KeyringReference) -> Resolution:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        return _unresolved(reference, "needs an extra: pip install 'wolkvox-async[keyring]'")
    try:
        text = await asyncio.to_thread(keyring.get_password, reference.service, reference.username)
    except Exception as error:  # noqa: BLE001 - every backend has errors of its own, with texts of its own
        return _unresolved(reference, f"cannot be read ({type(error).__name__})")
    return _unresolved(reference, "does not exist") if text is None else _token(reference, text)


def _read(path: Path) -> tuple[bytes | None, int]:
    """Return a file's content, up to one byte more than allowed, and its mode; no content when it is no file."""
    descriptor = os.open(path, _OPEN)
    try:
        mode = os.fstat(descriptor).st_mode
        return (os.read(descriptor, LARGEST + 1) if stat.S_ISREG(mode) else None), mode
    finally:
        os.close(descriptor)


def _decode(reference: TokenReference, content: bytes) -> Resolution:
    if len(content) > LARGEST:
        return _unresolved(reference, f"gives more than {LARGEST} bytes: that is no token")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return _unresolved(reference, "gives bytes that are no text")
    text = text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")
    if not text:
        return _unresolved(reference, "gives nothing")
    return _unresolved(reference, "gives more than one line") if "\n" in text else _token(reference, text)


def _token(reference: TokenReference, text: str) -> Resolution:
    try:
        return Token(text)
    except ValueError as error:
        return _unresolved(reference, f"gives no token: {error}")


def _unresolved(reference: TokenReference, reason: str) -> Unresolved:
    return Unresolved(f"{describe(reference)} {reason}")


def _reason(error: OSError | ValueError) -> str:
    return error.strerror or "no reason given" if isinstance(error, OSError) else "its name cannot be one"


def _exit(status: int | None) -> str:
    if status is None:
        return "did not end"
    return f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
