"""What an answer comes to."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.statements import Content, Lack

from .told import answer, item, line


def content(*items: Any) -> Content:
    """Return what an answer of these rows comes to."""
    found = line(answer("2026-11-05 10:00", *items)).content
    assert found is not None
    return found


def test_the_number_of_one_row_is_its_items() -> None:
    assert content(12).value == 12
    assert content(34.64).value == Decimal("34.64")


@given(st.lists(st.one_of(st.integers(0, 10**12), st.decimals(0, 10**6, places=4).map(float)), min_size=2, max_size=20))
def test_rows_are_added_up_exactly(numbers: list[int | float]) -> None:
    assert content(*[item(f"row {n}", each) for n, each in enumerate(numbers)]).value == sum(
        Decimal(repr(each)) for each in numbers
    )


@pytest.mark.parametrize(
    "name", ["TOTAL", "Total:", " total ", "TOTALES", "Total general", "Grand Total", "** TOTAL **"]
)
def test_a_total_row_is_not_counted_twice(name: str) -> None:
    found = content(item("voice", 3), item("chat", 4), item(name, 7))
    assert (found.value, found.total, [row.label for row in found.rows]) == (7, None, ["voice", "chat"])
    assert content(item("voice", 3), item("", 3, operation=name)).value == 3


@pytest.mark.parametrize("name", ["Total calls", "subtotal voice", "totally", "", "voice total"])
def test_a_row_that_only_has_the_word_in_its_name_is_a_row(name: str) -> None:
    assert content(item("voice", 3), item(name, 4)).value == 7


def test_a_total_that_is_not_the_sum_is_told_of() -> None:
    found = content(item("voice", 3), item("chat", 4), item("TOTAL", 8))
    assert (found.value, found.total) == (7, 8)


def test_a_total_alone_is_the_number() -> None:
    assert content(item("TOTAL", 8)).value == 8


def test_a_row_without_a_number_is_not_zero() -> None:
    found = content(item("voice", 3), item("chat", None))
    assert (found.value, found.lack) == (None, Lack.NOT_A_NUMBER)
    assert content(item("voice", 3), item("chat", None), item("TOTAL", 9)).value == 9


def test_what_stood_in_place_of_a_number_is_kept() -> None:
    found = content({"number": None, "row": {"description": "storage", "items": "34.64 %"}})
    assert (found.value, found.lack, found.rows[0].sent) == (None, Lack.NOT_A_NUMBER, "34.64 %")


@pytest.mark.parametrize("row", [{"id": 5}, [1, 2], "text", None, 7])
def test_rows_that_count_nothing_are_only_counted_themselves(row: Any) -> None:
    found = content({"row": row}, {"row": row})
    assert (found.value, found.lack, found.count, found.rows) == (None, Lack.NOT_COUNTED, 2, ())


def test_true_is_no_number() -> None:
    assert content({"number": True, "row": {"items": True}}).value is None


def test_of_a_long_answer_the_first_thousand_rows_are_kept_and_all_are_counted() -> None:
    found = content(*[item(f"row {n}", 1) for n in range(2500)], item("TOTAL", 2500))
    assert (found.value, found.count, len(found.rows), found.rows[-1].items, found.total) == (
        2500,
        2501,
        1001,
        1500,
        None,
    )


def test_rows_of_several_operations_say_whose_they_are() -> None:
    found = content(item("voice", 1, operation="BOG"), item("voice", 2, operation="UIO"))
    assert [row.label for row in found.rows] == ["BOG \N{MIDDLE DOT} voice", "UIO \N{MIDDLE DOT} voice"]
