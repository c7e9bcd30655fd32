"""From an order to a running server: everything that can be wrong is said before, then it takes our place.

The server is not a child but what this process becomes (`os.execv`): signals, exit code
and the init system's eye are its own, and nothing of ours stays in memory.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from wolkvox_async.apps.languages import translated
from wolkvox_async.errors import ConfigurationError, Mistake

from . import certificates, config, finding
from .addresses import Address
from .config import Order
from .credentials import Credentials
from .folder import Folder, usable


@dataclass(frozen=True, slots=True)
class Prepared:
    """A server that can be started, and what is to be told before."""

    program: finding.Program
    folder: Folder
    told: tuple[str, ...]


def prepare(order: Order, named: str | None, known: Sequence[Mistake] = ()) -> Prepared:
    """Check everything, make what is missing, write the configuration.

    `named` is the program, if one was named; `known` are mistakes that were found before.
    Raises `ConfigurationError` with all mistakes, and `StateError` for a folder that cannot be used.
    """
    order = replace(order, tls=certificates.absolute(order.tls))
    mistakes: list[Mistake | str] = [*known]
    mistakes += [*config.complaints(order), *certificates.complaints(order.tls), *_unbindable(order)]
    program = _found(named, mistakes)
    if mistakes or program is None:
        raise ConfigurationError(mistakes)
    folder = Folder(order.folder)
    folder.enter()
    try:
        found = translated("{program}, data in {folder}", program=program, folder=folder.root)
        return Prepared(program, folder, (found, *_furnish(order, folder)))
    except BaseException:
        folder.leave()
        raise


def _furnish(order: Order, folder: Folder) -> Iterator[str]:
    """Put into the folder what is missing, and yield what is to be known; raises as `prepare` does."""
    clients, routes = _secrets(order, folder)
    folder.write_config(config.config_text(order, clients, routes))
    yield from instructions(order)
    yield from _tight(order, folder)


def launch(prepared: Prepared) -> NoReturn:
    """Become the server; raises `ConfigurationError` when the system does not start it."""
    prepared.folder.hand_over()
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and the server would inherit that
    program = str(prepared.program.path)
    try:
        os.execv(program, [program, "-c", str(prepared.folder.config)])  # noqa: S606 - no shell is wanted
    except OSError as error:
        complaint = f"{program} cannot be started: {(error.strerror or 'unknown').lower()}"
    raise ConfigurationError(complaint)


def instructions(order: Order) -> Iterator[str]:
    """Yield how machines join this broker."""
    path = order.folder / "credentials"
    option = shlex.quote(f"file:{path}")
    command = f"wolkvox-async watch --join {','.join(_urls(order))} --join-credentials {option}"
    yield translated("join it: {command}", command=command)
    secret = shlex.quote(str(path))
    if not order.listen.is_local:
        yield translated("on other machines: copy {file} there first, readable by its owner only", file=secret)
    if not order.listen.port:
        yield translated("PORT is chosen by the system: it stands in {folder}/*.ports", folder=order.folder)
    if order.nodes and order.makes_credentials:
        routes = shlex.quote(str(order.folder / "routes"))
        both = "the other nodes need {credentials} and {routes} in their --data folders before they start"
        yield translated(both, credentials=secret, routes=routes)


def _urls(order: Order) -> list[str]:
    scheme = "nats" if order.tls.cert is None else "tls"
    hosts = list(dict.fromkeys(node.address.host for node in order.nodes))
    if len(hosts) < max(2, len(order.nodes)):  # several nodes on one machine have other ports
        here = order.here
        own = here.address.host if here is not None else "HOST"
        hosts = [own if order.listen.is_everywhere else order.listen.host]
    port = order.listen.port or "PORT"
    return [f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}" for host in hosts]


def _found(named: str | None, mistakes: list[Mistake | str]) -> finding.Program | None:
    try:
        return finding.find(named, os.environ.get("PATH"), finding.places())
    except ValueError as error:
        mistakes.append(str(error))
        return None


def _unbindable(order: Order) -> Iterator[str]:
    for option, address in order.doors():
        if (wrong := _cannot_listen(address)) is not None:
            yield f"{option} {address}: {wrong}"


def _cannot_listen(address: Address) -> str | None:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(place)
    except OSError as error:
        return f"this machine cannot listen there: {(error.strerror or 'unknown').lower()}"
    return None


def _secrets(order: Order, folder: Folder) -> tuple[Credentials, Credentials | None]:
    may_make = order.makes_credentials
    clients = folder.secret(folder.credentials, may_make=may_make)
    routes = folder.secret(folder.routes, may_make=may_make) if order.nodes else None
    missing = [folder.credentials] if clients is None else []
    missing += [folder.routes] if order.nodes and routes is None else []
    if clients is None or missing:
        raise ConfigurationError(
            f"{path} is not there: node {order.nodes[0].name} makes it at its first start; copy it from there to here, "
            "readable by its owner only"
            for path in missing
        )
    return clients, routes


def _tight(order: Order, folder: Folder) -> Iterator[str]:
    with usable(folder.root):
        room = shutil.disk_usage(folder.root).free + folder.stored()
    if room < order.limits.store:
        said = "--max-store {store}: the disk has room for {room} bytes only: a full disk stops a broker"
        yield translated(said, store=order.limits.store, room=room)
