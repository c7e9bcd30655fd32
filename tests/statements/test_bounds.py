"""Whatever stands in records, statements can be drawn up, and what is kept has a bound."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.apps.reporting.test_page import html
from wolkvox_async.statements import Books, draw_up

from .told import CALENDAR, NOW, answer, failed, gap, item, run

JUNK: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        0,
        3.5,
        1e308,
        2**63,
        10**40,
        "",
        "x",
        "\ud800",
        "9999-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00.000Z",
    ),
    *([], {}, ["x"], {"from": "00001399", "to": ""}, {"from": "20261101000000", "to": "20261130235959"}, {"kind": 1}),
)
USUAL = (
    [run("started", calls=4)],
    answer("2026-11-20 10:00", item("voice", 3), item("TOTAL", 3)),
    [failed("2026-11-21 10:00")],
    [gap("2026-11-22 10:00")],
    answer("2026-11-30 23:58", 5, closing=True, slot="2026-12-01T04:57:00.000Z"),
)
FIELDS = sorted({name for records in USUAL for record in records for name in record})


def spoiled(changes: list[tuple[int, str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the usual records, some fields of which were changed."""
    flat = [dict(record) for records in USUAL for record in records]
    for number, name, junk in changes:
        flat[number % len(flat)][name] = junk
    return iter(flat)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(FIELDS), st.sampled_from(JUNK)), min_size=1, max_size=6))
def test_no_record_can_keep_the_others_from_being_drawn_up(changes: list[tuple[int, str, Any]]) -> None:
    books = Books(CALENDAR)
    refused = 0
    for record in spoiled(changes):
        try:
            books.add(record)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
            refused += 1
    books.end()
    assert refused + books.records == sum(map(len, USUAL))
    assert sum(len(list(one.lines)) for one in draw_up(books, now=NOW).statements) <= 12


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(st.sampled_from(["row", "items"]), st.sampled_from(JUNK[:9] + JUNK[13:15])), min_size=1, max_size=4
    )
)
def test_whatever_a_row_holds_there_is_a_page_of_it(rows: list[tuple[str, Any]]) -> None:
    given = [
        {"number": value if name == "items" else None, "row": {"items": value} if name == "items" else value}
        for name, value in rows
    ]
    assert html(answer("2026-11-20 10:00", *given)).endswith("</html>")


def test_memory_does_not_grow_with_the_readings() -> None:
    begin = datetime(2026, 11, 1)  # noqa: DTZ001 - as the helpers take it
    books = Books(CALENDAR)

    def take(first: int, last: int) -> None:
        for number in range(first, last):
            at = f"{begin + timedelta(minutes=5 * number):%Y-%m-%d %H:%M}"
            records = answer(at, number, call=str(number)) if number % 3 else [gap(at)]
            for record in records:
                books.add(record)

    take(0, 1000)
    tracemalloc.start()
    take(1000, 8000)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (subject,) = books
    assert sum(page.readings for page in subject.months.values()) > 5000
    assert grown < 2_500_000  # of which 2 MB are minutes, which have a bound of their own
