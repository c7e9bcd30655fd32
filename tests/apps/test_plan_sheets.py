"""What watching comes to, as `plan --watch` prints it for people."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from wolkvox_async.apps.almanac import almanac
from wolkvox_async.apps.feasibility import Watching
from wolkvox_async.apps.rehearsal import Scene
from wolkvox_async.apps.sheets import WIDTH, sheet
from wolkvox_async.apps.timetables import settled
from wolkvox_async.catalog import BILLING
from wolkvox_async.model import Operation, Token
from wolkvox_async.planning import Subscription, Wanted
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.leads import LeadTerms
from wolkvox_async.scheduling.subjects import Subjects

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def lines(
    operations: int, endpoints: int, *, servers: int = 1, latency: float = 1.0, per_server: int = 32
) -> list[str]:
    wanted = tuple(Wanted(endpoint) for endpoint in BILLING[:endpoints])
    found = [
        Subscription(Operation("acme", f"o{n}", f"{n % servers:04}", Token(f"made-up-token-{n}")), wanted)
        for n in range(operations)
    ]
    subjects = Subjects(300.0)
    scene = Scene(lambda _operation, _api: latency, Limits(per_server=per_server))
    watching = Watching(list(subjects.of(found, NOW)), subjects.doubles, scene, {"acme/o0": 1})
    leads = settled(watching.subjects, LeadTerms(65.0, 60.0, per_server, 1000), scene.seconds)
    return list(sheet(almanac(watching, leads, round(NOW.timestamp() * 1000)), latency))


def test_a_sheet_says_what_is_watched_how_much_that_is_how_late_it_gets_and_when_months_close() -> None:
    found = lines(20, 3, servers=2)
    assert found[:4] == [
        "watching 60 endpoints: 20 operations, 20 tokens, 2 servers",
        "        20  agent_script",
        "        20  intelligent_dial",
        "        20  gamification",
    ]
    (load,) = [line for line in found if line.startswith("calls a minute")]
    assert "mean 12.0" in load
    assert sum(line.startswith("  12:0") for line in found) == 5  # a bar per minute
    assert "40 closing readings before the month turns at 2026-12-01T05:00:00.000Z" in found
    assert not any(line.startswith("cannot be met") for line in found)


def test_delays_are_shown_by_how_many_operations_have_them_and_the_worst_by_name() -> None:
    found = lines(40, 2, latency=4.0, per_server=2)
    begin = next(n for n, line in enumerate(found) if line.startswith("how late a slot begins"))
    spread = [line.split() for line in found[begin + 1 :] if "up to" in line or "more than" in line]
    assert sum(int(line[-2]) for line in spread) == sum(int(line[-1]) for line in spread) == 40
    named = [line for line in found[begin:] if line.startswith("  acme/o")]
    assert len(named) == 10
    late = [max(float(line.split()[1]), float(line.split()[3])) for line in named]
    assert late == sorted(late, reverse=True)


def test_what_cannot_be_met_stands_last_each_with_what_to_try() -> None:
    found = lines(3, 27, latency=14.0)
    first = next(n for n, line in enumerate(found) if line.startswith("cannot be met"))
    assert all(line.startswith(("cannot be met: ", "  ")) for line in found[first:])
    starts = [line for line in found[first:] if line.startswith("cannot be met: ")]
    assert len(starts) == 4  # a quota, three tokens
    assert sum(line.startswith("  try: ") for line in found[first:]) == 4
    assert any("slots would be gaps" in line for line in found)


def test_nothing_to_watch_is_said_in_a_line() -> None:
    assert lines(0, 1) == ["watching 0 endpoints: 0 operations, 0 tokens, 0 servers"]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 12), st.integers(1, 27), st.integers(1, 12), st.sampled_from([0.1, 20.0]))
def test_a_sheet_fits_a_terminal_of_80_columns(operations: int, endpoints: int, servers: int, latency: float) -> None:
    found = lines(operations, endpoints, servers=servers, latency=latency, per_server=2)
    assert max(map(len, found)) <= WIDTH == 80
    assert all(line == line.rstrip() for line in found)
