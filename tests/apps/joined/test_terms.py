"""A machine joins on the terms of its cluster, or says why it cannot."""

from __future__ import annotations

import pytest

from wolkvox_async.adapters.nats import NatsSettings
from wolkvox_async.apps.joined.errand import Joining
from wolkvox_async.apps.joined.terms import agreed_terms, wanted_terms
from wolkvox_async.clustering.terms import ClusterTerms, LeaseTerms
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.ports import Held

STORE = NatsSettings(("nats://127.0.0.1:4222",))
HOLD = 70.0


def kept(terms: LeaseTerms, partitions: int = 256) -> dict[str, Held]:
    return {"c": Held(1, ClusterTerms.of(terms, partitions).encode())}


def test_the_first_machine_chooses() -> None:
    terms, partitions, is_new = agreed_terms(Joining(STORE, partitions=64), HOLD, {})
    assert (terms, partitions, is_new) == (LeaseTerms.default(HOLD), 64, True)


def test_others_take_what_the_cluster_has() -> None:
    theirs = LeaseTerms(200.0, 5.0, 15.0, HOLD)
    terms, partitions, is_new = agreed_terms(Joining(STORE), 20.0, kept(theirs, 64))
    assert (terms, partitions, is_new) == (LeaseTerms(200.0, 5.0, 15.0, 20.0), 64, False)


@pytest.mark.parametrize(
    ("joining", "complaint"),
    [
        (Joining(STORE, partitions=64), "--partitions 64: the cluster has 256"),
        (Joining(STORE, lease=200.0), "--lease 200: the cluster has 120 s"),
        (Joining(STORE, fast=True), "--fast-failover: leases would be"),
    ],
)
def test_an_option_that_asks_for_something_else_is_a_mistake(joining: Joining, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        agreed_terms(joining, HOLD, kept(LeaseTerms.default(HOLD)))


def test_calls_that_last_longer_than_the_leases_of_the_cluster_are_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="leases of 15 s are too short"):
        agreed_terms(Joining(STORE), HOLD, kept(LeaseTerms.fast(1.5)))


def test_a_lease_is_divided_so_that_three_renewals_fit_in() -> None:
    terms = wanted_terms(Joining(STORE, lease=6.0), 1.5)
    assert terms.complaints() == []


@pytest.mark.parametrize("lease", [1.0, 70.0, 71.5])
def test_a_lease_that_is_shorter_than_a_call_is_a_mistake(lease: float) -> None:
    with pytest.raises(ConfigurationError, match="--lease"):
        agreed_terms(Joining(STORE, lease=lease), HOLD, {})


def test_what_is_not_the_terms_of_a_cluster_is_left_alone() -> None:
    with pytest.raises(ConfigurationError, match="something else uses it"):
        agreed_terms(Joining(STORE), HOLD, {"c": Held(1, b"7")})
