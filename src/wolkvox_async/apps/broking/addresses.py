"""Where a broker listens: for those who join, and for the other nodes of its cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Self

from wolkvox_async.apps.addresses import HostPort

_ADDRESS: Final = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})))"
    r":(?P<port>[0-9]{1,5})"
)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Address(HostPort):
    """Where a node listens, or where it is found."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `HOST:PORT` (`[::1]:4222` for IPv6); raises `ValueError`."""
        found = _ADDRESS.fullmatch(text)
        if found is None or int(found["port"]) > 65_535 or not _is_host(found["six"]):
            raise ValueError("write HOST:PORT, such as 127.0.0.1:4222 or [::1]:4222")
        return cls(found["six"] or found["host"], int(found["port"]))

    @property
    def is_everywhere(self) -> bool:
        """Whether it means every address of this machine, so that nobody can be told to go there."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104 - that is what is asked

    @property
    def is_name(self) -> bool:
        """Whether the host is a name, and no number."""
        try:
            ip_address(self.host)
        except ValueError:
            return True
        return False


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a cluster: what it is called, and where the others find it."""

    name: str
    address: Address

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `NAME@HOST:PORT`; raises `ValueError`."""
        name, _, place = text.rpartition("@")
        if not name:
            raise ValueError("write NAME@HOST:PORT, such as a@10.0.0.1:6222")
        address = Address.parse(place)
        if not address.port:
            raise ValueError("the other nodes have to know its port: write one above 0")
        if address.is_everywhere:
            raise ValueError("the other nodes have to find it: write its own address or name")
        return cls(node_name(name), address)


def node_name(text: str) -> str:
    """Check what a node is called; raises `ValueError`."""
    if _NAME.fullmatch(text) is None:
        raise ValueError("a name has 1 to 63 letters, digits, - and _")
    return text


def _is_host(six: str | None) -> bool:
    try:
        return six is None or ip_address(six).version == 6
    except ValueError:
        return False
