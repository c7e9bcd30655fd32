"""What a simulator is like, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .fault_catalog import FAULTS
from .faults import Fault, Script
from .judge import Rules
from .latencies import Fixed, Latency
from .reports import REPORTS, Report


@dataclass(frozen=True, slots=True)
class Profile:
    """How many servers and operations there are, how they behave, what is expected of clients.

    Seconds may be fractions. Raises `ValueError` for what cannot be.

    - `servers`, `operations`, `tenants` (None: one for every three operations), `seed`:
      who there is. The same seed gives the same names, tokens and figures.
    - `latency`: how long the vendor works on a call; `rows`: how many rows it answers.
    - `apis`: the endpoints that the tenants file asks for. The 27 of the billing family
      exist in any case, others (`information/token_info`) when they stand here, or are among
      the `reports`: endpoints with dates, parameters and a limit of rows.
    - `faults`: what is wrong with operations, by path (`acme/bogota`), by number (`3`) or
      token id.
    - `poison`: the share of operations, from 0 to 1, that get one of the faults `poisons`.
    - `interval`, `limit`: as the judge's rules. `grace`: the vendor forgets a request
      this much before its limit, because a client counts from the last byte it sent and the vendor
      from the last it got.
    - `shared_connections`: a connection may serve several tokens.
    - `host`, `port`: the first server's address; the others take the next ports. With
      port 0 the system chooses.
    - `journal`: keep every event, for tests; it grows without end.
    """

    servers: int = 4
    operations: int = 40
    tenants: int | None = None
    seed: int = 1
    latency: Latency = field(default_factory=Fixed)
    rows: int = 1
    apis: tuple[str, ...] = ("interactions", "gamification")
    reports: tuple[Report, ...] = REPORTS
    faults: Mapping[str, Script] = field(default_factory=dict)
    poison: float = 0.0
    poisons: tuple[Fault, ...] = (FAULTS["refused"], FAULTS["hang"], FAULTS["garbage"])
    interval: float = 300.0
    limit: float = 60.0
    grace: float = 0.1
    shared_connections: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    journal: bool = False

    def __post_init__(self) -> None:
        least = {"servers": 1, "operations": 1, "rows": 0, "interval": 0, "limit": 0, "grace": 0, "port": 0}
        for name, bound in least.items():
            if not getattr(self, name) >= bound:
                raise ValueError(f"{name} is at least {bound}")
        if self.tenants is not None and not 1 <= self.tenants <= self.operations:
            raise ValueError("there are at least one tenant and at most as many as operations")
        if not 0 <= self.poison <= 1:
            raise ValueError("poison is a share from 0 to 1")
        if self.poison and not self.poisons:
            raise ValueError("poison needs a fault")
        if self.port and self.port + self.servers > 65_536:
            raise ValueError("there are not that many ports above the first")
        if not self.apis:
            raise ValueError("the tenants file needs an endpoint to ask for")

    @property
    def tenant_count(self) -> int:
        """How many tenants there are."""
        return self.tenants or max(1, self.operations // 3)

    def rules(self) -> Rules:
        """Return what the judge goes by."""
        limit = max(0.0, self.limit - self.grace)
        return Rules(self.interval, limit=limit, shared_connections=self.shared_connections)
