"""A contender takes a partition when it was given back before its eyes, or stood still for long enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from wolkvox_async.clustering.contender import Claim, Contender, Identity
from wolkvox_async.clustering.leases import Lease, Worker, lease_key, worker_key
from wolkvox_async.clustering.terms import LeaseTerms

TERMS = LeaseTerms(length=120.0, margin=2.0, renewal=10.0, hold=70.0)
ME = Identity("w1", "s1")
OTHERS = Lease("w2", "s2", 5, 3)
FREE = replace(OTHERS, counter=6, free=True)


@dataclass(frozen=True)
class Held:
    revision: int
    value: bytes


class Watch:
    """A contender for one partition and the keys it reads."""

    def __init__(self, lease: Lease | None = OTHERS) -> None:
        self.contender = Contender(TERMS, 1, ME)
        self.keys: dict[str, Held] = {}
        self.revision = 10
        if lease is not None:
            self.write(lease_key(0), lease.encode())
        self.begin()

    def write(self, key: str, value: bytes) -> int:
        self.revision += 1
        self.keys[key] = Held(self.revision, value)
        return self.revision

    def begin(self) -> None:
        """Have a read that does not count, and a beat."""
        assert not self.contender.observe(self.keys, 0.0)
        self.beat()

    def beat(self) -> Mapping[str, Held]:
        """Write a beat; return the keys from before."""
        before = dict(self.keys)
        beat = self.contender.beat(Worker("", 0, name="here"))
        assert beat is not None
        held = self.keys.get(worker_key("w1"))
        assert beat[1] == (0 if held is None else held.revision)
        self.contender.beaten(self.write(worker_key("w1"), beat[0].encode()))
        return before

    def read(self, now: float) -> None:
        assert self.contender.observe(self.keys, now)

    def claim(self, now: float) -> Claim | None:
        return self.contender.claimable(0, now, 7000.0)


def test_what_stood_still_for_a_length_and_a_margin_is_taken_uncleanly() -> None:
    watch = Watch()
    watch.read(1000.0)
    watch.read(1100.0)
    assert watch.claim(1121.9) is None
    assert watch.claim(1122.0) == Claim(0, Lease("w1", "s1", 0, 4, 7000.0, claim=1), 11, clean=False)


def test_a_key_that_is_not_there_is_taken_when_it_was_away_for_as_long() -> None:
    watch = Watch(None)
    watch.read(1000.0)
    assert watch.claim(1121.9) is None
    assert watch.claim(1122.0) == Claim(0, Lease("w1", "s1", 0, 1, None, claim=1), 0, clean=False)


def test_any_change_begins_the_count_anew() -> None:
    watch = Watch()
    watch.read(1000.0)
    watch.write(lease_key(0), replace(OTHERS, counter=6).encode())
    watch.read(1100.0)
    assert watch.claim(1221.9) is None
    assert watch.contender.claimable_at(0) == 1222.0


def test_a_revision_that_is_given_again_is_a_change() -> None:
    watch = Watch()
    watch.read(1000.0)
    watch.keys[lease_key(0)] = Held(11, Lease("w3", "s3", 0, 4).encode())
    watch.read(1100.0)
    assert watch.claim(1122.0) is None


def test_what_is_given_back_before_our_eyes_is_taken_at_once() -> None:
    watch = Watch()
    watch.read(1000.0)
    watch.write(lease_key(0), FREE.encode())
    watch.read(1001.0)
    assert watch.claim(1001.0) == Claim(0, Lease("w1", "s1", 0, 4, None, claim=1), 13, clean=True)
    watch.read(1002.0)
    assert watch.claim(1002.0) is not None


def test_what_is_free_at_first_sight_waits_like_all_else() -> None:
    watch = Watch(FREE)
    watch.read(1000.0)
    assert watch.claim(1121.9) is None
    found = watch.claim(1122.0)
    assert found is not None
    assert not found.clean


def test_what_turned_free_while_we_were_blind_waits_too() -> None:
    watch = Watch()
    watch.read(1000.0)
    watch.contender.blind()
    watch.write(lease_key(0), FREE.encode())
    watch.begin()
    watch.read(1001.0)
    assert watch.claim(1122.0) is None
    assert watch.claim(1123.0) is not None


def test_blindness_begins_all_counts_anew() -> None:
    watch = Watch()
    watch.read(1000.0)
    watch.contender.blind()
    assert watch.claim(2000.0) is None
    watch.begin()
    assert watch.claim(2000.0) is None
    watch.read(2000.0)
    assert watch.claim(2121.9) is None
    assert watch.claim(2122.0) is not None


def test_a_running_quarantine_is_handed_on() -> None:
    watch = Watch(replace(OTHERS, quarantine=6000.0))
    watch.read(1000.0)
    watch.write(lease_key(0), replace(FREE, quarantine=6000.0).encode())
    watch.read(1001.0)
    clean = watch.claim(1001.0)
    assert clean is not None
    assert clean.lease.quarantine == 6000.0


@pytest.mark.parametrize("running", [None, 6000.0])
def test_what_stood_still_free_begins_no_quarantine_and_hands_a_running_one_on(running: float | None) -> None:
    watch = Watch(replace(FREE, quarantine=running))
    watch.read(1000.0)
    claim = watch.claim(1122.0)
    assert claim is not None
    assert (claim.lease.quarantine, claim.clean) == (running, False)


@pytest.mark.parametrize(("running", "written"), [(6000.0, 7000.0), (8000.0, 8000.0), (None, 7000.0)])
def test_an_unclean_claim_never_shortens_a_quarantine(running: float | None, written: float) -> None:
    watch = Watch(replace(OTHERS, quarantine=running))
    watch.read(1000.0)
    unclean = watch.claim(1122.0)
    assert unclean is not None
    assert unclean.lease.quarantine == written


def test_no_two_claims_of_a_session_are_alike() -> None:
    watch = Watch()
    watch.read(1000.0)
    first, second = watch.claim(1122.0), watch.claim(1122.0)
    assert first is not None
    assert second is not None
    assert first.lease != second.lease


def test_what_cannot_be_read_is_nobodys_to_take() -> None:
    watch = Watch()
    watch.write(lease_key(0), b"something else")
    watch.read(1000.0)
    assert watch.claim(9000.0) is None
    assert watch.contender.leases() == {}


def test_a_read_without_our_last_beat_is_an_old_one() -> None:
    watch = Watch()
    watch.read(1000.0)
    before = watch.beat()
    watch.write(lease_key(0), FREE.encode())
    assert not watch.contender.observe({**before, lease_key(0): watch.keys[lease_key(0)]}, 1001.0)
    assert watch.claim(1001.0) is None
    watch.read(1002.0)
    assert watch.claim(1002.0) is not None


def test_a_beat_that_was_forgotten_does_not_stand_for_a_later_one() -> None:
    watch = Watch()
    for _ in range(3):
        watch.beat()
    forgotten = dict(watch.keys)
    watch.contender.blind()
    watch.revision = 10
    watch.keys = {lease_key(0): watch.keys[lease_key(0)]}
    watch.begin()
    assert forgotten[worker_key("w1")].revision > watch.keys[worker_key("w1")].revision
    assert not watch.contender.observe(forgotten, 1000.0)


def test_an_old_read_does_not_change_over_what_the_next_beat_goes() -> None:
    watch = Watch()
    before = watch.beat()
    assert not watch.contender.observe(before, 1000.0)
    watch.beat()
    watch.read(1001.0)


def test_an_unanswered_beat_that_was_written_is_found_by_the_next_read() -> None:
    watch = Watch()
    beat = watch.contender.beat(Worker("", 0))
    assert beat is not None
    revision = watch.write(worker_key("w1"), beat[0].encode())
    watch.read(1000.0)
    following = watch.contender.beat(Worker("", 0))
    assert following is not None
    assert following[1] == revision


def test_another_process_with_our_id_makes_no_read_count() -> None:
    watch = Watch()
    watch.write(worker_key("w1"), Worker("s9", 99).encode())
    assert not watch.contender.observe(watch.keys, 1000.0)


def test_nothing_is_beaten_before_the_first_read() -> None:
    assert Contender(TERMS, 1, ME).beat(Worker("", 0)) is None


def test_workers_are_those_that_gave_a_sign_of_late_and_ourselves() -> None:
    watch = Watch()
    watch.write(worker_key("w2"), Worker("s2", 1).encode())
    watch.write(worker_key("w3"), Worker("s3", 1, able=False).encode())
    watch.write(worker_key("w4"), b"what")
    watch.read(1000.0)
    assert set(watch.contender.workers(1032.0)) == {"w1", "w2", "w3"}
    assert watch.contender.able(1032.0) == ["w1", "w2"]
    watch.write(worker_key("w3"), Worker("s3", 2).encode())
    watch.read(1033.0)
    assert watch.contender.able(1033.0) == ["w1", "w3"]
    assert watch.contender.workers(1033.0)["w1"].name == "here"


def test_workers_whose_key_is_gone_are_gone() -> None:
    watch = Watch()
    watch.write(worker_key("w2"), Worker("s2", 1).encode())
    watch.read(1000.0)
    del watch.keys[worker_key("w2")]
    watch.read(1001.0)
    assert watch.contender.able(1001.0) == ["w1"]


def test_who_cannot_call_is_not_able() -> None:
    watch = Watch()
    watch.contender.beat(Worker("", 0, able=False))
    assert watch.contender.able(0.0) == []
    assert list(watch.contender.workers(0.0)) == ["w1"]


def test_all_leases_can_be_seen() -> None:
    watch = Watch()
    watch.read(1000.0)
    assert watch.contender.leases() == {0: OTHERS}
