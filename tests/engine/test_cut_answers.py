"""An answer that was cut off is asked for in parts: no row is lost, none is doubled, nothing is silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import pytest

from tests.engine.stage import GOOD, LoopWall, Stage, ends, read_all, token
from wolkvox_async.adapters.state import MemoryState
from wolkvox_async.apps.progress import Picture, picture
from wolkvox_async.catalog import Dates, Endpoint
from wolkvox_async.engine import RunName
from wolkvox_async.engine.cuts import HOPELESS
from wolkvox_async.lines import line
from wolkvox_async.model import Answer, Breakdown, Call, ErrorKind, Operation
from wolkvox_async.planning import DateRange, Subscription, Wanted
from wolkvox_async.ports import CallCut
from wolkvox_async.records import Record
from wolkvox_async.settings.schema import records_schema
from wolkvox_async.testing import ok_answer
from wolkvox_async.testing.population import SimulatedOperation
from wolkvox_async.testing.reports import Report, answer, rows
from wolkvox_async.windows import Window

ZONE: Final = ZoneInfo("America/Bogota")
DATES: Final = DateRange("2026-11-01", "2026-11-04")
WHOLE: Final = Window(datetime(2026, 11, 1, tzinfo=ZONE), datetime(2026, 11, 5, tzinfo=ZONE))
HOST: Final = SimulatedOperation("acme", "bogota", "0010", token("acme/bogota"), "ACME BOG", 40, 7)
NAME: Final = RunName("november")


def report(**changes: Any) -> Report:
    given: dict[str, Any] = {"name": "reports_manager/cdr_1", "rows": 50, "most_rows": 20}
    return Report(**{**given, **changes})


class Books:
    """A vendor with one report, which it answers cut off where it is too long."""

    def __init__(self, of: Report) -> None:
        self.report: Final = of
        self.asked: Final[list[tuple[str, ...]]] = []

    def __call__(self, call: Call, _number: int) -> Answer:
        if call.file == "billing":
            return GOOD
        self.asked.append(tuple(value for _, value in call.query[1:]))
        reply = answer(self.report, HOST, call.query[1:], ZONE)
        return Answer(reply.status, reply.body)

    def all(self, window: Window | None = WHOLE) -> Counter[bytes]:
        return counted(rows(self.report, HOST, window))


def counted(found: Any) -> Counter[bytes]:
    return Counter(orjson.dumps(row) for row in found)


def delivered(records: list[Record]) -> Counter[bytes]:
    return counted(record["row"] for record in records if record["type"] == "row")


def subscriptions(of: Report, **changes: Any) -> list[Subscription]:
    given: dict[str, Any] = {"dates": Dates.REQUIRED if of.dates else Dates.NEVER, "most_rows": of.most_rows}
    endpoint = Endpoint(of.api, file=of.file, **{**given, **changes})
    return [Subscription(Operation("acme", "bogota", "0010", HOST.token), (Wanted(endpoint),))]


def windows_of(records: Sequence[Record]) -> list[tuple[str, str]]:
    return sorted((end["window"]["from"], end["window"]["to"]) for end in ends(records) if end["window"])


def seconds_between(found: list[tuple[str, str]]) -> list[float]:
    moments = [(datetime.strptime(a, "%Y%m%d%H%M%S"), datetime.strptime(b, "%Y%m%d%H%M%S")) for a, b in found]  # noqa: DTZ007
    return [(other[0] - one[1]).total_seconds() for one, other in pairwise(moments)]


async def test_the_rows_of_the_parts_are_the_vendors_each_once() -> None:
    books = Books(report())
    stage = Stage(subscriptions(books.report), books)
    async with stage.engine() as engine:
        records = await read_all(engine, dates=DATES)
    assert delivered(records) == books.all()
    assert max(end["rows"] for end in ends(records)) < 20
    assert {end["outcome"] for end in ends(records)} <= {"ok", "empty"}
    assert stage.scripted.overlaps == 0


async def test_the_windows_of_the_parts_tile_the_range_and_name_the_planned_call() -> None:
    books = Books(report())
    stage = Stage(subscriptions(books.report), books)
    async with stage.engine() as engine:
        records = await read_all(engine, dates=DATES)
    found = windows_of(records)
    assert (found[0][0], found[-1][1]) == ("20261101000000", "20261104235959")
    assert set(seconds_between(found)) == {1.0}
    (planned,) = {end["part_of"] for end in ends(records)}
    assert planned == stage.scripted.calls[0].id
    assert len({end["call"] for end in ends(records)}) == len(found) > 10


async def test_every_request_is_counted_and_every_line_fits_the_schema() -> None:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - slow to import

    books = Books(report())
    stage = Stage(subscriptions(books.report), books)
    async with stage.engine() as engine:
        records = await read_all(engine, dates=DATES)
    started, finished = records[0], records[-1]
    assert started["type"] == finished["type"] == "run"
    assert (started["calls"], finished["attempts"]) == (1, len(books.asked))
    assert finished["ok"] + finished["empty"] == len(ends(records))
    assert finished["rows"] == sum(books.all().values())
    schema = Draft202012Validator(records_schema())
    for record in records:
        schema.validate(orjson.loads(line(record)))


async def test_hooks_hear_of_every_request() -> None:
    books = Books(report())
    stage = Stage(subscriptions(books.report), books)
    async with stage.engine() as engine:
        records = await read_all(engine, dates=DATES)
    cut = [event for event in stage.ear.events if isinstance(event, CallCut)]
    requests = [event.attempts for event in cut] + [event.attempts for event in stage.ear.settled]
    assert sum(requests) == len(books.asked)
    assert len(stage.ear.settled) == len(ends(records))
    assert len({event.call.id for event in cut}) == len(cut) > 3
    assert {event.rows for event in cut} == {20}


async def test_only_one_window_of_a_token_is_open_at_a_time() -> None:
    books = Books(report(rows=400))
    stage = Stage(subscriptions(books.report), books)
    most = 0
    async with stage.engine() as engine, engine.fetch(dates=DATES) as records:
        async for _ in records:
            most = max(most, engine.snapshot().queued)
    assert len(books.asked) > 150
    assert most <= 24


async def test_a_single_second_at_the_limit_is_delivered_and_said_to_be_truncated() -> None:
    books = Books(report(rows=60, rush=25))
    stage = Stage(subscriptions(books.report), books)
    async with stage.engine() as engine:
        records = await read_all(engine, dates=DATES)
    cut = [end for end in ends(records) if end.get("truncated")]
    assert windows_of(cut) == [(f"2026110{day}120000", f"2026110{day}120000") for day in (1, 2, 3, 4)]
    missing = books.all() - delivered(records)
    assert sum(missing.values()) == 4 * 5
    assert delivered(records) - books.all() == Counter()
    assert all(b"12:00:00" in row for row in missing)


async def test_an_undated_answer_at_the_limit_is_delivered_and_said_to_be_truncated() -> None:
    books = Books(report(name="information/agents", dates=None))
    stage = Stage(subscriptions(books.report), books)
    async with stage.engine() as engine:
        (end,) = ends(await read_all(engine))
    assert (end["outcome"], end["rows"], end.get("truncated"), "part_of" in end) == ("ok", 20, True, False)


async def test_one_row_less_than_the_limit_is_an_ordinary_answer() -> None:
    books = Books(report(rows=19))
    stage = Stage(subscriptions(books.report), books)
    async with stage.engine() as engine:
        (end,) = ends(await read_all(engine, dates=DateRange("2026-11-01", "2026-11-01")))
    assert (end["rows"], "truncated" in end, "part_of" in end) == (19, False, False)
    assert len(books.asked) == 1


async def test_an_answer_that_is_too_large_to_keep_is_asked_for_in_parts_too() -> None:
    books = Books(report(rows=6))

    def script(call: Call, number: int) -> Answer | Breakdown:
        found = books(call, number)
        return Breakdown(ErrorKind.TOO_LARGE, "too large", None) if len(found.body) > 600 else found

    stage = Stage(subscriptions(books.report), script)
    async with stage.engine() as engine:
        records = await read_all(engine, dates=DATES)
    assert delivered(records) == books.all()
    assert {end["outcome"] for end in ends(records)} <= {"ok", "empty"}


async def test_an_endpoint_that_does_not_mind_its_dates_is_not_asked_for_ever() -> None:
    stage = Stage(subscriptions(report()), lambda _call, _number: ok_answer([{"n": n} for n in range(20)]))
    async with stage.engine() as engine:
        records = await read_all(engine, dates=DATES)
    assert HOPELESS < len(stage.scripted.calls) < 4 * HOPELESS
    assert all(end.get("truncated") for end in ends(records))
    assert set(seconds_between(windows_of(records))) == {1.0}


async def test_a_part_that_fails_is_told_of_by_itself() -> None:
    books = Books(report())

    def script(call: Call, number: int) -> Answer:
        return Answer(400, b"{}") if call.query[1][1] == "20261103000000" and number == 1 else books(call, number)

    stage = Stage(subscriptions(books.report), script)
    async with stage.engine() as engine:
        records = await read_all(engine, dates=DATES)
    (failed,) = [end for end in ends(records) if end["outcome"] == "failed"]
    assert failed["window"] is not None
    assert failed["window"]["from"] == "20261103000000"
    assert set(seconds_between(windows_of(records))) == {1.0}


async def test_a_single_call_is_not_cut_but_says_so() -> None:
    books = Books(report(name="information/agents", dates=None))
    stage = Stage(subscriptions(books.report), books)
    async with stage.engine() as engine, engine.fetch() as records:
        found = [record async for record in records]
    assert [end.get("truncated") for end in ends(found)] == [True]


# --- taken up again -------------------------------------------------------------------------


@pytest.mark.parametrize("stop", range(1, 30, 3))
async def test_a_run_that_is_left_in_the_middle_goes_on_with_the_parts(stop: int) -> None:
    books = Books(report())
    state = MemoryState(LoopWall())
    first, second = (Stage(subscriptions(books.report), books, state=state.beside()) for _ in range(2))
    seen: list[Record] = []
    async with first.engine() as engine, engine.fetch(dates=DATES, run=NAME) as records:
        async for record in records:
            seen.append(record)
            stop -= record["type"] == "call"
            if not stop:
                break
    whole = _calls_that_are_whole(seen)
    async with second.engine() as engine:
        rest = await read_all(engine, dates=DATES, run=NAME)
    again = await _read_once_more(books, state)
    assert delivered(whole) + delivered(rest) == books.all()
    assert set(seconds_between(sorted(windows_of(whole) + windows_of(rest)))) == {1.0}
    assert ends(again) == []


async def test_what_was_cut_is_not_asked_for_again() -> None:
    books = Books(report())
    state = MemoryState(LoopWall())
    stage, again = (Stage(subscriptions(books.report), books, state=state.beside()) for _ in range(2))
    async with stage.engine() as engine:
        await read_all(engine, dates=DATES, run=NAME)
    before = len(books.asked)
    async with again.engine() as engine:
        records = await read_all(engine, dates=DATES, run=NAME)
    assert len(books.asked) == before
    finished = records[-1]
    assert finished["type"] == "run"
    assert (finished["rows"], finished["attempts"]) == (sum(books.all().values()), before)


async def test_the_interval_counts_for_what_was_cut_too() -> None:
    books = Books(report())
    state = MemoryState(LoopWall())
    stage, again = (Stage(subscriptions(books.report), books, state=state.beside(), interval=300.0) for _ in range(2))
    async with stage.engine() as engine:
        await read_all(engine, dates=DATES)
    before = len(books.asked)
    async with again.engine() as engine:
        (end,) = ends(await read_all(engine, dates=DATES))
    assert (end["outcome"], len(books.asked)) == ("skipped", before)


async def test_no_more_calls_are_shown_as_done_than_the_run_has_through_cuts_and_a_restart() -> None:
    books = Books(report())
    state = MemoryState(LoopWall())
    shown: list[list[Picture]] = []
    ended: set[str] = set()
    for most in (5, 10_000):
        stage, seen = Stage(subscriptions(books.report), books, state=state.beside()), list[Picture]()
        async with stage.engine() as engine, engine.fetch(dates=DATES, run=NAME) as records:
            async for record in records:
                seen.append(picture(engine, records))
                if record["type"] == "call":
                    ended.add(record["call"])
                if len(ended) == most:
                    break
        shown.append(seen)
    first, second = shown
    assert all(one.done <= one.planned for one in first + second)
    assert 0 < second[0].done <= second[0].planned <= first[-1].planned
    assert second[-1].done == second[-1].planned == len(ended)


async def test_a_stopped_run_says_which_parts_it_did_not_ask_for() -> None:
    books = Books(report())

    def script(call: Call, number: int) -> Answer:
        if len(books.asked) == 5:
            engine.stop()
        return books(call, number)

    engine = Stage(subscriptions(books.report), script).engine()
    async with engine:
        records = await read_all(engine, dates=DATES)
    found = Counter(end["outcome"] for end in ends(records))
    assert found["skipped"] >= 1
    assert set(seconds_between(windows_of(records))) == {1.0}
    assert engine.snapshot().queued == 0


async def test_a_watched_slot_has_one_end_whatever_its_answer_holds() -> None:
    books = Books(report())
    stage = Stage(subscriptions(books.report, days=31), books, interval=0.2)
    found = []
    async with stage.engine() as engine, engine.watch(dates=DATES) as records:
        async for record in records:
            if record["type"] == "call":
                found.append(record)
                break
    assert [(end["rows"], end.get("truncated")) for end in found] == [(20, True)]


async def _read_once_more(books: Books, state: MemoryState) -> list[Record]:
    stage = Stage(subscriptions(books.report), books, state=state.beside())
    async with stage.engine() as engine:
        return await read_all(engine, dates=DATES, run=NAME)


def _calls_that_are_whole(records: list[Record]) -> list[Record]:
    done = {end["call"] for end in ends(records)}
    return [record for record in records if record["type"] != "run" and record["call"] in done]
