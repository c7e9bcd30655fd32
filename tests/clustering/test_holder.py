"""A holder begins what is over in time, and writes only what it may."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.clustering.holder import ClockWatch, Holder
from wolkvox_async.clustering.leases import Lease
from wolkvox_async.clustering.terms import LeaseTerms

TERMS = LeaseTerms(length=120.0, margin=2.0, renewal=10.0, hold=70.0)
CLAIM = Lease("w1", "s1", 0, 3, 5000.0, claim=1)
OTHER = Lease("w2", "s2", 0, 4)


@dataclass(frozen=True)
class Held:
    revision: int
    value: bytes


def asked() -> Holder:
    """Return a holder whose claim was sent at 1000, and not answered."""
    return Holder(TERMS, CLAIM, 7, 1000.0)


def holding() -> Holder:
    """Return a holder whose claim was sent at 1000, and confirmed."""
    holder = asked()
    holder.stored(8)
    return holder


def renewed(holder: Holder, now: float) -> Lease:
    lease = holder.next(now)
    assert lease is not None
    return lease


def test_nothing_begins_before_the_claim_is_confirmed() -> None:
    holder = asked()
    assert holder.expected == 7
    assert holder.valid_until == -inf
    assert not holder.may_begin(1000.0)
    assert holder.next(1000.0) is None
    assert not holder.is_over(1120.0)
    assert holder.is_over(1120.1)


def test_a_lease_counts_from_before_it_was_asked_for() -> None:
    holder = holding()
    assert holder.valid_until == 1120.0
    assert holder.expected == 8


def test_an_attempt_begins_only_if_it_is_over_a_margin_before_the_end() -> None:
    holder = holding()
    assert holder.may_begin(1048.0)
    assert not holder.may_begin(1048.1)
    assert not holder.is_over(1120.0)
    assert holder.is_over(1120.1)


def test_a_renewal_counts_when_it_is_confirmed_and_says_so_by_its_counter() -> None:
    holder = holding()
    lease = renewed(holder, 1010.0)
    assert lease == Lease("w1", "s1", 1, 3, 5000.0, claim=1) == holder.lease
    assert holder.valid_until == 1120.0
    holder.stored(9)
    assert holder.valid_until == 1130.0
    assert holder.expected == 9


def test_a_renewal_that_nobody_answered_changes_nothing() -> None:
    holder = holding()
    renewed(holder, 1010.0)
    assert holder.valid_until == 1120.0
    assert holder.expected == 8
    assert renewed(holder, 1020.0).counter == 2


def test_a_read_that_shows_an_unanswered_renewal_confirms_it() -> None:
    holder = holding()
    first = renewed(holder, 1010.0)
    renewed(holder, 1020.0)
    holder.observe(Held(9, first.encode()))
    assert holder.valid_until == 1130.0
    assert holder.expected == 9


def test_a_read_that_shows_an_unanswered_claim_confirms_it() -> None:
    holder = asked()
    holder.observe(Held(8, CLAIM.encode()))
    assert holder.valid_until == 1120.0
    assert holder.may_begin(1048.0)


@pytest.mark.parametrize("held", [None, Held(7, OTHER.encode()), Held(8, OTHER.encode())])
def test_a_claim_that_the_next_read_does_not_show_was_not_made(held: Held | None) -> None:
    holder = asked()
    holder.observe(held)
    assert holder.is_over(1000.0)


def test_an_old_read_says_nothing_new() -> None:
    holder = holding()
    for old in (None, Held(7, OTHER.encode()), Held(8, CLAIM.encode())):
        holder.observe(old)
        assert holder.may_begin(1048.0)
        assert holder.expected == 8


@pytest.mark.parametrize("value", [OTHER.encode(), b"", Lease("w1", "s1", 1, 3, claim=1, free=True).encode()])
def test_what_somebody_else_wrote_over_ours_ends_it(value: bytes) -> None:
    holder = holding()
    holder.observe(Held(9, value))
    assert holder.is_over(1001.0)
    assert not holder.may_begin(1001.0)
    assert holder.next(1001.0) is None
    assert holder.freed(1001.0) is None


def test_an_earlier_claim_of_the_same_session_is_not_ours() -> None:
    holder = Holder(TERMS, Lease("w1", "s1", 0, 3, claim=2), 7, 1000.0)
    holder.observe(Held(8, CLAIM.encode()))
    assert holder.is_over(1000.0)


def test_after_a_conflict_nothing_begins_until_a_read_shows_the_lease() -> None:
    holder = holding()
    first = renewed(holder, 1010.0)
    renewed(holder, 1011.0)
    holder.conflicted()
    assert not holder.may_begin(1012.0)
    assert not holder.may_go_on
    assert holder.next(1012.0) is None
    holder.observe(Held(9, first.encode()))
    assert holder.may_begin(1012.0)
    assert holder.valid_until == 1130.0
    assert renewed(holder, 1013.0).counter == 3


def test_after_a_conflict_a_read_that_shows_another_ends_it() -> None:
    holder = holding()
    renewed(holder, 1010.0)
    holder.conflicted()
    holder.observe(Held(9, OTHER.encode()))
    assert holder.is_over(1010.0)


def test_who_is_blind_goes_on_but_writes_nothing() -> None:
    holder = holding()
    holder.blind()
    assert holder.may_begin(1048.0)
    assert holder.next(1001.0) is None
    assert holder.freed(1001.0) is None


def test_an_answer_from_before_we_were_blind_counts_but_nothing_is_written_upon_it() -> None:
    holder = holding()
    renewed(holder, 1010.0)
    holder.blind()
    holder.stored(9)
    assert holder.valid_until == 1130.0
    assert holder.next(1020.0) is None
    holder.observe(Held(9, holder.lease.encode()))
    assert holder.expected == 9
    assert holder.next(1020.0) is not None


def test_a_store_that_forgot_our_last_renewal_takes_the_next_one() -> None:
    holder = holding()
    renewed(holder, 1010.0)
    holder.stored(9)
    holder.blind()
    holder.observe(Held(8, CLAIM.encode()))
    assert holder.valid_until == 1130.0
    assert holder.expected == 8
    assert renewed(holder, 1020.0).counter == 2


def test_a_store_that_forgot_our_claim_ends_it() -> None:
    holder = holding()
    holder.blind()
    holder.observe(Held(7, OTHER.encode()))
    assert holder.is_over(1001.0)


def test_behind_its_end_a_lease_is_neither_renewed_nor_given_back() -> None:
    holder = holding()
    assert holder.next(1120.1) is None
    assert holder.freed(1120.1) is None
    assert holder.next(1120.0) is not None


def test_who_leaves_begins_nothing_and_renews_only_when_it_takes_long() -> None:
    holder = holding()
    holder.leave()
    assert not holder.may_begin(1001.0)
    assert holder.next(1059.0) is None
    assert holder.next(1061.0) is not None


def test_who_gave_it_back_is_through_with_it() -> None:
    holder = holding()
    holder.leave()
    assert holder.freed(1050.0) == Lease("w1", "s1", 1, 3, 5000.0, free=True, claim=1)
    holder.stored(9)
    holder.observe(Held(8, CLAIM.encode()))
    assert holder.is_over(1050.0)
    assert not holder.may_begin(1050.0)
    assert holder.next(1050.0) is None


@given(st.lists(st.tuples(st.floats(0.0, 15.0), st.sampled_from(["stored", "none", "shown"])), max_size=30))
def test_the_end_is_a_length_behind_the_last_write_known_of(happenings: list[tuple[float, str]]) -> None:
    holder, now, revision, known = holding(), 1000.0, 8, 1000.0
    for pause, what in happenings:
        now += pause
        lease = holder.next(now)
        if lease is None:
            assert now > known + TERMS.length
            return
        revision += 1
        if what == "none":
            revision -= 1
            continue
        if what == "stored":
            holder.stored(revision)
        else:
            holder.observe(Held(revision, lease.encode()))
        known = now
        assert holder.valid_until == known + TERMS.length


def test_clocks_that_count_alike_are_good() -> None:
    watch = ClockWatch(TERMS)
    assert all(watch.look(1000.0 + 5 * n, 9000.0 + 5.001 * n) for n in range(1000))


@pytest.mark.parametrize("step", [1.1, -1.1, 3600.0])
def test_clocks_that_part_are_told_once(step: float) -> None:
    watch = ClockWatch(TERMS)
    assert watch.look(1000.0, 9000.0)
    assert not watch.look(1005.0, 9005.0 + step)
    assert watch.look(1010.0, 9010.0 + step)


def test_clocks_that_part_little_by_little_are_told_too() -> None:
    watch = ClockWatch(TERMS)
    looks = [watch.look(1000.0 + 5 * n, 9000.0 + 5.4 * n) for n in range(8)]
    assert looks.index(False) == 3
