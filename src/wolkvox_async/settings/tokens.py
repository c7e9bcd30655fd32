"""Tokens of a tenants file: reading references, and noticing a token that is used twice.

A literal token becomes a value that never shows itself at once. No message quotes
anything that stands under `token` and looks like one, for people also write the token
where its variable's name should stand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from wolkvox_async.model import Operation, Token
from wolkvox_async.references import (
    CommandReference,
    EnvReference,
    FileReference,
    KeyringReference,
    LiteralReference,
    TokenReference,
)
from wolkvox_async.spelling import is_a_token_by_looks

from .complaints import Complaints
from .names import complain_about_text
from .places import Path

WAYS: Final = ("env", "file", "command", "keyring")
_LONGEST_PATH: Final = 4096
_NAMED: Final = 5


def read_reference(value: Any, path: Path, complaints: Complaints) -> TokenReference | None:
    """Return the reference that `value`, which stands at `path`, is; None after a complaint.

    Wrong types and unknown keys are somebody else's to complain about.
    """
    match value:
        case Token():
            return LiteralReference(value)
        case str():
            return _literal(value, path, complaints)
        case dict():
            return _object(value, path, complaints)
        case _:
            return None


def _literal(text: str, path: Path, complaints: Complaints) -> LiteralReference | None:
    try:
        return LiteralReference(Token(text))
    except ValueError as error:
        complaints.add(path, str(error))
        return None


def _object(value: dict[str, Any], path: Path, complaints: Complaints) -> TokenReference | None:
    ways = [way for way in WAYS if way in value]
    if len(ways) == 1:
        way = ways[0]
        return _READERS[way](value[way], (*path, way), complaints)
    if ways:
        complaints.add(path, f"a token is found in one way: this names {' and '.join(ways)}")
    elif not value:
        complaints.add(path, f"a token's reference names one of {', '.join(WAYS)}")
    return None


def _env(value: Any, path: Path, complaints: Complaints) -> EnvReference | None:
    if not isinstance(value, str) or not _is_nameable(value, "the name of the variable", path, complaints):
        return None
    if "=" in value:
        complaints.add(path, "the name of an environment variable has no equals sign")
        return None
    return EnvReference(value)


def _file(value: Any, path: Path, complaints: Complaints) -> FileReference | None:
    if not isinstance(value, str):
        return None
    problem = None
    if not value:
        problem = "the path of the token's file is empty"
    elif len(value) > _LONGEST_PATH or not value.isprintable():
        problem = "the path of the token's file is too long or has characters that cannot be printed"
    elif is_a_token_by_looks(value):
        problem = _pasted("the path of the token's file")
    if problem:
        complaints.add(path, problem)
        return None
    return FileReference(value)


def _command(value: Any, path: Path, complaints: Complaints) -> CommandReference | None:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        return None
    if not value:
        complaints.add(path, 'a command is a list of words, for example ["pass", "show", "wolkvox/acme"]')
        return None
    if any("\0" in word for word in value):
        complaints.add(path, "a command's words have no NUL character")
        return None
    if not _is_nameable(value[0], "the command's program", (*path, 0), complaints):
        return None
    return CommandReference(tuple(value))


def _keyring(value: Any, path: Path, complaints: Complaints) -> KeyringReference | None:
    match value:
        case str():
            service, slash, username = value.rpartition("/")
            if not slash:
                complaints.add(path, 'a keyring entry is written "service/name"')
                return None
        case {"service": str(service), "username": str(username)}:
            pass
        case _:
            return None
    if not _is_nameable(service, "the keyring's service", path, complaints):
        return None
    if not _is_nameable(username, "the keyring's user name", path, complaints):
        return None
    return KeyringReference(service, username)


_READERS: Final = {"env": _env, "file": _file, "command": _command, "keyring": _keyring}


def _is_nameable(text: str, noun: str, path: Path, complaints: Complaints) -> bool:
    problem = _pasted(noun) if is_a_token_by_looks(text) else complain_about_text(text, noun)
    if problem:
        complaints.add(path, problem)
    return problem is None


def _pasted(noun: str) -> str:
    return f"{noun} is not shown, because it looks like a token itself: write where the token is found"


def shared_tokens(operations: Iterable[Operation]) -> list[str]:
    """Return a message for every token that several entries have: they wait in one queue."""
    first: dict[Token, Operation] = {}
    paths: dict[Token, list[str]] = {}
    for operation in operations:
        holder = first.setdefault(operation.token, operation)
        if holder is not operation:
            paths.setdefault(operation.token, [holder.path]).append(operation.path)
    return [_shared(token, sharing) for token, sharing in paths.items()]


def _shared(token: Token, paths: list[str]) -> str:
    named = ", ".join(paths[:_NAMED])
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return f"{named}{more} have the same token ({token.id}): their calls wait in one queue"
