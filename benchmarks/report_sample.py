"""Records as a watch leaves them, made up: any number of them, quickly, the same again for the same seed.

    python -m benchmarks.report_sample FOLDER [--days 61] [--operations 24] [--endpoints 4] [--step 300] [--plain]

Leaves a packed file a day in FOLDER. Operations and figures are the simulator's. Month by month a few things
go wrong: a server is down, a call fails, a token is refused, a closing reading is missed, an answer is empty. With
`--plain`, nothing does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from wolkvox_async.adapters.jsonlines.compression import Packer
from wolkvox_async.catalog import BILLING, Endpoint
from wolkvox_async.testing.population import SimulatedOperation, populate
from wolkvox_async.testing.readings import MonthProgress, reading
from wolkvox_async.windows import DEFAULT_TIMEZONE

ZONE: Final = ZoneInfo(DEFAULT_TIMEZONE)

_ROW: Final = (
    b'{"type":"row","run":"%b","call":"%b","n":1,%b,"api":"%b","slot":"%b","at":"%b","items":%d,"row":{"operation":"%b",'
    b'"description":"%b","items":"%d","date":"%b"}}\n'
)
_CALL: Final = (
    b'{"type":"call","run":"%b","call":"%b",%b,"token":"%b","api":"%b","window":null,"params":null,"slot":"%b","closing":%b,'
    b'"outcome":"%b","rows":%d,"attempts":1,"at":"%b","seconds":0.213,"status":%b,"code":%b,"msg":null,"error":%b,'
    b'"next_at":null}\n'
)
_GAP: Final = b'{"type":"gap","run":"%b",%b,"api":"%b","slot":"%b","reason":"%b","closing":%b}\n'
_WHOSE: Final = b'"tenant":"%b","operation":"%b","server":"%b"'
_ERROR: Final = b'{"kind":"server_error","message":"the vendor answered 503","retryable":true}'
_RUN: Final = b"01M8REPORT0000000000000000"


@dataclass(frozen=True, slots=True)
class Subject:
    """An endpoint of an operation, with what all its lines share."""

    number: int
    operation: SimulatedOperation
    endpoint: Endpoint
    whose: bytes


@dataclass(frozen=True)
class Sample:
    """What is made: so many operations and endpoints, one slot every `step` seconds, from the `first` day on."""

    operations: int = 24
    endpoints: int = 4
    tenants: int = 5
    first: datetime = datetime(2026, 9, 1, tzinfo=ZONE)
    days: int = 61
    step: int = 300
    seed: int = 1
    plain: bool = False

    @cached_property
    def subjects(self) -> list[Subject]:
        """Everything that is read."""
        servers = [f"{number:04}" for number in range(1, 9)]
        found = populate(seed=self.seed, operations=self.operations, tenants=self.tenants, servers=servers)
        wanted = _endpoints(self.endpoints)
        pairs = [(operation, endpoint) for operation in found for endpoint in wanted]
        return [
            Subject(number, operation, endpoint, _WHOSE % tuple(map(str.encode, _names(operation))))
            for number, (operation, endpoint) in enumerate(pairs)
        ]

    def days_of_lines(self) -> Iterator[tuple[str, bytes]]:
        """Yield each day's name and its lines."""
        for number in range(self.days):
            day = self.first + timedelta(number)
            yield f"{day:%Y-%m-%d}", b"".join(self._day(day, begins=not number, ends=number == self.days - 1))

    def last_slots(self) -> Iterator[tuple[str, float]]:
        """Yield each month, and when its last slot is (Unix seconds)."""
        days = [self.first + timedelta(number) for number in range(self.days)]
        for day, following in zip(days, [*days[1:], None], strict=True):
            turns = (day + timedelta(1)).day == 1
            if turns or following is None:
                late = 86_400 - (60 if turns else self.step)
                yield f"{day:%Y-%m}", (day + timedelta(seconds=late)).timestamp()

    def _day(self, day: datetime, *, begins: bool, ends: bool) -> Iterator[bytes]:
        if begins:
            yield _event(b"started", day)
        progress = MonthProgress(DEFAULT_TIMEZONE)
        turns = (day + timedelta(1)).day == 1
        for second in range(0, 86_400, self.step):
            slot = day + timedelta(seconds=second)
            closing = turns and second + self.step >= 86_400
            # The closing slot is moved to right before the turn.
            slot = slot if not closing else day + timedelta(seconds=86_400 - 60)
            yield from self._slot(slot, progress, closing=closing)
        if ends:
            yield _event(b"stopped", day + timedelta(1))

    def _slot(self, slot: datetime, progress: MonthProgress, *, closing: bool) -> Iterator[bytes]:
        unix = slot.timestamp()
        progress.move(unix)
        due = datetime.fromtimestamp(unix, UTC)
        stamp, at = _stamp(due), _stamp(due + timedelta(milliseconds=213))
        flag = b"true" if closing else b"false"
        for subject in self.subjects:
            mishap = None if self.plain else _mishap(subject, slot, closing=closing)
            yield _lines(subject, (stamp, at, flag), mishap, progress)


