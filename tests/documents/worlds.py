"""What the blocks of a page find in their folder, beside what all find there."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import pyarrow  # type: ignore[import-untyped,unused-ignore]
import trustme

from benchmarks.virtual_month import DAY, LATENCY, TURN
from benchmarks.warehouse import Usage, books, write_month
from wolkvox_async.catalog import BILLING
from wolkvox_async.testing import FAULTS, InProcess, Profile, VirtualClock
from wolkvox_async.testing.moods import Unreachable

from .rules import Page

ADDRESSES: Final = ("BROKER", "ROUTE_A", "ROUTE_B", "ROUTE_C")

_HOURS: Final = 3_600
_ZONE: Final = ZoneInfo("America/Bogota")
_DUE: Final = ("interactions", "chat_licenses")


def usage(*, before: float = 1.5 * DAY, after: float = 0.5 * DAY, only_changes: bool = False) -> Usage:
    """Return what is watched around the turn of a month: an outage of three hours, and a token whose calls fail."""

    def befall(clock: VirtualClock, vendor: InProcess) -> None:
        clock.at(TURN - before / 2, lambda: vendor.break_server("0001", Unreachable()))
        clock.at(TURN - before / 2 + 3 * _HOURS, lambda: vendor.break_server("0001", None))

    faults = {"globex/quito": FAULTS["unavailable"]}
    profile = Profile(servers=2, operations=4, tenants=2, latency=LATENCY, interval=_HOURS, faults=faults)
    endpoints = tuple(endpoint for endpoint in BILLING if endpoint.name in _DUE)
    return Usage(profile, endpoints, _HOURS, TURN - before, TURN + after, only_changes=only_changes, befall=befall)


def records(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what stands in the finished files of a folder."""
    for path in sorted(folder.glob("usage-*.jsonl.zst")):
        with pyarrow.input_stream(path) as file:
            yield from map(orjson.loads, file.read().splitlines())


def bill(folder: Path) -> dict[tuple[str, str, str, str], float]:
    """Return the last reading by month, tenant, operation and endpoint, found in another way than the page's."""
    found: dict[tuple[str, str, str, str], float] = {}
    last: dict[tuple[str, str, str], float] = {}
    for record in records(folder):
        if record["type"] not in ("row", "call"):
            continue
        key = (record["tenant"], record["operation"], record["api"])
        if record["type"] == "row":
            last[key] = record["items"]
        elif record["outcome"] == "ok":
            month = datetime.fromisoformat(record["at"]).astimezone(_ZONE)
            found[(f"{month:%Y-%m}", *key)] = last[key]
    return found


async def _warehouse(page: Page) -> None:
    folder = page.world.folder
    _, vendor = await asyncio.to_thread(write_month, usage(), folder)
    sent = books(vendor)
    kinds = Counter(record["type"] for record in records(folder))
    assert kinds["row"] == sum(rows for rows, _ in sent.values())
    page.facts["rows"] = str(kinds["row"])
    page.facts["bills"] = str(len(bill(folder)))
    page.duck.execute("create table sent (tenant text, operation text, api text, n bigint, items bigint)")
    page.duck.executemany(
        "insert into sent values (?, ?, ?, ?, ?)", [(*key, *one) for key, one in sent.items() if one[0]]
    )
    page.duck.execute("create table due (month text, tenant text, operation text, api text, items double)")
    page.duck.executemany("insert into due values (?, ?, ?, ?, ?)", [(*key, one) for key, one in bill(folder).items()])


async def _singer(page: Page) -> None:
    page.world.folder.joinpath("tap.json").write_bytes(orjson.dumps({"tenants": "tenants.json", "state": "state"}))
    page.world.folder.joinpath("target.json").write_bytes(
        orjson.dumps({"destination_path": "output", "do_timestamp_file": False})
    )


async def _cluster(page: Page) -> None:
    """Have addresses for brokers, in variables, and certificates as pages name them."""
    folder, authority = page.world.folder, trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    for name in ("broker", "node"):
        issued.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
        issued.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    with ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in ADDRESSES]
    addresses = {name: f"127.0.0.1:{port}" for name, port in zip(ADDRESSES, free, strict=True)}
    page.world = replace(page.world, variables={**page.world.variables, **addresses})


WORLDS: Final[Mapping[str, Callable[[Page], Awaitable[None]]]] = MappingProxyType(
    {"README.md": _cluster, "many-machines.md": _cluster, "singer.md": _singer, "warehouse.md": _warehouse}
)
