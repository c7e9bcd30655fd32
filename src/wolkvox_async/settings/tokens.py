"""Tokens of a tenants file: reading references, and noticing a token that is used twice.

A literal token becomes a value that never shows itself at once. No message quotes
anything that stands under `token` and looks like one, for people also write the token
where its variable's name should stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

import orjson

from wolkvox_async.adapters.secrets.plugins import installed_plugins
from wolkvox_async.model import Operation, Token
from wolkvox_async.references import (
    CommandReference,
    EnvReference,
    FileReference,
    KeyringReference,
    LiteralReference,
    PluginReference,
    SecretReference,
    TokenReference,
)
from wolkvox_async.spelling import complain_about_text, is_a_token_by_looks, kind_of, shown

from .complaints import Complaints
from .places import Path

WAYS: Final = ("env", "file", "secret", "command", "keyring")
_LONGEST_PATH: Final = 4096
_LONGEST_SETTINGS: Final = 65_536
_NAMED: Final = 5


class Plugins:
    """The plug-ins that are installed; looked up once, when the first reference asks for one."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Their names: keys of references, as those built in are."""
        return tuple(name for name in installed_plugins() if name not in WAYS)


def read_reference(value: Any, path: Path, complaints: Complaints, plugins: Plugins) -> TokenReference | None:
    """Return the reference that `value`, which stands at `path`, is; None after a complaint.

    Wrong types of what is built in are somebody else's to complain about.
    """
    match value:
        case Token():
            return LiteralReference(value)
        case str():
            return _literal(value, path, complaints)
        case dict():
            return _object(value, path, complaints, plugins)
        case _:
            return None


def read_secrets_dir(root: Mapping[str, Any], complaints: Complaints) -> str | None:
    """Return the folder of secrets that the document names, if it names one; complains about one that cannot be."""
    defaults = root.get("defaults")
    value = defaults.get("secrets_dir") if isinstance(defaults, dict) else None
    if not isinstance(value, str):
        return None
    problem = _problem_with_path(value, "the path of the secrets folder")
    if problem:
        complaints.add(("defaults", "secrets_dir"), problem)
        return None
    return value


def _literal(text: str, path: Path, complaints: Complaints) -> LiteralReference | None:
    try:
        return LiteralReference(Token(text))
    except ValueError as error:
        complaints.add(path, str(error))
        return None


def _object(value: dict[str, Any], path: Path, complaints: Complaints, plugins: Plugins) -> TokenReference | None:
    ways: list[str] = [way for way in WAYS if way in value]
    for key in value:
        if key in WAYS:
            continue
        if key in plugins.names:
            ways.append(key)
        else:
            complaints.add((*path, key), _unknown_key(key, complaints, plugins), on_key=True)
    if len(ways) == 1:
        way = ways[0]
        place = (*path, way)
        reader = _READERS.get(way)
        return reader(value[way], place, complaints) if reader else _plugin(way, value[way], place, complaints)
    if ways:
        complaints.add(path, f"a token is found in one way: this names {' and '.join(ways)}")
    elif not value:
        complaints.add(path, f"a token's reference names one of {', '.join((*WAYS, *plugins.names))}")
    return None


def _unknown_key(key: str, complaints: Complaints, plugins: Plugins) -> str:
    known = (*WAYS, *plugins.names)
    knows = f": the token's reference knows {', '.join(known)}; no plug-in of that name is installed"
    return f"unknown key {shown(key)}{complaints.propose(key, known) or knows}"


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
    problem = _problem_with_path(value, "the path of the token's file")
    if problem:
        complaints.add(path, problem)
        return None
    return FileReference(value)


def _secret(value: Any, path: Path, complaints: Complaints) -> SecretReference | None:
    if not isinstance(value, str):
        return None
    problem = _problem_with_path(value, "the secret's name")
    if problem is None and any(part in ("", ".") or part.startswith("..") for part in value.split("/")):
        problem = f"the secret's name {shown(value)} leads out of its folder: write the name it has in there"
    if problem:
        complaints.add(path, problem)
        return None
    return SecretReference(value)


def _problem_with_path(value: str, noun: str) -> str | None:
    if not value:
        return f"{noun} is empty"
    if len(value) > _LONGEST_PATH or not value.isprintable():
        return f"{noun} is too long or has characters that cannot be printed"
    return _pasted(noun) if is_a_token_by_looks(value) else None


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


def _plugin(name: str, value: Any, path: Path, complaints: Complaints) -> PluginReference | None:
    if not isinstance(value, dict):
        complaints.add(path, f"what a plug-in is told must be an object in {{ }}, not {kind_of(value)}")
        return None
    try:
        settings = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        settings = None
    if settings is None or len(settings) > _LONGEST_SETTINGS:
        complaints.add(path, f"what a plug-in is told is JSON of at most {_LONGEST_SETTINGS} bytes")
        return None
    return PluginReference(name, settings)


_READERS: Final = {"env": _env, "file": _file, "secret": _secret, "command": _command, "keyring": _keyring}


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
