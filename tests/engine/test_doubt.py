"""When an answer on a kept connection is not believed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.classify import error
from wolkvox_async.engine.doubt import Heard
from wolkvox_async.model import Empty, ErrorKind, Failed, Ok

A = "acme/bogota"


def said(*names: Any) -> Ok:
    return Ok([{"operation": name, "items": "1"} for name in names], 200, 200, "")


def heard(*answers: Ok) -> Heard:
    memory = Heard()
    for answer in answers:
        memory.doubts(A, answer)
    return memory


def test_the_first_answer_is_believed_whatever_it_names() -> None:
    assert not Heard().doubts(A, said("ANYBODY"))


def test_an_answer_that_names_only_another_operation_is_not_believed() -> None:
    assert heard(said("ACME BOG")).doubts(A, said("GLOBEX LIM"))


def test_the_same_name_again_is_believed() -> None:
    assert not heard(said("ACME BOG")).doubts(A, said("ACME BOG", "ACME BOG"))


def test_one_name_in_common_is_enough() -> None:
    memory = heard(said("ACME BOG", "ACME UIO"))
    assert not memory.doubts(A, said("ACME UIO", "ACME LIM"))
    assert not memory.doubts(A, said("ACME LIM"))


def test_what_is_not_believed_is_not_remembered() -> None:
    memory = heard(said("ACME BOG"))
    assert memory.doubts(A, said("GLOBEX LIM"))
    assert memory.doubts(A, said("GLOBEX LIM"))


def test_a_total_row_names_no_operation() -> None:
    memory = heard(said("ACME BOG", "TOTAL"))
    assert memory.doubts(A, said("GLOBEX LIM", "Total "))
    assert not memory.doubts(A, said("TOTAL"))


@pytest.mark.parametrize("name", ["", "  ", None, 7, ["ACME BOG"], {"a": 1}, True])
def test_what_is_no_name_proves_nothing(name: Any) -> None:
    assert not heard(said("ACME BOG")).doubts(A, said(name))
    assert not heard(said(name)).doubts(A, said("GLOBEX LIM"))


@pytest.mark.parametrize("row", [None, 1, "GLOBEX LIM", ["operation"], {}, {"Operation": "GLOBEX LIM"}])
def test_rows_without_a_name_prove_nothing(row: Any) -> None:
    assert not heard(said("ACME BOG")).doubts(A, Ok([row], 200, 200, ""))


def test_empty_and_failed_answers_prove_nothing() -> None:
    memory = heard(said("ACME BOG"))
    assert not memory.doubts(A, Empty(200, 200, ""))
    assert not memory.doubts(A, Failed(error(ErrorKind.SERVER_ERROR, "made up")))


def test_every_entry_has_names_of_its_own() -> None:
    memory = heard(said("ACME BOG"))
    assert not memory.doubts("acme/quito", said("ACME UIO"))
    assert memory.doubts("acme/quito", said("ACME BOG"))


def test_another_connection_begins_anew() -> None:
    memory = heard(said("ACME BOG"))
    memory.forget()
    assert not memory.doubts(A, said("GLOBEX LIM"))
    assert memory.doubts(A, said("ACME BOG"))


def test_a_name_after_answers_without_one_is_believed_and_remembered() -> None:
    memory = heard(said(""), said(None))
    assert not memory.doubts(A, said("ACME BOG"))
    assert memory.doubts(A, said("GLOBEX LIM"))


@given(st.lists(st.lists(st.sampled_from(["A", "B", "C", "TOTAL", ""])), max_size=8))
def test_an_answer_is_believed_exactly_when_it_shares_a_name_or_one_side_has_none(answers: list[list[str]]) -> None:
    memory, known = Heard(), set[str]()
    for names in answers:
        plain = set(names) - {"TOTAL", ""}
        doubted = bool(plain and known and not plain & known)
        assert memory.doubts(A, said(*names)) == doubted
        known |= set() if doubted else plain
