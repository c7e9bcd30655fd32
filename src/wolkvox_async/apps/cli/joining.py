"""`--join` and what belongs to it: where the broker of a cluster is, and how to sign in there.

A password is given by reference, and is here for moments only: between where it was found and
the `NatsLogin` that never shows it. What was typed in the place of an address or a reference may
be one by mistake, so no message quotes that, and nothing is raised where a password is at hand.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from wolkvox_async.errors import ConfigurationError, Mistake, one_line
from wolkvox_async.settings.options import Option, certificates, is_loopback, text

from .options import Read
from .speech import say

if TYPE_CHECKING:
    from wolkvox_async.adapters.nats import NatsLogin, NatsSettings

JOIN: Final = Option(
    "join", None, text, "URL[,URL]", "the broker that machines share, such as nats://127.0.0.1:4222; tls:// encrypts"
)
JOIN_CREDENTIALS: Final = Option(
    "join-credentials", None, text, "env:NAME|file:PATH", "where USER:PASSWORD is, or the text of a .creds file"
)
JOIN_CA: Final = Option("join-ca", None, certificates, "FILE", "authorities of the broker (PEM); encrypts, too")
JOINING: Final = (JOIN, JOIN_CREDENTIALS, JOIN_CA)

_LARGEST: Final = 16_384  # bytes; a .creds file has about one thousand
_OPEN: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe in the file's place is not waited for
_CREDS: Final = "-----BEGIN NATS USER JWT-----"
_REFERENCE: Final = "--join-credentials: write env:NAME or file:PATH: the password itself does not belong here"
_FORM: Final = "holds neither a line USER:PASSWORD nor the text of a .creds file"


def join_settings(said: Read, *, needed: bool = False) -> NatsSettings | None:
    """Return where the store is that the options name; None when they name none, or something is wrong with them.

    What is wrong is added to the mistakes of `said`, all of it at once; `needed`: naming none is a
    mistake, too. What is to be made at first use (`replicas`, ...) is changed by `dataclasses.replace`.
    """
    values, join = said.values, said.values["join"]
    if join is None:
        said.mistakes.extend(_without_join(said, needed=needed))
        return None
    from wolkvox_async.adapters.nats import NatsSettings  # noqa: PLC0415 - `--help` needs none of it

    before = len(said.mistakes)
    login = _login(values["join_credentials"], said.mistakes)
    servers = tuple(server.strip() for server in join.split(","))
    try:
        settings = NatsSettings(servers, ca_file=values["join_ca"])
    except ConfigurationError as error:
        said.mistakes.extend(Mistake(f"--join: {mistake.message}") for mistake in error.mistakes)
        return None
    said.mistakes.extend(_in_the_clear(settings, said))
    return None if login is None or len(said.mistakes) > before else replace(settings, login=login)


def _without_join(said: Read, *, needed: bool) -> Iterator[Mistake]:
    if any(mistake.message.startswith("--join ") for mistake in said.mistakes):
        return  # it was given, and is wrong
    if needed:
        yield Mistake("--join: say where the broker is, such as --join nats://127.0.0.1:4222")
        return
    for option in (JOIN_CREDENTIALS, JOIN_CA):
        if said.values[option.field] is not None:
            yield Mistake(f"--{option.name} is for --join: say where the broker is")


def _in_the_clear(settings: NatsSettings, said: Read) -> Iterator[Mistake]:
    is_unknown = any(mistake.message.startswith("--join-ca ") for mistake in said.mistakes)
    if said.values["join_credentials"] is None or settings.encrypted or is_unknown:
        return
    if not all(is_loopback(urlsplit(server).hostname or "") for server in settings.servers):
        yield Mistake("--join: nats:// would show the password to the network: write tls://, or name --join-ca")


def _login(reference: str | None, mistakes: list[Mistake]) -> NatsLogin | None:
    """Return how to sign in; None when that is wrong, which is then among the mistakes."""
    from wolkvox_async.adapters.nats import NatsLogin  # noqa: PLC0415 - `--help` needs none of it

    if reference is None:
        return NatsLogin()
    kind, _, name = reference.partition(":")
    if kind not in ("env", "file") or not name:
        mistakes.append(Mistake(_REFERENCE))
        return None
    found, wrong = _of_environment(name) if kind == "env" else _of_file(name)
    login = None if found is None else _read(found)
    if login is None:
        where = f"the {'environment variable' if kind == 'env' else 'file'} {name}"
        mistakes.append(Mistake(f"--join-credentials: {where} {wrong or _FORM}"))
    return login


def _of_environment(name: str) -> tuple[str | None, str]:
    found = os.environ.get(name)
    return found, "is not set" if found is None else ""


def _of_file(name: str) -> tuple[str | None, str]:
    try:
        content, mode = _content(Path(name))
    except FileNotFoundError:
        return None, "does not exist"
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        return None, f"cannot be read: {(reason or 'its name cannot be one').lower()}"
    if content is None:
        return None, "is no regular file"
    if mode & stat.S_IROTH:
        say(one_line(f"every user of this machine can read {name}, which holds a password: chmod 600 it"))
    return content.decode(errors="replace"), ""


def _content(path: Path) -> tuple[bytes | None, int]:
    """Return what is in a file, up to one byte more than allowed, and its mode; None when it is no file."""
    descriptor = os.open(path, _OPEN)
    try:
        mode = os.fstat(descriptor).st_mode
        return (os.read(descriptor, _LARGEST + 1) if stat.S_ISREG(mode) else None), mode
    finally:
        os.close(descriptor)


def _read(found: str) -> NatsLogin | None:
    from wolkvox_async.adapters.nats import NatsLogin  # noqa: PLC0415 - `--help` needs none of it

    if len(found) > _LARGEST:
        return None
    if _CREDS in found:
        return NatsLogin(credentials=found)
    line = found.removesuffix("\n").removesuffix("\r")
    user, _, password = line.partition(":")
    is_visible = line.isprintable() and "\ufffd" not in line
    return NatsLogin(user=user, password=password) if user and password and is_visible else None
