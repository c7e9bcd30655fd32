"""Where a token is to be found: values, not yet resolved.

A tenants file refers to tokens and does not hold them. Settings reads the references,
an adapter resolves them (and again, when the vendor refused what they gave), so the
values stand below both. None of them shows a secret: a literal token is wrapped at
once, of a command only the first word is ever printed, because its arguments may hold
one, and of a plug-in only its name, because its settings may.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from .model import Token

SECRETS_DIR: Final = "/run/secrets"
"""Where Docker puts secrets, and where they are looked for unless another folder is named."""


@dataclass(frozen=True, slots=True)
class EnvReference:
    """The environment variable `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class FileReference:
    """A file with the token and at most one newline behind it; `path` as the tenants file writes it."""

    path: str


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A file of the secrets folder (Docker, Kubernetes, systemd), by its name in there."""

    name: str


@dataclass(frozen=True, slots=True, repr=False)
class CommandReference:
    """A program and its arguments, run without a shell; what it prints is the token."""

    argv: tuple[str, ...]

    @property
    def program(self) -> str:
        """The first word, which may be printed."""
        return self.argv[0]

    def __repr__(self) -> str:
        return f"CommandReference({self.program!r}, ...)"


@dataclass(frozen=True, slots=True)
class KeyringReference:
    """An entry of the system's keyring."""

    service: str
    username: str


@dataclass(frozen=True, slots=True, repr=False)
class PluginReference:
    """What an installed plug-in finds; `settings` is the JSON object that the tenants file hands to it."""

    plugin: str
    settings: bytes

    def __repr__(self) -> str:
        return f"PluginReference({self.plugin!r}, ...)"


@dataclass(frozen=True, slots=True)
class LiteralReference:
    """The token itself, as text in the tenants file or handed over by an embedding service."""

    token: Token


TokenReference: TypeAlias = (
    EnvReference
    | FileReference
    | SecretReference
    | CommandReference
    | KeyringReference
    | PluginReference
    | LiteralReference
)


def describe(reference: TokenReference) -> str:  # noqa: PLR0911 - one for each kind
    """Name `reference` for a message, without anything secret."""
    match reference:
        case EnvReference(name=name):
            return f"the environment variable {name}"
        case FileReference(path=path):
            return f"the file {path}"
        case SecretReference(name=name):
            return f"the secret {name}"
        case CommandReference(program=program):
            return f"the command {program}"
        case KeyringReference(service=service, username=username):
            return f"the keyring entry {service}/{username}"
        case PluginReference(plugin=plugin):
            return f"the plug-in {plugin}"
        case LiteralReference(token=token):
            return f"the literal token {token.id}"
        case _ as never:
            assert_never(never)


def way_and_place(reference: TokenReference) -> tuple[str, str]:  # noqa: PLR0911 - one for each kind
    """Return the key under which the tenants file writes `reference`, and what of its value may be shown."""
    match reference:
        case EnvReference(name=name):
            return "env", name
        case FileReference(path=path):
            return "file", path
        case SecretReference(name=name):
            return "secret", name
        case CommandReference(program=program):
            return "command", program
        case KeyringReference(service=service, username=username):
            return "keyring", f"{service}/{username}"
        case PluginReference(plugin=plugin):
            return plugin, ""
        case LiteralReference():
            return "literal", ""
        case _ as never:
            assert_never(never)


def is_looked_at(reference: TokenReference) -> bool:
    """Tell whether resolving it only looks somewhere, and runs nothing of anybody."""
    return not isinstance(reference, CommandReference | KeyringReference | PluginReference)
