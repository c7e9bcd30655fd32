"""Where a token is to be found: values, not yet resolved.

A tenants file refers to tokens and does not hold them. Settings reads the references,
an adapter resolves them (and again, when the vendor refused what they gave), so the
values stand below both. None of them shows a secret: a literal token is wrapped at
once, and of a command only the first word is ever printed, because its arguments may
hold one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, assert_never

from .model import Token


@dataclass(frozen=True, slots=True)
class EnvReference:
    """The environment variable `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class FileReference:
    """A file with the token and at most one newline behind it; `path` as the tenants file writes it."""

    path: str


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


@dataclass(frozen=True, slots=True)
class LiteralReference:
    """The token itself, as text in the tenants file or handed over by an embedding service."""

    token: Token


TokenReference: TypeAlias = EnvReference | FileReference | CommandReference | KeyringReference | LiteralReference


def describe(reference: TokenReference) -> str:
    """Name `reference` for a message, without anything secret."""
    match reference:
        case EnvReference(name=name):
            return f"the environment variable {name}"
        case FileReference(path=path):
            return f"the file {path}"
        case CommandReference(program=program):
            return f"the command {program}"
        case KeyringReference(service=service, username=username):
            return f"the keyring entry {service}/{username}"
        case LiteralReference(token=token):
            return f"the literal token {token.id}"
        case _ as never:
            assert_never(never)
