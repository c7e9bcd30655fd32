"""What the board remembers of events, and how little it takes."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.apps.serving.shown import (
    BEGUN,
    INTERVAL,
    board_of,
    failure,
    missed,
    months,
    operation,
    rows,
    settled,
    slot_of,
    subjects,
)
from wolkvox_async.apps.serving.board import ADDED_ROWS, Board
from wolkvox_async.apps.serving.conditions import Condition, condition
from wolkvox_async.apps.serving.documents import Sums, detail, status
from wolkvox_async.apps.serving.outlines import line, outline
from wolkvox_async.apps.serving.tracks import LATEST_GAPS, MESSAGE, SLOTS, History, Track
from wolkvox_async.model import Empty, ErrorKind, GapReason, Outcome, Slot, Token
from wolkvox_async.ports import AttemptFailed, TokenClosed
from wolkvox_async.scheduling.subjects import Subject

MINUTE = 60_000


def only(board: Board) -> Track:
    (track,) = board.tracks.values()
    return track


def told(board: Board, now: int, query: str = "") -> Any:
    return orjson.loads(b"".join(status(board, now, query)))


def test_a_reading_is_shown_with_the_sum_of_its_items() -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    board.observe(settled(subject, rows("12", 3, "1,000", None)), BEGUN + 1_000)
    last = told(board, BEGUN + 2_000)["operations"][0]["watched"][0]["last"]
    assert last == {
        "at": "2026-11-21T12:00:01.000Z",
        "outcome": "ok",
        "items": 15,
        "rows": 4,
        "seconds": 0.25,
        "error": None,
    }


def test_rows_without_items_have_no_sum() -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    board.observe(settled(subject, rows("a few")), BEGUN)
    assert (only(board).items, only(board).rows) == (None, 1)


def test_an_answer_with_very_many_rows_is_counted_but_not_added_up() -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    board.observe(settled(subject, rows(*[1] * (ADDED_ROWS + 1))), BEGUN)
    assert (only(board).items, only(board).rows, board.totals.rows) == (None, ADDED_ROWS + 1, ADDED_ROWS + 1)


def test_a_failure_is_shown_with_its_error_and_the_last_good_reading_stays_known() -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    board.observe(settled(subject, rows(1)), BEGUN)
    board.observe(settled(subject, failure(message="x" * 10_000)), BEGUN + INTERVAL)
    watched = told(board, BEGUN + INTERVAL)["operations"][0]["watched"][0]
    assert watched["last"]["error"] == {"kind": "timeout", "message": "x" * MESSAGE}
    assert (watched["condition"], watched["read_at"]) == ("failed", "2026-11-21T12:00:00.000Z")


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [(0, "fresh"), (1.49, "fresh"), (1.5, "late"), (2.99, "late"), (3, "stale"), (500, "stale")],
)
def test_a_reading_ages_by_its_own_interval(intervals: float, expected: str) -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    board.observe(settled(subject, rows(1)), BEGUN)
    assert condition(only(board), None, BEGUN + round(intervals * INTERVAL)) == expected


@pytest.mark.parametrize(("intervals", "expected"), [(0, "pending"), (1.4, "pending"), (1.5, "never")])
def test_what_was_not_read_yet_is_pending_and_then_never_read(intervals: float, expected: str) -> None:
    board, _ = board_of(*subjects(operation()))
    assert condition(only(board), None, BEGUN + round(intervals * INTERVAL)) == expected


def test_a_slot_dropped_behind_a_closing_reading_makes_nothing_late() -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    board.observe(settled(subject, rows(1), slot_of(subject, closing=True)), BEGUN)
    board.observe(missed(subject, GapReason.CLOSING, slot_of(subject, 1)), BEGUN + MINUTE)
    ages = [condition(only(board), None, BEGUN + age * INTERVAL // 10) for age in (16, 24, 26)]
    assert ages == ["fresh", "fresh", "late"]


@pytest.mark.parametrize("kind", [ErrorKind.UNAUTHORIZED, ErrorKind.FORBIDDEN])
def test_a_refused_token_is_called_refused_until_a_reading_succeeds(kind: ErrorKind) -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    board.observe(settled(subject, failure(kind)), BEGUN)
    board.observe(missed(subject, GapReason.HELD, slot_of(subject, 1)), BEGUN + INTERVAL)
    assert condition(only(board), None, BEGUN + INTERVAL) is Condition.REFUSED
    board.observe(settled(subject, Empty(200, 200, "")), BEGUN + 2 * INTERVAL)
    assert condition(only(board), None, BEGUN + 2 * INTERVAL) is Condition.FRESH


def test_a_token_that_was_refused_before_this_run_is_refused_in_it() -> None:
    (subject,) = subjects(operation())
    board, played = board_of(subject)
    played.waiting[subject.key] = GapReason.HELD
    assert told(board, BEGUN)["operations"][0]["condition"] == "refused"


def test_an_operation_is_as_bad_as_the_worst_of_its_endpoints() -> None:
    one, other = subjects(operation(), apis=("interactions", "gamification"))
    board, _ = board_of(one, other)
    board.observe(settled(one, rows(1)), BEGUN)
    board.observe(settled(other, failure()), BEGUN)
    (shown,) = told(board, BEGUN)["operations"]
    assert (shown["condition"], [watched["condition"] for watched in shown["watched"]]) == (
        "failed",
        ["fresh", "failed"],
    )


def test_gaps_are_those_of_the_month_of_the_operation_by_reason() -> None:
    (subject,) = subjects(operation(zone="Asia/Tokyo"))
    board, _ = board_of(subject)
    turn = round(datetime(2026, 12, 1, tzinfo=ZoneInfo("Asia/Tokyo")).timestamp() * 1000)
    for place in (turn - 2, turn - 1):
        board.observe(missed(subject, GapReason.DOWN, Slot(place, place)), turn - 1)
    assert told(board, turn - 1)["operations"][0]["watched"][0]["gaps"]["by_reason"] == {"down": 2}
    assert told(board, turn)["operations"][0]["watched"][0]["gaps"]["total"] == 0
    board.observe(missed(subject, GapReason.QUOTA, Slot(turn, turn)), turn)
    gaps = told(board, turn)["operations"][0]["watched"][0]["gaps"]
    assert (gaps["month"], gaps["by_reason"]) == ("2026-12", {"quota": 1})


def test_only_the_latest_gaps_are_named_and_all_are_counted() -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    for number in range(LATEST_GAPS + 3):
        board.observe(missed(subject, GapReason.SINK, slot_of(subject, number)), BEGUN)
    gaps = told(board, BEGUN)["operations"][0]["watched"][0]["gaps"]
    newest = slot_of(subject, LATEST_GAPS + 2).at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert (gaps["total"], len(gaps["latest"])) == (LATEST_GAPS + 3, LATEST_GAPS)
    assert gaps["latest"][0] == {"slot": newest, "reason": "sink", "closing": False}


def test_a_closing_reading_is_taken() -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    slot = slot_of(subject, closing=True)
    board.observe(settled(subject, rows(1), slot), slot.due + 300)
    (closing,) = told(board, slot.due)["operations"][0]["watched"][0]["closings"]
    assert (closing["month"], closing["taken"], closing["reason"]) == ("2026-11", True, None)
    assert told(board, slot.due)["totals"]["closings"] == {"taken": 1, "missed": 0, "open_misses": 0}


@pytest.mark.parametrize("how", ["gap", "failed"])
def test_a_closing_reading_is_missed_by_a_gap_or_a_failure(how: str) -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    slot = slot_of(subject, closing=True)
    board.observe(
        missed(subject, GapReason.DOWN, slot) if how == "gap" else settled(subject, failure(), slot), slot.due
    )
    shown = told(board, slot.due)
    (closing,) = shown["operations"][0]["watched"][0]["closings"]
    assert (closing["taken"], closing["reason"]) == (False, "down" if how == "gap" else "timeout")
    assert shown["totals"]["closings"] == {"taken": 0, "missed": 1, "open_misses": 1}
    assert shown["operations"][0]["watched"][0]["gaps"]["closing"] is (how == "gap")


def test_a_closing_reading_taken_a_month_later_ends_the_alarm() -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    board.observe(missed(subject, GapReason.DOWN, slot_of(subject, closing=True)), BEGUN)
    board.observe(settled(subject, rows(1), slot_of(subject, 30 * 288, closing=True)), BEGUN + 30 * 288 * INTERVAL)
    assert (only(board).closing_missed, len(only(board).closings)) == (False, 2)


def test_parts_of_an_endpoint_are_told_apart_by_their_grids() -> None:
    dates = months("2026-09-15", "2026-11-10")
    watched = subjects(operation(), apis=("gamification",), dates=dates)
    board, _ = board_of(*watched)
    for number, subject in enumerate(watched, 1):
        board.observe(settled(subject, rows(number)), BEGUN)
    assert [board.tracks[number].items for number in sorted(board.tracks)] == [1, 2, 3]


def test_calls_that_are_of_no_slot_are_not_shown() -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    event = settled(subject, rows(1))
    event.call.slot = None
    board.observe(event, BEGUN)
    assert (only(board).outcome, board.totals.ok) == (None, 0)


def test_attempts_that_will_be_tried_again_change_nothing() -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    event = settled(subject, rows(1))
    board.observe(AttemptFailed(event.call, ErrorKind.TIMEOUT, "no answer", 1, 2.0), BEGUN)
    assert (only(board).at, board.take_changes()) == (None, set())


def test_a_closed_token_is_shown_until_it_opens() -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    board.observe(TokenClosed(subject.operation, ErrorKind.QUOTA, 60.0), BEGUN)
    assert told(board, BEGUN)["operations"][0]["closed"] == {"kind": "quota", "until": "2026-11-21T12:01:00.000Z"}
    assert told(board, BEGUN + MINUTE)["operations"][0]["closed"] is None


def test_changes_are_told_once() -> None:
    one, other = subjects(operation(), operation("globex/main"))
    board, _ = board_of(one, other)
    board.observe(settled(other, rows(1)), BEGUN)
    board.observe(missed(other, GapReason.DOWN, slot_of(other, 1)), BEGUN)
    assert (board.take_changes(), board.take_changes()) == ({2}, set())


def test_a_reload_keeps_what_stays_and_drops_what_goes() -> None:
    stays, goes = subjects(operation(), operation("globex/main"))
    comes = subjects(operation("initech/lima"))
    board, played = board_of(stays, goes)
    board.observe(settled(stays, rows(7)), BEGUN)
    moved = replace(stays, operation=replace(stays.operation, server="0099"))
    played.replace([moved, *comes])
    board.refresh(BEGUN + INTERVAL)
    shown = told(board, BEGUN + INTERVAL)["operations"]
    assert [(one["tenant"], one["server"]) for one in shown] == [("acme", "0099"), ("initech", "0010")]
    assert (shown[0]["watched"][0]["last"]["items"], shown[1]["watched"][0]["last"]) == (7, None)
    assert sorted(board.tracks) == [1, 3]


def test_an_event_of_something_added_a_moment_ago_is_not_lost() -> None:
    (first,) = subjects(operation())
    (added,) = subjects(operation("globex/main"))
    board, played = board_of(first)
    played.replace([first, added])
    board.observe(settled(added, rows(5)), BEGUN)
    assert board.tracks[2].items == 5


def test_an_event_of_something_that_is_gone_is_counted_and_forgotten() -> None:
    (first,) = subjects(operation())
    board, played = board_of(first)
    played.replace([])
    board.refresh(BEGUN)
    board.observe(settled(first, rows(5)), BEGUN)
    assert (board.tracks, board.totals.ok) == ({}, 1)


def test_the_query_fits_names_servers_and_conditions_in_any_case() -> None:
    watched = subjects(operation("Acme/bogota"), operation("globex/quito", server="0042"))
    board, _ = board_of(*watched)
    found = {query: [one["tenant"] for one in told(board, BEGUN, query)["operations"]] for query in ("ACME", "0042")}
    assert found == {"ACME": ["Acme"], "0042": ["globex"]}
    assert [one["tenant"] for one in told(board, BEGUN, "pending quito")["operations"]] == ["globex"]
    assert (told(board, BEGUN, "nobody")["operations"], told(board, BEGUN, "nobody")["totals"]["operations"]) == ([], 2)


def test_totals_are_those_of_the_whole_board() -> None:
    one, other = subjects(operation(), operation("globex/main"))
    board, played = board_of(one, other)
    played.flying.add(one.key)
    board.observe(settled(one, Empty(200, 200, "")), BEGUN)
    board.observe(settled(other, failure()), BEGUN)
    board.observe(missed(other, GapReason.DOWN, slot_of(other, 1)), BEGUN)
    totals = told(board, BEGUN)["totals"]
    assert (totals["operations"], totals["watched"], totals["late"], totals["in_flight"]) == (2, 2, 1, 1)
    assert (totals["calls"], totals["gaps"]["down"]) == ({"ok": 0, "empty": 1, "failed": 1}, 1)


def test_an_empty_board_is_told_as_well() -> None:
    shown = told(Board(), BEGUN)
    assert (shown["run"], shown["operations"], shown["shown"], shown["totals"]["watched"]) == (None, [], 0, 0)


def test_no_text_of_a_token_is_on_the_board(canary: Token, canary_text: str) -> None:
    (subject,) = subjects(replace(operation(), token=canary))
    board, _ = board_of(subject)
    board.observe(settled(subject, rows(1)), BEGUN)
    kept = [found for found in gc.get_objects() if isinstance(found, Token) and found is canary]
    holders = [type(one) for one in gc.get_referrers(*kept) if type(one).__module__.startswith("wolkvox_async.apps")]
    sent = b"".join(status(board, BEGUN)) + b"".join(outline(board, BEGUN, "x"))
    assert (canary.id.encode() in sent, canary_text.encode() in sent, holders) == (True, False, [])


def test_a_message_that_is_no_unicode_text_can_be_sent() -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    board.observe(settled(subject, failure(message="half \ud800")), BEGUN)
    assert told(board, BEGUN)["operations"][0]["watched"][0]["last"]["error"]["message"] == "half ?"


def test_one_line_of_the_page_says_what_the_board_knows() -> None:
    (subject,) = subjects(operation())
    board, played = board_of(subject)
    played.due[subject.key], played.waiting[subject.key] = BEGUN + INTERVAL, GapReason.BUSY
    board.observe(settled(subject, rows(9)), BEGUN)
    (post,) = board.posts.values()
    at = BEGUN // 1000
    assert line(board, post, only(board), BEGUN) == [
        *(1, at, "ok", 9, 1, at, None, None),
        *(at + 300, "busy", 0, None, None, 1, [at, "ok", 9.0]),
    ]


def test_the_detail_has_the_slots() -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    board.observe(settled(subject, rows(9)), BEGUN)
    board.observe(missed(subject, GapReason.DOWN, slot_of(subject, 1)), BEGUN)
    (post,) = board.posts.values()
    history = detail(board, post, BEGUN)["watched"][0]["history"]
    assert (history["ending"], history["items"], history["count"]) == (["ok", "down"], [9.0, None], 2)


@given(st.lists(st.tuples(st.sampled_from(["ok", "empty", "failed", *GapReason]), st.none() | st.integers(0, 2**50))))
def test_the_last_slots_are_kept_as_they_were(slots: list[tuple[str, int | None]]) -> None:
    history = History()
    for number, (ending, items) in enumerate(slots):
        history.add(BEGUN + number * 1000, ending, items)
    kept = [(slot.ending, slot.items) for slot in history]
    assert (kept, history.count) == (slots[-SLOTS:], len(slots))
    assert history.last == (list(history)[-1] if slots else None)


@given(st.lists(st.sampled_from(["ok", "empty", "failed", *GapReason]), max_size=80))
def test_calls_and_gaps_are_slots(endings: list[str]) -> None:
    (subject,) = subjects(operation())
    board, _ = board_of(subject)
    for number, ending in enumerate(endings):
        slot = slot_of(subject, number)
        outcomes: dict[str, Outcome] = {"ok": rows(1), "empty": Empty(200, 200, ""), "failed": failure()}
        outcome = outcomes.get(ending)
        event = missed(subject, GapReason(ending), slot) if outcome is None else settled(subject, outcome, slot)
        board.observe(event, slot.due)
    totals = board.totals
    assert totals.ok + totals.empty + totals.failed + sum(totals.gaps.values()) == len(endings)
    assert only(board).history.count == len(endings)


def filled(watched: list[Subject], *, badly: bool) -> Board:
    board, _ = board_of(*watched)
    for subject in watched:
        for number in range(SLOTS + 10):
            slot = slot_of(subject, number, closing=badly and number % 20 == 0)
            if badly and number % 3:
                board.observe(missed(subject, GapReason.DOWN, slot), slot.due)
            else:
                outcome = failure(message=f"{number}" * 300) if badly else rows(number)
                board.observe(settled(subject, outcome, slot), slot.due)
    return board


@pytest.mark.parametrize(("badly", "most"), [(False, 2_000), (True, 2_800)])
def test_a_subject_stays_small_whatever_happens_to_it(badly: bool, most: int) -> None:
    watched = subjects(*(operation(f"tenant{number}/main") for number in range(100)))
    filled(watched[:1], badly=badly)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        board = filled(watched, badly=badly)
        gc.collect()
        weight = (tracemalloc.get_traced_memory()[0] - before) / len(board.tracks)
    finally:
        tracemalloc.stop()
    assert weight < most


def test_all_conditions_are_counted() -> None:
    assert set(Sums().conditions) == set(Condition)
