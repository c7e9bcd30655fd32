"""How many calls may be in flight, as asked for or (`auto`) as found while calls are made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.flow import Flow, FlowPolicy
from wolkvox_async.scheduling.level import Pace

from .descriptors import affordable
from .memory import most_in_flight
from .options import Options


@dataclass(frozen=True, slots=True)
class Chosen:
    """The limits that nothing exceeds, those to start with, and what finds others if any does."""

    most: Limits
    first: Limits
    flow: Flow | None = None


def in_flight_at_most(options: Options) -> int:
    """Return what calls in flight do not exceed: what was asked for, or what memory has room for."""
    return most_in_flight() if options.max_in_flight == "auto" else options.max_in_flight


def choose_limits(options: Options, *, now: float, log: Any, most: int | None = None) -> Chosen:
    """Return the limits, held below what the system affords (of which `most` is our part); `now` in monotonic s."""
    asked = in_flight_at_most(options) if most is None else most
    return _limits(options, Limits(affordable(asked, log), options.per_server, token_gap=options.token_gap), now)


def _limits(options: Options, most: Limits, now: float) -> Chosen:
    if options.max_in_flight != "auto":
        return Chosen(most, most)
    flow = Flow(FlowPolicy(Pace(ceiling=most.max_in_flight), per_server=options.per_server), now=now)
    return Chosen(most, replace(most, max_in_flight=flow.total, per_server=flow.first), flow)
