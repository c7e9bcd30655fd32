"""What somebody makes of keys who only looks at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.apps.dots import dots, words
from wolkvox_async.apps.languages import ENGLISH, LANGUAGES, speak
from wolkvox_async.apps.overseeing.picture import (
    LeaseSeen,
    Picture,
    RunSeen,
    Standing,
    WorkerSeen,
    is_settled,
    picture,
)
from wolkvox_async.apps.overseeing.sheet import WIDTH, ranges, sheet
from wolkvox_async.apps.overseeing.sights import Sights
from wolkvox_async.clustering.leases import Lease, Worker
from wolkvox_async.clustering.terms import ClusterTerms
from wolkvox_async.ports import Held

TERMS = ClusterTerms(4, 120.0, 2.0, 10.0)
RUN = b'{"id":"01K","at":1790000000,"name":"nightly","done":[0,3]}'


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    speak(ENGLISH)


def keys(counter: int, *, dead: str = "", **more: bytes) -> Mapping[str, Held]:
    """Return the keys of two workers who hold two partitions each; what is `dead` stands still."""

    def beat(owner: str) -> int:
        return 1 if owner == dead else counter

    found = {"c": (1, TERMS.encode())}
    for partition, owner in enumerate(("ana", "bea", "ana", "bea")):
        lease = Lease(owner, "s", beat(owner), 7, quarantine=500.0 if partition == 3 else None)
        found[f"p.{partition}"] = (beat(owner), lease.encode())
    for owner in ("ana", "bea"):
        found[f"w.{owner}"] = (beat(owner), Worker("s", beat(owner), name=owner, facts={"version": "0.1.0"}).encode())
    found |= {name.replace("_", "."): (1, value) for name, value in more.items()}
    return {key: Held(revision, value) for key, (revision, value) in found.items()}


def looked(*looks: tuple[float, Mapping[str, Held]]) -> Sights:
    sights = Sights()
    for at, seen in looks:
        sights.look(seen, at)
    return sights


def text(seen: Picture, now: float = 0.0) -> str:
    return "\n".join(line for line, _ in sheet(seen, now))


def test_a_single_look_tells_nothing_of_life() -> None:
    sights = looked((100.0, keys(5)))
    seen = picture(sights, 9)
    assert not is_settled(sights)
    assert {lease.standing for lease in seen.leases} == {Standing.SILENT}
    assert [worker.seen_ago for worker in seen.workers] == [None, None]
    assert "that says nothing yet" in text(seen)


def test_what_changes_lives_and_its_leases_end_by_the_clock_of_who_looks() -> None:
    sights = looked((100.0, keys(5)), (104.0, keys(6)), (105.0, keys(6)))
    seen = picture(sights, 9)
    assert is_settled(sights)
    assert [(lease.standing, lease.ends_in, lease.epoch) for lease in seen.leases] == [(Standing.RENEWED, 119.0, 7)] * 4
    assert [(worker.name, worker.seen_ago, worker.partitions) for worker in seen.workers] == [
        ("ana", 1.0, 2),
        ("bea", 1.0, 2),
    ]
    assert (seen.unevenness, seen.seconds) == (0.0, 5.0)


def test_a_machine_that_died_is_shown_by_its_silence() -> None:
    sights = looked((0.0, keys(5, dead="bea")), (12.0, keys(6, dead="bea")))
    seen = picture(sights, 9)
    assert not is_settled(sights)
    assert [lease.standing for lease in seen.leases] == [Standing.RENEWED, Standing.SILENT] * 2
    assert [worker.id for worker in seen.sharing] == ["ana"]
    shown = text(seen, 400.0)
    for part in ("not renewed by bea: 1, 3", "122 s", "in quarantine, the last for 100 s: 3", "> 12 s  silent"):
        assert part in shown


def test_what_was_given_back_does_not_have_to_change() -> None:
    free = Lease("ana", "s", 3, 7, free=True).encode()
    sights = looked((0.0, {"c": Held(1, TERMS.encode()), "p.0": Held(4, free), "p.1": Held(5, b"?")}))
    seen = picture(sights, 9)
    assert is_settled(sights)
    assert [lease.standing for lease in seen.leases] == [
        Standing.FREE,
        Standing.UNREADABLE,
        Standing.UNCLAIMED,
        Standing.UNCLAIMED,
    ]
    assert seen.unevenness is None


def test_runs_are_shown_with_what_is_done() -> None:
    seen = picture(looked((0.0, keys(5, r_nightly=RUN, r_odd=b"[]"))), 9)
    assert [(one.name, one.id, one.done) for one in seen.runs] == [("odd", "", 0), ("nightly", "01K", 2)]
    assert "2 of 4  2026-09-21T14:13:20Z" in text(seen)


def test_an_observation_that_was_broken_begins_anew() -> None:
    sights = looked((0.0, keys(5)))
    sights.forget()
    sights.look(keys(6), 3.0)
    assert sights.seconds == 0.0
    assert {lease.standing for lease in picture(sights, 0).leases} == {Standing.SILENT}


@pytest.mark.parametrize("owner", ["", "bea"])
def test_a_cluster_is_told_in_the_language_that_is_spoken(owner: str) -> None:
    renewed = looked((0.0, keys(5, dead=owner)), (12.0, keys(6, dead=owner, r_nightly=RUN)))
    odd = looked((0.0, {"c": Held(1, TERMS.encode()), "p.1": Held(5, b"?"), "w.cia": Held(5, b"?")}))
    idle = Worker("s", 3, name="dan", able=False).encode()
    for sights in (renewed, odd, looked((0.0, keys(1)), (1.0, keys(2, w_dan=idle))), looked((0.0, {}))):
        with dots():
            shown = text(picture(sights, 9), 400.0)
        assert "·" in shown
        assert words(shown, "ana", "bea", "cia", "dan", "nightly", "version") == []


def test_a_broker_that_nobody_has_joined_is_no_mistake() -> None:
    assert "no machine has joined" in text(picture(looked((0.0, {})), 0))


@given(st.text(max_size=200), st.dictionaries(st.text(max_size=60), st.text(max_size=60), max_size=8))
def test_whatever_machines_say_of_themselves_stays_in_its_lines(name: str, facts: dict[str, str]) -> None:
    workers = [WorkerSeen("w", name, able=True, seen_ago=1.0, partitions=2, facts=facts)]
    runs = [RunSeen(name, "01K", name, 2)]
    seen = Picture(5.0, TERMS, workers, (), runs, 10**12)
    for language in LANGUAGES:
        speak(language)
        lines = [line for line, _ in sheet(seen, 0.0)]
        assert all(line.isprintable() for line in lines)
        assert max(map(len, lines)) <= WIDTH


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("seconds", [1.0, 60.0])
def test_a_large_cluster_in_trouble_stays_in_its_lines_in_every_language(language: str, seconds: float) -> None:
    leases = [LeaseSeen(n, list(Standing)[n % 5], f"w{n % 7}", n, 9.0, n, 9e9) for n in range(4_096)]
    workers = [
        WorkerSeen(f"w{n}", "m" * 99, able=False, seen_ago=n and 99.9, partitions=4_096, facts={}) for n in (0, 1)
    ]
    runs = [RunSeen("r" * 99, "01K", "s" * 99, 4_096)]
    speak(language)
    lines = [line for line, _ in sheet(Picture(seconds, TERMS, workers, leases, runs, 10**9), 0.0)]
    assert max(map(len, lines)) <= WIDTH


@pytest.mark.parametrize(
    ("numbers", "written"), [([], ""), ([4], "4"), ([3, 1, 2, 7], "1-3, 7"), ([1, 2, 4, 5], "1-2, 4-5")]
)
def test_numbers_are_written_as_ranges(numbers: list[int], written: str) -> None:
    assert ranges(numbers) == written
