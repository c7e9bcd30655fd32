"""When an answer on a kept connection is not believed."""

from __future__ import annotations

import tracemalloc
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.classify import error
from wolkvox_async.engine.doubt import MOST, Hashes, Heard, Known, names_of
from wolkvox_async.model import Empty, ErrorKind, Failed, Ok

A = "acme/bogota"
ACME, GLOBEX = "tk_9f86d081884c", "tk_0123456789ab"


def said(*names: Any) -> frozenset[str]:
    return names_of(Ok([{"operation": name, "items": "1"} for name in names], 200, 200, ""))


def heard(*answers: frozenset[str]) -> Heard:
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
    assert not heard(said("ACME BOG")).doubts(A, names_of(Ok([row], 200, 200, "")))


def test_empty_and_failed_answers_prove_nothing() -> None:
    memory = heard(said("ACME BOG"))
    assert not memory.doubts(A, names_of(Empty(200, 200, "")))
    assert not memory.doubts(A, names_of(Failed(error(ErrorKind.SERVER_ERROR, "made up"))))


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


# --- over all connections


class Book:
    """The names of tokens, and how often they were noted."""

    def __init__(self) -> None:
        self.known: dict[str, frozenset[int]] = {}
        self.noted = 0

    def names(self, token: str) -> frozenset[int]:
        return self.known.get(token, frozenset())

    def is_anothers(self, token: str, names: Collection[int]) -> bool:
        return any(not known.isdisjoint(names) for other, known in self.known.items() if other != token)

    def name(self, token: str, names: Collection[int]) -> None:
        self.known[token] = frozenset(names)
        self.noted += 1


def numbers(*names: str) -> frozenset[int]:
    return Hashes().of(names)


@pytest.fixture
def book() -> Book:
    """Return a book in which two tokens are known by a name each."""
    book = Book()
    book.name(ACME, numbers("ACME BOG"))
    book.name(GLOBEX, numbers("GLOBEX LIM"))
    book.noted = 0
    return book


def test_a_name_that_is_known_of_another_token_alone_is_not_believed(book: Book) -> None:
    assert Known(book).doubts(ACME, said("GLOBEX LIM"), kept=True)
    assert (book.names(ACME), book.noted) == (numbers("ACME BOG"), 0)


def test_a_fresh_connection_is_believed_and_its_name_takes_the_place_of_the_old_one(book: Book) -> None:
    known = Known(book)
    assert not known.doubts(ACME, said("GLOBEX LIM"), kept=False)
    assert book.names(ACME) == numbers("GLOBEX LIM")
    assert not known.doubts(ACME, said("GLOBEX LIM"), kept=True)


def test_a_name_that_nobody_is_known_by_is_believed_but_not_noted_on_a_kept_connection(book: Book) -> None:
    assert not Known(book).doubts(ACME, said("ACME BOGOTA"), kept=True)
    assert book.noted == 0


@pytest.mark.parametrize("kept", [True, False])
def test_the_first_name_of_a_token_is_believed_but_anothers_is_learnt_on_a_fresh_connection_only(
    book: Book, kept: bool
) -> None:
    assert not Known(book).doubts("tk_new", said("GLOBEX LIM"), kept=kept)
    assert book.names("tk_new") == (numbers() if kept else numbers("GLOBEX LIM"))


@pytest.mark.parametrize("kept", [True, False])
def test_one_known_name_is_enough_and_the_others_are_noted(book: Book, kept: bool) -> None:
    known = Known(book)
    assert not known.doubts(ACME, said("ACME BOG", "GLOBEX LIM"), kept=kept)
    assert book.names(ACME) == numbers("ACME BOG", "GLOBEX LIM")
    assert not known.doubts(ACME, said("GLOBEX LIM"), kept=True)


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_known_is_not_noted_again(book: Book, kept: bool) -> None:
    known = Known(book)
    known.doubts(ACME, said("ACME BOG", "ACME UIO"), kept=kept)
    for names in (said("ACME BOG"), said("ACME UIO", "ACME BOG"), said("ACME UIO"), said("TOTAL"), said()):
        assert not known.doubts(ACME, names, kept=kept)
    assert book.noted == 1


@pytest.mark.parametrize("kept", [True, False])
def test_an_answer_without_names_tells_nothing(book: Book, kept: bool) -> None:
    assert not Known(book).doubts("tk_new", said("TOTAL", ""), kept=kept)
    assert (book.names("tk_new"), book.noted) == (frozenset(), 0)


def test_a_token_is_known_by_so_many_names_whatever_order_they_come_in() -> None:
    book, names = Book(), [f"SITE {number}" for number in range(3 * MOST)]
    known = Known(book)
    for token, order in ((ACME, names), (GLOBEX, names[::-1])):
        known.doubts(token, said(names[0]), kept=False)
        known.doubts(token, said(*order), kept=True)
    assert len(book.names(ACME)) == MOST
    assert book.names(ACME) == book.names(GLOBEX)
    noted = book.noted
    assert not known.doubts(ACME, said(*names), kept=True)
    assert book.noted == noted


SAID = st.tuples(st.sampled_from([ACME, GLOBEX]), st.frozensets(st.sampled_from("ABCD")), st.booleans())


@given(st.lists(SAID, max_size=12))
def test_only_a_kept_connection_and_a_name_of_the_other_make_an_answer_doubtful(
    answers: list[tuple[str, frozenset[str], bool]],
) -> None:
    book, known = Book(), dict[str, set[str]]({ACME: set(), GLOBEX: set()})
    rule = Known(book)
    for token, names, kept in answers:
        own, others = known[token], known[GLOBEX if token == ACME else ACME]
        foreign = bool(names and own and not names & own)
        assert rule.doubts(token, names, kept=kept) == (foreign and kept and bool(names & others))
        if foreign and not kept:
            known[token] = set(names)
        elif not foreign and (own or not kept or not names & others):
            own |= names
        assert book.names(token) == numbers(*known[token])


# --- hashes


def test_a_hash_is_the_same_in_every_process_and_fits_a_database() -> None:
    assert numbers("ACME BOG") == {5_741_372_661_385_569_437}
    assert all(-(1 << 63) <= number < 1 << 63 for number in numbers(*map(str, range(1_000))))


def test_any_text_has_a_hash() -> None:
    assert len(numbers("\ud800", "Ñ", "\0", "A" * 1_000_000, "A" * 1_000_001)) == 5


def test_hashes_are_remembered_for_a_few_short_names_only() -> None:
    tracemalloc.start()
    hashes = Hashes()
    hashes.of(f"NAME {number}" for number in range(100))
    before = tracemalloc.get_traced_memory()[0]
    for number in range(50_000):
        hashes.of([f"NAME {number}"])
    hashes.of([f"{number}" * 100_000 for number in range(10)])
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 500_000
