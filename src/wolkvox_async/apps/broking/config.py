"""What was ordered of a broker, what is wrong with that, and the configuration that does it.

- JetStream keeps its files in the broker's folder and acknowledges nothing before it is on
  the disk (`sync_interval: always`): a worker calls again only after its record is stored, and
  what a power cut took back would be called twice.
- Whoever connects shows a password; who can come from another machine does so under TLS,
  because records and passwords are nobody else's business. Nodes show each other certificates too.
- Clients are told of no other addresses than those that they were given (`no_advertise`):
  others would not stand in the certificates.

Nothing here reads a file, a clock or the environment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from .addresses import Address, Node
from .credentials import Credentials
from .syntax import Value, rendered

ALONE: Final = "wolkvox"
CLUSTER: Final = "wolkvox"
ACCOUNT: Final = "WOLKVOX"
SIZES: Final = (3, 5)
_MEMORY: Final = 64 * 1024**2  # bytes; nothing of ours is kept in memory only
_PENDING: Final = 64 * 1024**2  # bytes that wait for a slow reader; the longest message has to fit
_HANDSHAKE: Final = 5  # seconds


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes; `connections` counts workers and readers, one each."""

    store: int
    payload: int
    connections: int


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of PEM files: certificate chain, its private key, and the authority of the other nodes."""

    cert: str | None = None
    key: str | None = None
    ca: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What a broker is to be: `folder` (absolute) holds all of it; `name` is that of one of the `nodes`, if any."""

    folder: Path
    listen: Address
    limits: Limits
    tls: Tls = Tls()
    name: str | None = None
    nodes: tuple[Node, ...] = ()

    @property
    def here(self) -> Node | None:
        """The node that this machine is to be."""
        return next((node for node in self.nodes if node.name == self.name), None)

    @property
    def makes_credentials(self) -> bool:
        """Whether passwords are made here; in a cluster the node that is named first does it for all."""
        return not self.nodes or self.nodes[0].name == self.name

    def doors(self) -> Iterator[tuple[str, Address]]:
        """Yield where it will listen, each with the option that says so."""
        yield "--listen", self.listen
        if (here := self.here) is not None:
            yield "--cluster", _cluster_door(here)


def complaints(order: Order) -> list[str]:
    """Return everything that is wrong with `order`, each with what to do."""
    return [*_about_tls(order), *_about_nodes(order)]


def _about_tls(order: Order) -> Iterator[str]:
    tls = order.tls
    if (tls.cert is None) != (tls.key is None):
        given, missing = ("--tls-cert", "--tls-key") if tls.key is None else ("--tls-key", "--tls-cert")
        yield f"{given} needs {missing}: a certificate and its private key"
    if tls.ca is not None and not order.nodes:
        yield "--tls-ca: only the nodes of a --cluster show each other certificates"
    if tls.ca is not None and tls.cert is None:
        yield "--tls-ca needs --tls-cert and --tls-key"
    if tls.cert is not None or tls.key is not None:
        return
    reached = [f"--listen {order.listen}"] if not order.listen.is_local else []
    reached += [f"--cluster {node.name}@{node.address}" for node in order.nodes if not node.address.is_local]
    if reached:
        yield (
            f"{', '.join(reached)} can be reached from other machines, so it needs TLS: name a certificate and its "
            "key (--tls-cert, --tls-key), or listen on 127.0.0.1"
        )


def _about_nodes(order: Order) -> Iterator[str]:
    if not order.nodes:
        return
    names = Counter(node.name for node in order.nodes)
    places = Counter(node.address for node in order.nodes)
    yield from (f"--cluster: {count} nodes are called {name}" for name, count in names.items() if count > 1)
    yield from (f"--cluster: {count} nodes are at {place}" for place, count in places.items() if count > 1)
    if len(order.nodes) not in SIZES:
        yield (
            f"--cluster names {len(order.nodes)} of the nodes: name all 3 (or 5), this one too, the same on each; "
            "an even number outlives no more of them than one less"
        )
    if order.name not in names:
        yield f"--name says which of the nodes of --cluster this is: one of {', '.join(names)}"
    here = order.here
    if here is not None and here.address.port == order.listen.port:
        yield f"--listen and --cluster {here.name}@{here.address} both want port {order.listen.port}"


def config_text(order: Order, clients: Credentials, routes: Credentials | None) -> str:
    """Return the configuration of `order`, in which nothing is wrong; `routes` is what nodes show each other."""
    settings: dict[str, Value] = {
        "server_name": order.name or ALONE,
        "host": order.listen.host,
        "port": order.listen.port or -1,
        "max_payload": order.limits.payload,
        "max_pending": _PENDING,
        "max_connections": order.limits.connections,
        "jetstream": {
            "store_dir": str(order.folder),
            "max_memory_store": _MEMORY,
            "max_file_store": order.limits.store,
            "sync_interval": "always",
        },
        "accounts": {ACCOUNT: _account(order, clients)},
    }
    if not order.listen.port:
        settings["ports_file_dir"] = str(order.folder)
    if order.tls.cert is not None:
        settings["tls"] = _tls(Tls(order.tls.cert, order.tls.key))
    if order.here is not None and routes is not None:
        settings["cluster"] = _cluster(order, order.here, routes)
    return rendered(settings)


def _account(order: Order, clients: Credentials) -> dict[str, Value]:
    # An account is told its limits when it asks, a server's own are secret; it counts each replica.
    room = order.limits.store * max(1, len(order.nodes))
    return {
        "jetstream": {"max_mem": _MEMORY, "max_file": room},
        "users": [{"user": clients.user, "password": clients.password}],
    }


def _cluster(order: Order, here: Node, routes: Credentials) -> dict[str, Value]:
    door = _cluster_door(here)
    block: dict[str, Value] = {
        "name": CLUSTER,
        "host": door.host,
        "port": door.port,
        "advertise": str(here.address),
        "no_advertise": True,
        "authorization": {"user": routes.user, "password": routes.password},
        "routes": [_route(node, routes) for node in order.nodes if node != here],
    }
    if order.tls.cert is not None:
        block["tls"] = _tls(order.tls)
    return block


def _cluster_door(here: Node) -> Address:
    # A machine's own name may mean 127.0.1.1 to itself, where no other would find it.
    beyond = here.address.is_name and not here.address.is_local
    return Address("0.0.0.0", here.address.port) if beyond else here.address  # noqa: S104 - under TLS, by password


def _route(node: Node, routes: Credentials) -> str:
    return f"nats-route://{quote(routes.user, safe='')}:{quote(routes.password, safe='')}@{node.address}"


def _tls(tls: Tls) -> dict[str, Value]:
    files = {"cert_file": tls.cert, "key_file": tls.key, "ca_file": tls.ca}
    return {"timeout": _HANDSHAKE, **{name: path for name, path in files.items() if path is not None}}
