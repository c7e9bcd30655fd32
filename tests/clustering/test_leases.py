"""What stands in a key is read as it was written, and nothing else is taken for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.clustering.leases import Lease, Worker, lease_key, worker_key, worker_of

NUMBERS = st.integers(0, 2**53)
LEASES = st.builds(
    Lease, st.text(), st.text(), NUMBERS, NUMBERS, st.none() | st.floats(0, 4e9), st.booleans(), claim=NUMBERS
)
FACTS = st.dictionaries(st.text(), st.none() | st.text() | NUMBERS, max_size=3)
WORKERS = st.builds(Worker, st.text(), NUMBERS, st.booleans(), st.text(), FACTS)


@given(LEASES)
def test_a_lease_is_read_as_it_was_written(lease: Lease) -> None:
    assert Lease.decode(lease.encode()) == lease


@given(WORKERS)
def test_a_worker_is_read_as_it_was_written(worker: Worker) -> None:
    assert Worker.decode(worker.encode()) == worker


@given(st.binary())
def test_what_is_no_lease_and_no_worker_is_not_read(value: bytes) -> None:
    for kind in (Lease, Worker):
        with pytest.raises(ValueError, match=r"no (lease|worker)"):
            kind.decode(value)


def test_neither_is_taken_for_the_other() -> None:
    with pytest.raises(ValueError, match="no worker"):
        Worker.decode(Lease("w1", "s1", 0, 1).encode())
    with pytest.raises(ValueError, match="no lease"):
        Lease.decode(Worker("s1", 0).encode())


def test_a_lease_with_a_text_for_a_time_is_not_read() -> None:
    with pytest.raises(ValueError, match="no lease"):
        Lease.decode(Lease("w1", "s1", 0, 1).encode().replace(b'"quarantine":null', b'"quarantine":"x"'))


def test_fields_of_a_later_version_are_passed_over() -> None:
    lease, worker = Lease("w1", "s1", 4, 2, 5.0), Worker("s1", 4, name="here", facts={"held": 3})
    assert Lease.decode(b'{"later":1,' + lease.encode()[1:]) == lease
    assert Worker.decode(b'{"later":1,' + worker.encode()[1:]) == worker


def test_keys_say_what_they_are_of() -> None:
    assert lease_key(17) == "p.17"
    assert worker_key("here.1") == "w.here.1"
    assert worker_of(worker_key("here.1")) == "here.1"
    assert worker_of(lease_key(17)) is None
