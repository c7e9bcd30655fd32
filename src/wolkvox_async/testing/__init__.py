"""Doubles and the vendor simulator: the public test kit.

`Simulator` serves the vendor's API on loopback and judges its clients; `Profile` says
what it is like, `FAULTS` what can be wrong. `InProcess` is the same without sockets, in the
virtual time of a `VirtualLoop`. Names are loaded when they are first used.
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
    from .inprocess import InProcess
    from .journal import Answered, Asked, Crashed, Disconnected, Dropped, Event, Gibberish, Overhasty
    from .judge import Judge, Rules
    from .latencies import Fixed, Latency, LogNormal, Uniform, parse_latency
    from .moods import Unreachable
    from .population import SimulatedOperation
    from .profile import Profile
    from .reports import Report
    from .scripted import ScriptedTransport, ok_answer, refusal
    from .simulator import Simulator
    from .slot_audit import Episode, SlotAudit
    from .verdict import Rule, Sent, Verdict, Violation
    from .virtual_clock import VirtualClock
    from .virtual_loop import VirtualLoop
    from .virtual_state import open_virtual_state

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
    "Episode",
    "Event",
    "Fault",
    "Fixed",
    "Gibberish",
    "Huge",
    "InProcess",
    "Judge",
    "Latency",
    "LogNormal",
    "ManualClock",
    "Overhasty",
    "Profile",
    "Raw",
    "Report",
    "Rule",
    "Rules",
    "Script",
    "ScriptedTransport",
    "Sent",
    "Silence",
    "SimulatedOperation",
    "Simulator",
    "SlotAudit",
    "Unasked",
    "Uniform",
    "Unreachable",
    "Verdict",
    "Violation",
    "VirtualClock",
    "VirtualLoop",
    "Whole",
    "Wire",
    "ok_answer",
    "open_virtual_state",
    "parse_latency",
    "parse_script",
    "refusal",
]

_HOMES = {
    "clock": "ManualClock",
    "fault_catalog": "FAULTS parse_script",
    "faults": "Bomb Cut Drip Effect Ending Endless Fault Huge Raw Script Silence Unasked Whole Wire",
    "inprocess": "InProcess",
    "journal": "Answered Asked Crashed Disconnected Dropped Event Gibberish Overhasty",
    "judge": "Judge Rules",
    "latencies": "Fixed Latency LogNormal Uniform parse_latency",
    "moods": "Unreachable",
    "population": "SimulatedOperation",
    "profile": "Profile",
    "reports": "Report",
    "scripted": "ScriptedTransport ok_answer refusal",
    "simulator": "Simulator",
    "slot_audit": "Episode SlotAudit",
    "verdict": "Rule Sent Verdict Violation",
    "virtual_clock": "VirtualClock",
    "virtual_loop": "VirtualLoop",
    "virtual_state": "open_virtual_state",
}


__getattr__ = loader(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
