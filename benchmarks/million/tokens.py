"""The tokens of a large cluster, and what a call of theirs leaves in the stream: ids alone, nobody calls with them."""

from __future__ import annotations

import hashlib
from typing import Final

from wolkvox_async.apps.joined.tenancies import partition_of
from wolkvox_async.clustering.messages import Entry, SlotTimes, TokenState
from wolkvox_async.clustering.terms import PARTITIONS
from wolkvox_async.ports import Append

APIS: Final = ("interactions", "gamification", "pbx_licenses")
_ROW: Final = (
    '{"type":"row","run":"01M8094P7A81VQNPQ9ZYKSYNZV","call":"01M8094P7A3F0Z5G3M2B7N8C4T","n":1,"tenant":"%s",'
    '"operation":"main","server":"0010","api":"interactions","slot":"2026-11-21T21:40:00Z",'
    '"at":"2026-11-21T21:43:47.733Z","items":12,"row":{"operation":"MAIN","description":"Interactions",'
    '"items":"12","date":"2026-11-21"}}\n'
)
_CALL: Final = (
    '{"type":"call","run":"01M8094P7A81VQNPQ9ZYKSYNZV","call":"01M8094P7A3F0Z5G3M2B7N8C4T","tenant":"%s",'
    '"operation":"main","server":"0010","token":"%s","api":"interactions","window":null,"params":null,'
    '"slot":"2026-11-21T21:40:00Z","closing":false,"outcome":"ok","rows":1,"attempts":1,'
    '"at":"2026-11-21T21:43:47.733Z","seconds":0.213,"status":200,"code":200,"msg":"Information found",'
    '"error":null,"next_at":"2026-11-21T21:48:47.520Z"}\n'
)


def token_id(number: int) -> str:
    """Return the id of one of them."""
    return f"tk_{hashlib.sha256(str(number).encode()).hexdigest()[:12]}"


def state_at(token: str, at: float) -> TokenState:
    """Return what is known of a token of three endpoints that was asked for all of them at `at` (Unix seconds)."""
    due = int(at * 1000)
    tenant = f"tenant-{token[3:]}"
    return TokenState(dict.fromkeys(APIS, at), {(tenant, "main", api, ""): SlotTimes(due) for api in APIS})


def lines_of_call(token: str) -> bytes:
    """Return the record lines of a call with one row."""
    tenant = f"tenant-{token[3:]}"
    return (_ROW % tenant + _CALL % (tenant, token)).encode()


def first_message(number: int, at: float) -> Append:
    """Return what the first call of a token writes."""
    token = token_id(number)
    entry = Entry(f"first-{number}", 1, state_at(token, at), lines_of_call(token))
    return Append(partition_of(token, PARTITIONS), token, 0, entry.encode())
