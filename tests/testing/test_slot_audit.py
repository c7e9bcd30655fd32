"""Whether every slot ended once, and gaps are named right, as lines of output say it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from wolkvox_async.catalog import Catalog
from wolkvox_async.fields import timestamp
from wolkvox_async.model import GapReason, Operation, Slot, Token
from wolkvox_async.planning import Subscription, Wanted
from wolkvox_async.scheduling.subjects import Subject, Subjects
from wolkvox_async.testing import Episode, SlotAudit

BEGIN = datetime(2026, 12, 1, 4, tzinfo=UTC)
SINCE = round(BEGIN.timestamp() * 1000)
UNTIL = SINCE + 2 * 3_600_000
LEAD = 130_000
OPERATION = Operation("acme", "bogota", "0010", Token("made-up-token"))


def subject() -> Subject:
    endpoint = Catalog().get("interactions")
    assert endpoint is not None
    (found,) = Subjects(300.0).of([Subscription(OPERATION, (Wanted(endpoint),))], BEGIN)
    return found


def slots() -> list[Slot]:
    """Return two hours of slots, with a turn of the month in the middle."""
    timetable = subject().timetable
    found = [timetable.first(SINCE, LEAD)]
    while (following := timetable.next(found[-1], LEAD)).place <= UNTIL:
        found.append(following)
    return found


def call(slot: Slot, outcome: str = "ok") -> dict[str, Any]:
    named = {"tenant": "acme", "operation": "bogota", "server": "0010", "api": "interactions"}
    said = {"slot": timestamp(slot.at), "closing": slot.closing}
    return {"type": "call", **named, **said, "outcome": outcome, "at": timestamp(slot.at)}


def gap(slot: Slot, reason: str) -> dict[str, Any]:
    return {name: value for name, value in call(slot).items() if name != "outcome"} | {"type": "gap", "reason": reason}


def good() -> list[dict[str, Any]]:
    return [gap(slot, "closing") if slot.dropped else call(slot) for slot in slots()]


def audited(records: list[dict[str, Any]], *episodes: Episode) -> SlotAudit:
    audit = SlotAudit([subject()], SINCE, UNTIL, episodes)
    for record in records:
        audit.read(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
    return audit


def test_what_a_timetable_says_is_what_is_expected() -> None:
    audit = audited(good())
    assert audit.complaints() == []
    assert audit.ends == audit.expected == len(slots()) == 24
    assert (audit.calls, audit.gaps) == ({"ok": 23}, {"closing": 1})
    (closing,) = audit.closings
    assert (closing.path, closing.due, closing.end) == ("acme/bogota", SINCE + 3_600_000 - LEAD, "ok")


def test_rows_are_counted_and_runs_passed_over() -> None:
    audit = SlotAudit([subject()], SINCE, UNTIL)
    audit.read(b'{"type":"run","event":"started"}\n{"type":"row","row":{}}\n{"type":"row","row":{}}\n')
    assert (audit.rows, audit.lines, audit.ends, dict(audit.wrong)) == (2, 3, 0, {})


@pytest.mark.parametrize("number", [0, 7, 20])
def test_a_slot_that_did_not_end_is_missing(number: int) -> None:
    records = good()
    del records[number]
    assert audited(records).wrong == {"missing": 1}


def test_a_slot_that_did_not_end_at_the_end_is_missing() -> None:
    assert "1 subjects do not end where they should" in audited(good()[:-1]).complaints()[0]


@pytest.mark.parametrize("number", [0, 7, 23])
def test_a_slot_that_ended_twice_is_noticed(number: int) -> None:
    records = good()
    records.insert(number + 1, records[number])
    assert audited(records).wrong["twice"] == 1


def test_a_slot_off_the_grid_is_noticed() -> None:
    records = good()
    moved = Slot(0, slots()[3].due + 1)
    records[3] = call(moved)
    assert audited(records).wrong == {"off the grid": 1}


def test_an_end_of_what_nobody_watches_is_noticed() -> None:
    stray = call(slots()[0]) | {"tenant": "globex"}
    assert audited([*good(), stray]).wrong == {"ends of nothing that is watched": 1}


def test_a_gap_needs_something_that_explains_it() -> None:
    records = good()
    records[5] = gap(slots()[5], "down")
    due = slots()[5].due
    assert audited(records).wrong == {"gaps named wrong": 1}

    def explained(*, since: int = due, path: str = "acme/bogota", reason: GapReason = GapReason.DOWN) -> bool:
        episode = Episode("outage", since, due + 1, frozenset({reason}), frozenset({path}))
        audit = audited(records, episode)
        return not audit.complaints() and audit.explained == {("outage", "down"): 1}

    assert explained()
    assert not explained(since=due + 1)
    assert not explained(path="acme/quito")
    assert not explained(reason=GapReason.BUSY)


def test_a_failed_call_needs_an_episode_in_which_calls_fail() -> None:
    records = good()
    records[5] = call(slots()[5], "failed")
    assert audited(records).wrong == {"failed for no reason": 1}
    assert audited(records, Episode("outage", SINCE, UNTIL, frozenset(), fails=True)).complaints() == []
    assert audited(records, Episode("outage", SINCE, UNTIL, frozenset(GapReason))).wrong == {"failed for no reason": 1}


def test_a_slot_is_closed_by_a_closing_reading_and_by_nothing_else() -> None:
    records = good()
    records[5] = gap(slots()[5], "closing")
    assert audited(records).wrong == {"closed by nothing": 1}


def test_the_digest_is_that_of_every_byte() -> None:
    assert audited(good()).sha256 == audited(good()).sha256 != audited(good()[:-1]).sha256
