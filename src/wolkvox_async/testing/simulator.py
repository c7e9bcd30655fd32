"""The vendor's API on loopback: many servers, and a judge of their clients.

A server's *name* is its port as text, so `http://127.0.0.1:{server}` reaches every one of
them. In process:

    async with Simulator(Profile(servers=2, operations=10)) as simulator:
        ...  # have a client fetch `simulator.operations` from `simulator.base_url`
    assert simulator.verdict().ok, simulator.verdict()

As a pytest fixture (pytest-asyncio):

    @pytest_asyncio.fixture
    async def simulator():
        async with Simulator(Profile(operations=10)) as simulator:
            yield simulator
        assert simulator.verdict().ok, simulator.verdict()

`GET /_simulator` on any server returns the verdict as JSON; it needs no token and is not
judged. All time is the event loop's, save for the calendar: `unix` tells its Unix seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self

from .faults import Script
from .journal import Event
from .judge import Judge
from .population import SimulatedOperation, populate
from .profile import Profile
from .protocol import Connection
from .reception import Reception
from .requests import TRAP_PATH
from .tenants_file import environment, tenants_document, write_tenants
from .vendor import Vendor
from .verdict import Verdict

_BACKLOG: Final = 4_096
_QUIET_TURNS: Final = 5


class Simulator:
    """Serves and judges while its block lasts; `tls` makes its servers speak HTTPS.

    Whatever ends the block, its sockets are closed and its connections gone afterwards.
    The verdict stays.
    """

    def __init__(
        self,
        profile: Profile | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        unix: Callable[[], float] = time.time,
    ) -> None:
        self.profile: Final = profile or Profile()
        self._tls: Final = tls
        self._unix: Final = unix
        self._judge: Final = Judge(self.profile.rules())
        self._journal: Final[list[Event]] = []
        self._connections: Final[set[Connection]] = set()
        self._numbers: Final = itertools.count(1)
        self._listeners: list[asyncio.Server] = []
        self._reception: Reception | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen. Raises `OSError` when an address is taken."""
        if self._reception is not None:
            raise RuntimeError("a simulator starts once")
        profile = self.profile
        try:
            names = [await self._listen(profile.port + n if profile.port else 0) for n in range(profile.servers)]
            trap = await self._listen(0, trap=True)
            self._reception = self._open_reception(names, trap)
            for listener in self._listeners:
                await listener.start_serving()
        except BaseException:
            await self.stop()
            raise

    async def _listen(self, port: int, *, trap: bool = False) -> str:
        name = ""

        def connect() -> Connection:
            return Connection(self._started(), name, next(self._numbers), self._connections, trap=trap)

        listener = await asyncio.get_running_loop().create_server(
            connect, self.profile.host, port, ssl=self._tls, backlog=_BACKLOG, start_serving=False
        )
        self._listeners.append(listener)
        name = str(listener.sockets[0].getsockname()[1])
        return name

    def _open_reception(self, names: list[str], trap: str) -> Reception:
        profile = self.profile
        operations = populate(
            seed=profile.seed, operations=profile.operations, tenants=profile.tenant_count, servers=names
        )
        trap_address = self._address(trap) + TRAP_PATH
        vendor = Vendor(operations, apis=profile.apis, rows=profile.rows, trap=trap_address, reports=profile.reports)
        reception = Reception(
            vendor,
            self._judge,
            latency=profile.latency,
            chance=Random(profile.seed),  # noqa: S311 - no security hangs on it
            unix=self._unix,
        )
        reception.journal = self._journal if profile.journal else None
        self._poison(reception)
        for which, script in profile.faults.items():
            reception.break_token(_find(vendor.operations, which).token.id, script)
        return reception

    def _poison(self, reception: Reception) -> None:
        chance = Random(f"poison {self.profile.seed}")  # noqa: S311 - no security hangs on it
        operations = reception.vendor.operations
        chosen = chance.sample(operations, round(self.profile.poison * len(operations)))
        for operation, fault in zip(chosen, itertools.cycle(self.profile.poisons), strict=False):
            reception.break_token(operation.token.id, fault)

    async def stop(self) -> None:
        """Close every socket and wait until every connection is gone; the verdict stays."""
        for listener in self._listeners:
            listener.close()
        self._listeners = []
        # A connection that was just accepted appears a few turns of the loop later.
        quiet = 0
        while quiet < _QUIET_TURNS:
            for connection in tuple(self._connections):
                connection.abort()
            quiet = 0 if self._connections else quiet + 1
            await asyncio.sleep(0)

    @property
    def base_url(self) -> str:
        """The template that a client's `--base-url` takes."""
        return self._address("{server}")

    def _address(self, port: str) -> str:
        return f"{'https' if self._tls else 'http'}://{self.profile.host}:{port}"

    @property
    def operations(self) -> tuple[SimulatedOperation, ...]:
        """Every operation, healthy or not."""
        return self._started().vendor.operations

    @property
    def broken(self) -> Mapping[str, Script]:
        """What is wrong with operations, by token id."""
        return dict(self._started().scripts)

    @property
    def journal(self) -> tuple[Event, ...]:
        """Every event so far, when the profile asks for a journal."""
        return tuple(self._journal)

    def break_token(self, which: int | str, fault: Script) -> None:
        """Have an operation's calls go wrong from now on: a fault for all of them, or a script.

        `which` is its number in `operations`, its path or its token id; an empty script heals it.
        Raises `KeyError` when there is none.
        """
        reception = self._started()
        reception.break_token(_find(reception.vendor.operations, which).token.id, fault)

    def forgive_refusals(self) -> None:
        """Forget which tokens were refused: the client begins a new run."""
        self._judge.forgive_refusals()

    def verdict(self) -> Verdict:
        """Return what clients broke so far, and the facts; also after the simulator stopped."""
        return self._judge.verdict()

    def tenants_document(self) -> dict[str, Any]:
        """Return a tenants file whose tokens are references to `environment`."""
        return tenants_document(self.operations, self.profile.apis, self.profile.reports)

    def environment(self) -> dict[str, str]:
        """Return the variables that the tenants document refers to, with the made-up tokens."""
        return environment(self.operations)

    def write_tenants(self, directory: Path) -> Path:
        """Write a tenants file and the files it refers to into `directory`; return its path. Blocks."""
        return write_tenants(directory, self.operations, self.profile.apis, self.profile.reports)

    def _started(self) -> Reception:
        if self._reception is None:
            raise RuntimeError("the simulator has not been started")
        return self._reception


def _find(operations: tuple[SimulatedOperation, ...], which: int | str) -> SimulatedOperation:
    if isinstance(which, int) or which.isdigit():
        number = int(which)
        if number in range(len(operations)):
            return operations[number]
    for operation in operations:
        if which in (operation.path, operation.token.id):
            return operation
    raise KeyError(f"no operation is {which!r}: write its path, its token id or its number")
