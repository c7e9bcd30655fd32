"""On what terms a machine joins: what the cluster has, or what the first machine of it wants."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

from wolkvox_async.clustering.leases import TERMS_KEY
from wolkvox_async.clustering.terms import DRIFT, PARTITIONS, ClusterTerms, LeaseTerms
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.ports import Held

from .errand import Joining

_LEAST_MARGIN: Final = 0.5
_LEAST_RENEWAL: Final = 0.25
_SPARED: Final = 3.3  # renewals that fit in


def wanted_terms(joining: Joining, hold: float) -> LeaseTerms:
    """Return the terms that the options ask for, where a call keeps the vendor at work for `hold` seconds."""
    if joining.lease is not None:
        margin = max(_LEAST_MARGIN, 2 * DRIFT * joining.lease)
        return LeaseTerms(joining.lease, margin, (joining.lease - hold - margin) / _SPARED, hold)
    return LeaseTerms.fast(hold) if joining.fast else LeaseTerms.default(hold)


def agreed_terms(joining: Joining, hold: float, keys: Mapping[str, Held]) -> tuple[LeaseTerms, int, bool]:
    """Return the terms, how many partitions there are, and whether the cluster is a new one.

    Raises `ConfigurationError` when options ask for what the cluster has not, or the terms do not fit.
    """
    wanted, held = wanted_terms(joining, hold), keys.get(TERMS_KEY)
    if held is None:
        _check(_too_short(wanted, joining) or wanted.complaints())
        return wanted, joining.partitions or PARTITIONS, True
    try:
        theirs = ClusterTerms.decode(held.value)
    except ValueError:
        theirs = None
    if theirs is None:
        raise ConfigurationError(
            ["--join: what is stored there are not the terms of a cluster: something else uses it"]
        )
    _check(_differences(joining, wanted, theirs))
    terms = theirs.leases(hold)
    _check(terms.complaints())
    return terms, theirs.partitions, False


def _too_short(wanted: LeaseTerms, joining: Joining) -> list[str]:
    if joining.lease is None or wanted.renewal >= _LEAST_RENEWAL:
        return []
    least = wanted.hold + wanted.margin + _SPARED * _LEAST_RENEWAL
    why = f"a call may take {wanted.hold:g} s, and leases are renewed meanwhile"
    return [f"--lease {joining.lease:g}: {why}: make it at least {ceil(least)}"]


def _differences(joining: Joining, wanted: LeaseTerms, theirs: ClusterTerms) -> list[str]:
    found = []
    if joining.partitions not in (None, theirs.partitions):
        found.append(
            f"--partitions {joining.partitions}: the cluster has {theirs.partitions}, as its first machine chose"
        )
    if joining.lease not in (None, theirs.length):
        found.append(f"--lease {joining.lease:g}: the cluster has {theirs.length:g} s, as its first machine chose")
    elif joining.fast and wanted.length != theirs.length:
        found.append(
            f"--fast-failover: leases would be {wanted.length:g} s with this --timeout, and the cluster has "
            f"{theirs.length:g} s, as its first machine chose: leave it out"
        )
    return found


def _check(mistakes: list[str]) -> None:
    if mistakes:
        raise ConfigurationError(mistakes)
