"""Made-up tenants, operations and tokens, the same ones again for the same seed.

Tenants get consecutive operations and operations go round the servers, so one tenant is
on several servers and one server hosts operations of many tenants, as in life.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from wolkvox_async.model import Operation, Token

# fmt: off
_COMPANIES: Final = (
    "acme", "globex", "initech", "umbra", "stark", "wayne", "hooli", "vandelay", "soylent", "cyberdyne",
    "tyrell", "wonka", "duff", "oceanic", "gringotts", "monarch", "aperture", "massive", "sirius", "zorg",
)
_CITIES: Final = (
    ("bogota", "BOG"), ("quito", "UIO"), ("lima", "LIM"), ("medellin", "MDE"), ("cali", "CLO"), ("santiago", "SCL"),
    ("caracas", "CCS"), ("panama", "PTY"), ("cartagena", "CTG"), ("guayaquil", "GYE"), ("arequipa", "AQP"),
    ("monterrey", "MTY"),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class SimulatedOperation:
    """An operation that the simulated vendor hosts.

    `vendor_name` is the vendor's own name for it, as rows carry it; `salt` is what its
    made-up figures depend on. The token's text is `token.reveal()`.
    """

    tenant: str
    name: str
    server: str
    token: Token
    vendor_name: str
    licences: int
    salt: int

    @property
    def path(self) -> str:
        """The name by which people address it."""
        return f"{self.tenant}/{self.name}"

    def as_operation(self) -> Operation:
        """Return it as the engine knows operations."""
        return Operation(self.tenant, self.name, self.server, self.token)


def populate(*, seed: int, operations: int, tenants: int, servers: Sequence[str]) -> Iterator[SimulatedOperation]:
    """Yield `operations` operations of `tenants` tenants, spread over `servers`."""
    first_of_tenant, current = 0, 0
    for index in range(operations):
        tenant = index * tenants // operations
        if tenant != current:
            first_of_tenant, current = index, tenant
        yield _operation(seed, index, (tenant, index - first_of_tenant), servers[index % len(servers)])


def _operation(seed: int, index: int, place: tuple[int, int], server: str) -> SimulatedOperation:
    tenant, within = place
    company = _numbered(_COMPANIES[tenant % len(_COMPANIES)], tenant // len(_COMPANIES), "-")
    city, code = _CITIES[within % len(_CITIES)]
    around = within // len(_CITIES)
    digest = hashlib.sha256(f"{seed}:{index}".encode())
    salt = int.from_bytes(digest.digest()[:4])
    return SimulatedOperation(
        tenant=company,
        name=_numbered(city, around, "-"),
        server=server,
        token=Token(digest.hexdigest()),
        vendor_name=f"{company.upper()} {_numbered(code, around, ' ')}",
        licences=5 + salt % 196,
        salt=salt,
    )


def _numbered(name: str, times: int, joint: str) -> str:
    return f"{name}{joint}{times + 1}" if times else name
