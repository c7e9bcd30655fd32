"""Doubles and the vendor simulator: the public test kit.

`Simulator` serves the vendor's API on loopback and judges its clients; `Profile` says
what it is like, `FAULTS` what can be wrong. Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wolkvox_async.lazy import loader

if TYPE_CHECKING:
    from .clock import ManualClock
    from .fault_catalog import FAULTS, parse_script
    from .faults import (
        Bomb,
        Cut,
        Drip,
        Effect,
        Ending,
        Endless,
        Fault,
        Huge,
        Raw,
        Script,
        Silence,
        Unasked,
        Whole,
        Wire,
    )
    from .journal import Answered, Asked, Crashed, Disconnected, Dropped, Event, Gibberish, Overhasty
    from .judge import Judge, Rules
    from .latencies import Fixed, Latency, LogNormal, Uniform, parse_latency
    from .population import SimulatedOperation
    from .profile import Profile
    from .scripted import ScriptedTransport, ok_answer, refusal
    from .simulator import Simulator
    from .verdict import Rule, Sent, Verdict, Violation

__all__ = [
    "FAULTS",
    "Answered",
    "Asked",
    "Bomb",
    "Crashed",
    "Cut",
    "Disconnected",
    "Drip",
    "Dropped",
    "Effect",
    "Ending",
    "Endless",
    "Event",
    "Fault",
    "Fixed",
    "Gibberish",
    "Huge",
    "Judge",
    "Latency",
    "LogNormal",
    "ManualClock",
    "Overhasty",
    "Profile",
    "Raw",
    "Rule",
    "Rules",
    "Script",
    "ScriptedTransport",
    "Sent",
    "Silence",
    "SimulatedOperation",
    "Simulator",
    "Unasked",
    "Uniform",
    "Verdict",
    "Violation",
    "Whole",
    "Wire",
    "ok_answer",
    "parse_latency",
    "parse_script",
    "refusal",
]

_HOMES = {
    "clock": "ManualClock",
    "fault_catalog": "FAULTS parse_script",
    "faults": "Bomb Cut Drip Effect Ending Endless Fault Huge Raw Script Silence Unasked Whole Wire",
    "journal": "Answered Asked Crashed Disconnected Dropped Event Gibberish Overhasty",
    "judge": "Judge Rules",
    "latencies": "Fixed Latency LogNormal Uniform parse_latency",
    "population": "SimulatedOperation",
    "profile": "Profile",
    "scripted": "ScriptedTransport ok_answer refusal",
    "simulator": "Simulator",
    "verdict": "Rule Sent Verdict Violation",
}


__getattr__ = loader(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
