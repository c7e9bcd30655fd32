"""A month of records of 1,000 operations in DuckDB in one line, compared with the simulator's own books.

The operations are watched in virtual time, from before November to after it, and written as
`watch --output usage-{date}.jsonl.zst` writes: files that are finished, each with its
manifest. Then one statement loads them; rows and the sum of their items have to be what the
vendor says that it sent, operation by operation and endpoint by endpoint, and the files what
their manifests say. Exits 1 when something differs.

Asked is once an hour: every five minutes (`--full`) is twelve times as much, about an hour
of CPU for 1,000 operations, nearly all of which is simulator and engine.

    ./dev bench warehouse [--operations N] [--endpoints N] [--interval SECONDS | --full] [--folder DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb

from wolkvox_async.adapters.jsonlines.rotating import SETTLING, Rotation
from wolkvox_async.adapters.jsonlines.rotation import Template
from wolkvox_async.adapters.state import MemoryState
from wolkvox_async.apps.passing import calm_collector
from wolkvox_async.catalog import BILLING, Catalog, Endpoint
from wolkvox_async.planning import Subscription, Wanted
from wolkvox_async.settings.composition import Parts, assemble
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.options import Options
from wolkvox_async.testing import InProcess, Profile, Verdict, VirtualClock, VirtualLoop

from .laboratory import table
from .virtual_month import LATENCY, SERVERS, TURN

DAY: Final = 86_400.0
ONE_LINE: Final = (
    "create table lines as select * from read_json('usage-*.jsonl.zst', union_by_name = true, sample_size = -1)"
)
MANIFESTS: Final = "select sum(rows), sum(calls), sum(gaps) from read_json('usage-*.manifest.json')"

_AT_ONCE: Final = 1 << 16  # bytes, about as much as is written at once when many operations are watched
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Usage:
    """What is watched: who (`profile`), which endpoints, how often and from when to when (Unix seconds).

    `befall` is called at the beginning, to arrange what goes wrong.
    """

    profile: Profile
    endpoints: tuple[Endpoint, ...]
    interval: float
    begin: float = TURN - 30 * DAY
    end: float = TURN + 3_600
    only_changes: bool = False
    befall: Callable[[VirtualClock, InProcess], object] = lambda _clock, _vendor: None


@dataclass(slots=True)
class Files:
    """A `Sink`: one file a day, as the program's own output has them, finished with a manifest."""

    rotation: Rotation
    _lines: bytearray = field(default_factory=bytearray)

    async def write(self, lines: bytes) -> int | None:
        """Take lines in."""
        self._lines += lines
        if len(self._lines) >= _AT_ONCE:
            self.flush()
        return None

    def flush(self) -> None:
        """Have the files hold all there is, and finish those whose time is over."""
        self.rotation.write(bytes(self._lines))
        self._lines.clear()


def write_month(usage: Usage, folder: Path) -> tuple[Verdict, InProcess]:
    """Watch in virtual time, write `usage-DATE.jsonl.zst` into `folder`, and return what the vendor says. Blocks."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        vendor = runner.run(_watched(usage, folder))
    for part in folder.glob("usage-*.part"):  # of the next day, in which nothing was watched
        part.unlink()
    return vendor.verdict(), vendor


async def _watched(usage: Usage, folder: Path) -> InProcess:
    clock = VirtualClock(datetime.fromtimestamp(usage.begin, UTC))
    vendor = InProcess(usage.profile, clock)
    wanted = tuple(Wanted(endpoint) for endpoint in usage.endpoints)
    subscriptions = [Subscription(each.as_operation(), wanted) for each in vendor.operations]
    parts = Parts(transport=vendor, clock=clock, chance=lambda: 0.5, state=MemoryState(clock))
    engine = assemble(subscriptions, Tenants((), Catalog()), Options(interval=usage.interval), parts)
    template = Template.of(str(folder / "usage-{date}.jsonl.zst"))
    rotation = Rotation.open(template, clock, durable=False)
    files = Files(rotation)
    usage.befall(clock, vendor)
    midnight = usage.begin - usage.begin % DAY + DAY
    while midnight < usage.end:
        clock.at(midnight - 1, files.flush)  # into the day's own file
        midnight += DAY
    clock.at(usage.end, engine.stop)
    async with engine, engine.watch(only_changes=usage.only_changes) as records:
        await records.write_to(files)
    await _finish(files, clock)
    return vendor


async def _finish(files: Files, clock: VirtualClock) -> None:
    """Wait until the last day is over, and its file finished."""
    files.flush()
    await asyncio.sleep(DAY - clock.unix() % DAY)
    files.flush()
    await asyncio.sleep(SETTLING)
    files.flush()
    files.rotation.close()


def endpoints(number: int) -> tuple[Endpoint, ...]:
    """Return so many endpoints that only know the current month."""
    return tuple(endpoint for endpoint in BILLING if endpoint.monthly)[:number]


# --- the comparison ---------------------------------------------------------------------------


def books(vendor: InProcess) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Return what the vendor says that it sent: rows and the sum of their items by operation and endpoint."""
    sent = vendor.verdict().sent
    return {
        (each.tenant, each.name, api): (counted.rows, counted.items)
        for each in vendor.operations
        for api, counted in sent.get(each.token.id, {}).items()
    }