def _lines(subject: Subject, times: tuple[bytes, bytes, bytes], mishap: bytes | None, progress: MonthProgress) -> bytes:
    slot, at, closing = times
    api, operation = subject.endpoint.api.encode(), subject.operation
    if mishap is not None and mishap not in (b"failed", b"empty"):
        return _GAP % (_RUN, subject.whose, api, slot, mishap, closing)
    call = b"%b%07d" % (slot[:19].replace(b"-", b"").replace(b":", b""), subject.number)
    token = operation.token.id.encode()
    shared = (_RUN, call, subject.whose, token, api, slot, closing)
    if mishap == b"failed":
        return _CALL % (*shared, b"failed", 0, at, b"503", b"503", _ERROR)
    if mishap == b"empty":
        return _CALL % (*shared, b"empty", 0, at, b"200", b"200", b"null")
    items = reading(subject.endpoint.kind, api, operation.salt, progress)
    title = api.replace(b"_", b" ").capitalize()
    named = (operation.vendor_name.encode(), title, items, progress.day)
    row = _ROW % (_RUN, call, subject.whose, api, slot, at, items, *named)
    return row + _CALL % (*shared, b"ok", 1, at, b"200", b"200", b"null")


def _mishap(subject: Subject, slot: datetime, *, closing: bool) -> bytes | None:
    """Say what went wrong: nearly always nothing."""
    server, minute = subject.operation.server, slot.hour * 60 + slot.minute
    if server == "0003" and slot.day == 12 and 9 * 60 <= minute < 11 * 60:
        return b"down"
    if (
        subject.operation.tenant == "globex"
        and subject.operation.name == "lima"
        and slot.day >= 29
        and slot.month == 10
    ):
        return b"held"
    if closing and subject.number == 1 and slot.month == 10:
        return b"overrun"
    if subject.number % 17 == 5 and slot.day == 20 and minute < 25:
        return b"failed"
    return b"empty" if subject.number == 9 else None


def _endpoints(count: int) -> list[Endpoint]:
    first = ("interactions", "ivr_minutes", "chat_licenses", "agent_script", "tts_chars")
    by_name = {endpoint.api: endpoint for endpoint in BILLING}
    return [*(by_name[name] for name in first), *(e for e in BILLING if e.api not in first)][:count]


def _names(operation: SimulatedOperation) -> tuple[str, str, str]:
    return operation.tenant, operation.name, operation.server


def _event(event: bytes, at: datetime) -> bytes:
    return b'{"type":"run","schema":1,"run":"%b","event":"%b","at":"%b","version":"0.1.0","calls":1}\n' % (
        _RUN,
        event,
        _stamp(at.astimezone(UTC)),
    )


def _stamp(moment: datetime) -> bytes:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z".encode()


def main() -> int:
    """Make it; says how many records and bytes there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name in ("days", "operations", "endpoints", "tenants", "step"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Sample, name))
    parser.add_argument("--plain", action="store_true")
    options = vars(parser.parse_args())
    folder = options.pop("folder")
    folder.mkdir(parents=True, exist_ok=True)
    made = size = 0
    for day, lines in Sample(**options).days_of_lines():
        packer = Packer()
        packed = packer.pack(lines) + packer.end()
        (folder / f"usage-{day}.jsonl.zst").write_bytes(packed)
        made, size = made + lines.count(b"\n"), size + len(packed)
    print(made, size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
