"""A tenants file in the making: its first tenant, or one more in a file that is there.

A file of somebody's own keeps every byte that was in it: what is new is put in front of the
bracket that closes its list. A file appears whole or not at all, never in the place of another,
and a token goes into a file that only its owner can read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from json import JSONDecoder
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson

from wolkvox_async.errors import ConfigurationError, Mistake
from wolkvox_async.model import Token
from wolkvox_async.settings.places import Path as Keys
from wolkvox_async.settings.places import Places
from wolkvox_async.settings.timezones import DEFAULT_TIMEZONE
from wolkvox_async.settings.wanted import DEFAULT_APIS

_PRIVATE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700
_ANYBODY: Final = 0o666  # less what the umask takes away, as for every file
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
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
    with _told(path), _secret(path, draft), _written(path, "\n".join(lines), _ANYBODY) as whole:
        _appear(whole, path)


def extend(path: Path, draft: Draft) -> None:
    """Add the operation to a tenants file that has no mistakes; raises `ConfigurationError`, leaving it as it was."""
    with _told(path):
        place = path.resolve()
        text, mode = place.read_bytes().decode(), stat.S_IMODE(place.stat().st_mode)
        with _secret(path, draft), _written(place, extended(text, draft), mode) as whole:
            whole.chmod(mode)
            whole.replace(place)


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


# --- text -------------------------------------------------------------------------------------


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


# --- files ------------------------------------------------------------------------------------


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in our words what cannot be done with the file."""
    try:
        yield
    except FileExistsError:
        complaint = "this is there already, and stays as it is"
    except OSError as error:
        complaint = f"this cannot be written: {(error.strerror or 'unknown').lower()}"
    else:
        return
    raise ConfigurationError([Mistake(complaint, str(path))])


@contextmanager
def _written(path: Path, text: str, mode: int) -> Iterator[Path]:
    """Write `text` into a file that is beside `path` for the length of the block."""
    with TemporaryDirectory(dir=path.parent, prefix=".wolkvox-") as folder:
        whole = Path(folder) / path.name
        _write(whole, text.encode(), mode)
        yield whole


@contextmanager
def _secret(tenants: Path, draft: Draft) -> Iterator[None]:
    """Write the token where its reference points; it is gone again if what comes then fails."""
    if draft.secret is None:
        yield
        return
    file = tenants.parent / draft.token["file"]
    with suppress(FileExistsError):
        file.parent.mkdir(mode=_PRIVATE_FOLDER)
    _write(file, draft.secret.reveal().encode() + b"\n", _PRIVATE)
    try:
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        with suppress(OSError):  # others are in it
            file.parent.rmdir()
        raise


def _appear(whole: Path, path: Path) -> None:
    """Have a finished file be at `path` too; raises `FileExistsError` where something is."""
    try:
        os.link(whole, path)
    except FileExistsError:
        raise
    except OSError:  # there are file systems without links
        if os.path.lexists(path):
            raise FileExistsError from None
        whole.rename(path)


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, _NEW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
