"""Terms of leases fit together, or say what does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.clustering.terms import DRIFT, ClusterTerms, LeaseTerms

HOLDS = st.floats(0.1, 100_000.0)
GOOD = LeaseTerms.default(70.0)


def test_a_hold_of_seventy_seconds_makes_leases_of_two_minutes() -> None:
    assert LeaseTerms(120.0, 2.0, 10.0, 70.0) == GOOD


def test_a_fast_failover_makes_shorter_leases() -> None:
    assert LeaseTerms.fast(15.0) == LeaseTerms(30.0, 1.0, 3.0, 15.0)


@given(HOLDS, st.sampled_from([LeaseTerms.default, LeaseTerms.fast]))
def test_what_is_worked_out_for_a_hold_is_never_complained_of(hold: float, make: type) -> None:
    terms: LeaseTerms = make(hold)
    assert terms.complaints() == []
    assert terms.length >= terms.hold + terms.margin + 3 * terms.renewal
    assert terms.margin >= DRIFT * terms.length


@given(HOLDS)
def test_a_lease_is_not_much_longer_than_it_has_to_be(hold: float) -> None:
    terms = LeaseTerms.default(hold)
    assert terms.length <= 1.1 * (terms.hold + terms.margin + 3 * terms.renewal) + 10


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (replace(GOOD, length=101.9), "leases of 101.9 s are too short: a call may take 70 s"),
        (replace(GOOD, hold=500.0), "a call may take 500 s, and there are a margin of 2 s and three renewals"),
        (replace(GOOD, renewal=30.0), "make them at least 162 s, or the time-out shorter"),
        (replace(GOOD, margin=1.0), "a margin of 1 s is too short for leases of 120 s"),
        (replace(GOOD, margin=-1.0), "the margin of leases has to be more than 0 s, not -1 s"),
        (replace(GOOD, renewal=0.0), "the renewal of leases has to be more than 0 s"),
        (replace(GOOD, length=float("nan")), "the length of leases has to be more than 0 s, not nan s"),
        (replace(GOOD, hold=float("inf")), "the hold of leases has to be more than 0 s, not inf s"),
    ],
)
def test_terms_that_do_not_fit_say_what_to_change(wrong: LeaseTerms, said: str) -> None:
    (complaint,) = wrong.complaints()
    assert said in complaint


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert len(LeaseTerms(100.0, 0.5, 20.0, 70.0).complaints()) == 2
    assert len(LeaseTerms(0.0, 0.0, 0.0, 0.0).complaints()) == 4


def test_terms_that_just_fit_are_taken() -> None:
    assert LeaseTerms(102.0, 2.0, 10.0, 70.0).complaints() == []


def test_a_partition_is_taken_over_after_a_length_and_a_margin() -> None:
    assert GOOD.standstill == 122.0
    assert GOOD.silence == 32.0


def test_the_terms_of_a_cluster_are_read_as_they_were_written() -> None:
    terms = ClusterTerms.of(GOOD)
    assert ClusterTerms.decode(terms.encode()) == terms == ClusterTerms(256, 120.0, 2.0, 10.0)
    assert terms.leases(70.0) == GOOD


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"partitions":256}', b'"x"', b"\xff"])
def test_what_is_no_terms_is_not_read(value: bytes) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        ClusterTerms.decode(value)


@pytest.mark.parametrize("wrong", ["partitions", "length"])
def test_terms_with_a_text_for_a_number_are_not_read(wrong: str) -> None:
    value = ClusterTerms.of(GOOD).encode().replace(f'"{wrong}":'.encode(), f'"{wrong}":"1","x":'.encode())
    with pytest.raises(ValueError, match="cannot be read"):
        ClusterTerms.decode(value)


def test_a_machine_with_other_terms_is_told_each_difference() -> None:
    theirs, ours = ClusterTerms(256, 120.0, 2.0, 10.0), ClusterTerms(64, 30.0, 2.0, 10.0)
    assert theirs.differs(theirs) == []
    assert theirs.differs(ours) == [
        "the cluster's partitions is 256, ours is 64",
        "the cluster's lease length is 120 s, ours is 30 s",
    ]
