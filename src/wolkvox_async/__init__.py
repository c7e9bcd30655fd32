"""Asynchronous multi-tenant fetch engine for the wolkvox Billing HTTP API.

    from wolkvox_async import load_tenants, open_engine

    async with open_engine(load_tenants("tenants.json")) as engine:
        async with engine.fetch(apis=["interactions"]) as records:
            async for record in records: ...
        result = await engine.call("acme/bogota", "interactions")
        result = await engine.read("acme/bogota", "interactions")  # shared by all who ask

Names are loaded when they are first used, so importing the package costs nothing.
"""

from typing import TYPE_CHECKING

from .lazy import loader

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .adapters.clock import LoopClock
    from .adapters.tracing import TracingHook
    from .catalog import Catalog, Endpoint
    from .counters import Counters
    from .engine import CallResult, Engine, Records, RunName, Summary, Watch
    from .errors import (
        ConfigurationError,
        Mistake,
        OutputBusyError,
        OutputClosedError,
        OutputError,
        RunError,
        SelectionError,
        StateError,
        UsageError,
        WolkvoxError,
    )
    from .model import Answer, Breakdown, Call, CallError, ErrorKind, GapReason, Operation, Slot, Token
    from .planning import DateRange
    from .ports import (
        Alarm,
        AttemptFailed,
        CallCut,
        CallSettled,
        Clock,
        Event,
        Hook,
        SecretPlugin,
        Sink,
        SlotMissed,
        State,
        TokenClosed,
        TokenSource,
        Transport,
        Turn,
    )
    from .records import CallRecord, GapRecord, Record, RowRecord, RunRecord, WatchRecord
    from .scheduling.decisions import Snapshot
    from .settings.composition import OpenEngine, Parts, open_engine
    from .settings.entries import Tenants
    from .settings.gathering import Gathered, fetch_all
    from .settings.options import Options
    from .settings.tenants import load_tenants

__all__ = [
    "Alarm",
    "Answer",
    "AttemptFailed",
    "Breakdown",
    "Call",
    "CallCut",
    "CallError",
    "CallRecord",
    "CallResult",
    "CallSettled",
    "Catalog",
    "Clock",
    "ConfigurationError",
    "Counters",
    "DateRange",
    "Endpoint",
    "Engine",
    "ErrorKind",
    "Event",
    "GapReason",
    "GapRecord",
    "Gathered",
    "Hook",
    "LoopClock",
    "Mistake",
    "OpenEngine",
    "Operation",
    "Options",
    "OutputBusyError",
    "OutputClosedError",
    "OutputError",
    "Parts",
    "Record",
    "Records",
    "RowRecord",
    "RunError",
    "RunName",
    "RunRecord",
    "SecretPlugin",
    "SelectionError",
    "Sink",
    "Slot",
    "SlotMissed",
    "Snapshot",
    "State",
    "StateError",
    "Summary",
    "Tenants",
    "Token",
    "TokenClosed",
    "TokenSource",
    "TracingHook",
    "Transport",
    "Turn",
    "UsageError",
    "Watch",
    "WatchRecord",
    "WolkvoxError",
    "__version__",
    "fetch_all",
    "load_tenants",
    "open_engine",
]

_HOMES = {
    "adapters.clock": "LoopClock",
    "adapters.tracing": "TracingHook",
    "catalog": "Catalog Endpoint",
    "counters": "Counters",
    "engine": "CallResult Engine Records RunName Summary Watch",
    "errors": "ConfigurationError Mistake OutputBusyError OutputClosedError OutputError RunError SelectionError "
    "StateError UsageError WolkvoxError",
    "model": "Answer Breakdown Call CallError ErrorKind GapReason Operation Slot Token",
    "planning": "DateRange",
    "ports": "Alarm AttemptFailed CallCut CallSettled Clock Event Hook SecretPlugin Sink SlotMissed State TokenClosed "
    "TokenSource Transport Turn",
    "records": "CallRecord GapRecord Record RowRecord RunRecord WatchRecord",
    "scheduling.decisions": "Snapshot",
    "settings.composition": "OpenEngine Parts open_engine",
    "settings.entries": "Tenants",
    "settings.gathering": "Gathered fetch_all",
    "settings.options": "Options",
    "settings.tenants": "load_tenants",
}


__getattr__ = loader(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
