"""A tenants file in the making: its first tenant, or one more in a file that is there.

A file of somebody's own keeps every byte that was in it: what is new is put in front of the
bracket that closes its list. A token goes into a file that only its owner can read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from json import JSONDecoder
from pathlib import Path
from typing import Any, Final

import orjson

from wolkvox_async.model import Token
from wolkvox_async.settings.places import Path as Keys
from wolkvox_async.settings.places import Places
from wolkvox_async.settings.wanted import DEFAULT_APIS
from wolkvox_async.windows import DEFAULT_TIMEZONE

from .new_files import appear, change, told, write_new

_PRIVATE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700
_BOM: Final = "\ufeff"


@dataclass(frozen=True, slots=True)
class Draft:
    """An operation that is to stand in a tenants file; `token` is the reference, as the file writes it.

    `secret` is a token that is still to be written, into the file that the reference names.
    """

    tenant: str
    operation: str
    server: str
    token: dict[str, Any]
    secret: Token | None = None

    @property
    def path(self) -> str:
        """The name by which the operation is addressed."""
        return f"{self.tenant}/{self.operation}"


def free_secret(tenants: Path, tenant: str, operation: str) -> str:
    """Return a name, beside the tenants file, for a token that has no place yet; nothing is there."""
    plain = "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in f"{tenant}-{operation}")
    name, number = f"secrets/{plain.lstrip('.') or 'token'}", 1
    while os.path.lexists(tenants.parent / (found := name if number == 1 else f"{name}-{number}")):
        number += 1
    return found


def create(path: Path, draft: Draft) -> None:
    """Write the first tenants file; raises `ConfigurationError` when one is there, or it cannot be written."""
    defaults = _json({"apis": list(DEFAULT_APIS), "timezone": DEFAULT_TIMEZONE})
    lines = [
        "{",
        f'  "defaults": {defaults},',
        '  "tenants": [',
        f'    {{"name": {_json(draft.tenant)}, "operations": [',
        f"      {_operation(draft)}]}}",
        "  ]",
        "}",
        "",
    ]
    with told(path), _secret(path, draft):
        appear(path, "\n".join(lines))


def extend(path: Path, draft: Draft) -> None:
    """Add the operation to a tenants file that has no mistakes; raises `ConfigurationError`, leaving it as it was."""
    with told(path):
        place = path.resolve()
        text = place.read_bytes().decode()
        with _secret(path, draft):
            change(place, extended(text, draft))


def extended(text: str, draft: Draft) -> str:
    """Return the text of a tenants file with one more operation, of a new tenant or of one that is there."""
    bare = text.removeprefix(_BOM)
    tenants = JSONDecoder().decode(bare)["tenants"]
    names = [tenant["name"] for tenant in tenants]
    if draft.tenant in names:
        number = names.index(draft.tenant)
        path: Keys = ("tenants", number, "operations")
        more, count = _operation(draft), len(tenants[number]["operations"])
    else:
        path, count = ("tenants",), len(tenants)
        more = f'{{"name": {_json(draft.tenant)}, "operations": [{_operation(draft)}]}}'
    return text[: len(text) - len(bare)] + _with_element(bare, (*path, count - 1), more)


@contextmanager
def _secret(tenants: Path, draft: Draft) -> Iterator[None]:
    """Write the token where its reference points; it is gone again if what comes then fails."""
    if draft.secret is None:
        yield
        return
    file = tenants.parent / draft.token["file"]
    with suppress(FileExistsError):
        file.parent.mkdir(mode=_PRIVATE_FOLDER)
    write_new(file, draft.secret.reveal().encode() + b"\n", _PRIVATE)
    try:
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        with suppress(OSError):  # others are in it
            file.parent.rmdir()
        raise


def _with_element(text: str, last: Keys, more: str) -> str:
    """Put `more` behind the `last` element of a list, below it if that begins a line."""
    place, _ = Places(text.encode()).locate([last])[last]
    line = sum(len(one) + 1 for one in text.split("\n")[: place.line - 1])
    start = line + place.column - 1
    _, end = JSONDecoder().raw_decode(text, start)
    indent = text[line:start]
    between = f",\n{indent}" if not indent.strip() and place.line > 1 else ", "
    return text[:end] + between + more + text[end:]


def _operation(draft: Draft) -> str:
    return _json({"name": draft.operation, "server": draft.server, "token": draft.token})


def _json(value: Any) -> str:
    """Write JSON on one line, with the spaces that people put."""
    match value:
        case dict():
            return "{" + ", ".join(f"{_json(key)}: {_json(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_json, value)) + "]"
        case _:
            return orjson.dumps(value).decode()