def loaded(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Return the same of what was loaded."""
    rows = connection.execute(
        "select tenant, operation, api, count(*), sum(items)::bigint from lines where type = 'row' group by all"
    ).fetchall()
    return {(tenant, operation, api): (count, items) for tenant, operation, api, count, items in rows}


def _compare(vendor: InProcess, connection: duckdb.DuckDBPyConnection) -> dict[str, bool]:
    types = dict(connection.execute("select type, count(*) from lines group by type").fetchall())
    told = connection.execute(MANIFESTS).fetchone()
    verdict, sent = vendor.verdict(), books(vendor)
    answers = sum(one.answers for apis in verdict.sent.values() for one in apis.values())
    return {
        "rows and items of every operation and endpoint are the simulator's": bool(sent) and loaded(connection) == sent,
        "calls are the simulator's answers": types.get("call") == answers,
        "rows, calls and gaps are the manifests'": told == tuple(types.get(name, 0) for name in ("row", "call", "gap")),
        "0 overlaps, 0 early calls, 0 wrong requests": verdict.ok,
    }


def _in_duckdb(vendor: InProcess, folder: Path) -> tuple[list[tuple[str, object]], dict[str, bool]]:
    with chdir(folder), duckdb.connect() as connection:
        began, spent = time.monotonic(), time.process_time()
        connection.execute(ONE_LINE)
        wall, cpu = time.monotonic() - began, time.process_time() - spent
        checks = _compare(vendor, connection)
        counted: Any = connection.execute("select count(*), count(*) filter (type = 'row') from lines").fetchone()
    sent = [one for apis in vendor.verdict().sent.values() for one in apis.values()]
    return [
        ("in one line", ONE_LINE),
        ("lines loaded", f"{counted[0]:,} in {wall:.1f} s ({cpu:.1f} s of CPU)"),
        ("rows in DuckDB", f"{counted[1]:,}"),
        ("rows by the simulator's books", f"{sum(one.rows for one in sent):,}"),
    ], checks


def main() -> int:
    """Make a month, load it, compare, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=1_000)
    parser.add_argument("--endpoints", type=int, default=1)
    parser.add_argument("--interval", type=float, default=3_600.0, help="seconds between two readings (3600)")
    parser.add_argument("--full", action="store_true", help="every five minutes, as `watch` does")
    parser.add_argument("--folder", type=Path, help="leave the files there, in a folder that is empty or not there")
    wanted = parser.parse_args()
    calm_collector()  # as the program does
    interval = 300.0 if wanted.full else wanted.interval
    profile = Profile(SERVERS, wanted.operations, latency=LATENCY, interval=interval)
    usage = Usage(profile, endpoints(wanted.endpoints), interval)
    if wanted.folder is not None:
        wanted.folder.mkdir(parents=True, exist_ok=True)
        if any(wanted.folder.iterdir()):
            parser.error(f"{wanted.folder} is not empty")
        return _measure(usage, wanted.folder)
    with tempfile.TemporaryDirectory(prefix="wolkvox-warehouse-") as name:
        return _measure(usage, Path(name))


def _measure(usage: Usage, folder: Path) -> int:
    spent = time.process_time()
    _, vendor = write_month(usage, folder)
    spent = time.process_time() - spent
    packed = [path.stat().st_size for path in folder.glob("usage-*.jsonl.zst")]
    facts, checks = _in_duckdb(vendor, folder)
    table(
        [
            (
                "watched",
                f"{usage.profile.operations:,} operations x {len(usage.endpoints)}, every {usage.interval:g} s",
            ),
            ("files", f"{len(packed)}, {sum(packed) / _MIB:,.1f} MiB"),
            ("CPU of engine and simulator", f"{spent:,.0f} s"),
            *facts,
            *((name, "yes" if held else "NO") for name, held in checks.items()),
        ]
    )
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
