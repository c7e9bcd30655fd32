"""Resolves token references, each in its way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, assert_never

from wolkvox_async.references import (
    SECRETS_DIR,
    CommandReference,
    EnvReference,
    FileReference,
    KeyringReference,
    LiteralReference,
    PluginReference,
    SecretReference,
    TokenReference,
    is_looked_at,
)

from .bounds import Bounds
from .commands import Surroundings, from_command
from .files import from_file
from .found import Resolution, token_of, unresolved
from .keyrings import from_keyring
from .plugins import from_plugin
from .threads import Threads

# So many environment variables and files are read before other tasks have a chance to run.
_BATCH: Final = 200
_BOUNDS: Final = Bounds()


class Secrets:
    """Resolves token references, as often as it is asked to: nothing found is kept."""

    __slots__ = ("_bounds", "_environment", "_exposed", "_folder", "_keyring", "_places", "_plugins", "_secrets_dir")

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        bounds: Bounds = _BOUNDS,
        *,
        secrets_dir: Path = Path(SECRETS_DIR),
    ) -> None:
        """Resolve against `folder`, that of the tenants file, and `environment`, which commands inherit.

        `secrets_dir` is relative to `folder` too.
        """
        self._folder: Final = folder.absolute()
        self._secrets_dir: Final = self._folder / secrets_dir
        self._environment: Final = environment
        self._bounds: Final = bounds
        self._places: Final = asyncio.Semaphore(bounds.at_once)  # noqa: TID251 - these are programs, not calls
        self._keyring: Final = Threads(1)
        # At most as many as there are names of plug-ins in the tenants file.
        self._plugins: Final[dict[str, Threads]] = {}
        # At most as many as there are references to files and secrets.
        self._exposed: Final[dict[FileReference | SecretReference, None]] = {}

    @property
    def exposed(self) -> tuple[FileReference | SecretReference, ...]:
        """The references resolved so far whose file every user of the machine may read."""
        return tuple(self._exposed)

    @property
    def secrets_dir(self) -> Path:
        """Where secrets are looked for."""
        return self._secrets_dir

    def path_of(self, reference: TokenReference) -> Path | None:
        """Return the file that a reference points to, if it points to one."""
        match reference:
            case FileReference(path=path):
                return self._folder / path
            case SecretReference(name=name):
                return self._secrets_dir / name
            case _:
                return None

    async def resolve(self, reference: TokenReference) -> Resolution:
        """Return the token that `reference` gives now, or why it gives none; never raises for either.

        When cancelled, a running command is killed.
        """
        match reference:
            case CommandReference():
                async with self._places:
                    around = Surroundings(self._folder, self._environment, self._bounds.seconds)
                    return await from_command(reference, around)
            case KeyringReference():
                return await from_keyring(reference, self._keyring, self._bounds.seconds)
            case PluginReference(plugin=plugin):
                threads = self._plugins.setdefault(plugin, Threads(self._bounds.at_once))
                return await from_plugin(reference, threads, self._bounds.seconds)
            case _:
                return self._resolve_at_once(reference)

    async def resolve_all(self, references: Sequence[TokenReference]) -> list[Resolution]:
        """Resolve many, in their order; equal references are resolved once, commands and the like several at a time."""
        found: dict[TokenReference, Resolution] = {}
        slow: list[TokenReference] = []
        for number, reference in enumerate(dict.fromkeys(references)):
            if not is_looked_at(reference):
                slow.append(reference)
                continue
            found[reference] = await self.resolve(reference)
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
            for _ in range(min(self._bounds.at_once, len(slow))):
                group.create_task(resolve_next())

    def _resolve_at_once(
        self, reference: EnvReference | FileReference | SecretReference | LiteralReference
    ) -> Resolution:
        match reference:
            case EnvReference():
                return self._from_environment(reference)
            case FileReference():
                return from_file(reference, self._folder, lambda: self._exposed.setdefault(reference))
            case SecretReference():
                return from_file(reference, self._secrets_dir, lambda: self._exposed.setdefault(reference))
            case LiteralReference(token=token):
                return token
            case _ as never:
                assert_never(never)

    def _from_environment(self, reference: EnvReference) -> Resolution:
        text = self._environment.get(reference.name)
        if text is None:
            return unresolved(reference, "is not set")
        return token_of(reference, text) if text else unresolved(reference, "is empty")
