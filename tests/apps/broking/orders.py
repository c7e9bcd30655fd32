"""Orders as a person may give them."""

from pathlib import Path

from wolkvox_async.apps.broking.addresses import Address, Node
from wolkvox_async.apps.broking.config import Limits, Order, Tls

LIMITS = Limits(store=1 << 30, payload=1 << 20, connections=10)
PLAIN = Tls()
TLS = Tls("cert.pem", "key.pem", "ca.pem")


def alone(listen: str = "127.0.0.1:4222", tls: Tls = PLAIN) -> Order:
    return Order(Path("/data"), Address.parse(listen), LIMITS, tls)


def of_three(*nodes: str, name: str | None = "a", tls: Tls = TLS, listen: str = "10.0.0.1:4222") -> Order:
    named = nodes or ("a@10.0.0.1:6222", "b@10.0.0.2:6222", "c@10.0.0.3:6222")
    return Order(Path("/data"), Address.parse(listen), LIMITS, tls, name, tuple(map(Node.parse, named)))
