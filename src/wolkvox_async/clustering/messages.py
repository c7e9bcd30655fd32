"""What is written into the stream for each call: its records, and what is known of its token from then on. Pure.

A message is one line of JSON, the head, and behind it the record lines as they are: whoever wants
the records alone takes what is behind the first line end. The head of a token's last message says
all that whoever takes its partition over has to know; earlier ones need not be read. So every
message repeats it, and what is over is left out of it (`pruned`).

When an earlier owner's late message turns up below ours, both heads are true, each of what it saw: the
latest time of each thing is the true one, and a refusal is kept rather than not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from wolkvox_async.marks import SlotMark

SlotKey: TypeAlias = tuple[str, str, str, str]
"""Tenant, operation, endpoint and, where dates are asked for, the month (YYYYmm), else an empty text."""

DAY: Final = 86_400.0
SLOTS_KEPT: Final = 62 * DAY  # what was missed longer ago is not told of (scheduling.rounds.REMEMBERED)


@dataclass(frozen=True, slots=True)
class SlotTimes:
    """When the last slot of a subject that ended was due, and the last closing one, if any (Unix milliseconds)."""

    due: int
    closing: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nothing is to be sent with a token until then (Unix seconds)."""

    kind: str
    message: str
    until: float


@dataclass(frozen=True, slots=True)
class TokenState:
    """What is known of a token: when each question last left (Unix seconds), its slots, its refusal, its names."""

    asked: Mapping[str, float] = field(default_factory=dict)
    slots: Mapping[SlotKey, SlotTimes] = field(default_factory=dict)
    refused: Refused | None = None
    names: frozenset[int] = frozenset()

    def with_slots(self, marks: tuple[SlotMark, ...]) -> TokenState:
        """Return it with slots that ended."""
        ended: dict[SlotKey, SlotTimes] = {}
        for mark in marks:
            key = (mark.tenant, mark.operation, mark.api, mark.month)
            times = SlotTimes(mark.due, mark.due if mark.closing else None)
            ended[key] = _later(ended[key], times) if key in ended else times
        return TokenState(self.asked, _merged(self.slots, ended), self.refused, self.names)

    def pruned(self, now: float, longest: float = DAY) -> TokenState:
        """Return it without what is over at `now` (Unix seconds).

        Questions are forgotten after the `longest` interval in which anything is asked, and not before
        a day; slots after two months; a refusal when its time has come.
        """
        asked_since, slots_since = now - max(longest, DAY), (now - SLOTS_KEPT) * 1000
        return TokenState(
            {question: at for question, at in self.asked.items() if at >= asked_since},
            {key: times for key, times in self.slots.items() if times.due >= slots_since},
            self.refused if self.refused is not None and self.refused.until > now else None,
            self.names,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One message: its id (by which its writer knows it again), the epoch of the lease it was made under, what came."""

    id: str
    epoch: int
    state: TokenState
    lines: bytes

    def encode(self) -> bytes:
        """Write it; every record line ends with a line end."""
        head = {"id": self.id, "epoch": self.epoch, **_head(self.state)}
        return orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE) + self.lines

    @classmethod
    def decode(cls, payload: bytes) -> Entry:
        """Read it; raises `ValueError` when it is none."""
        head, ends, lines = payload.partition(b"\n")
        try:
            read = orjson.loads(head)
            return cls(_text(read["id"]), int(read["epoch"]), _state(read), lines if ends else b"")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError):
            pass
        raise ValueError("that is no entry of the stream")


def lines_of(payload: bytes) -> bytes:
    """Return the record lines of an encoded entry, without reading its head."""
    return payload.partition(b"\n")[2]


def merge(one: TokenState, other: TokenState) -> TokenState:
    """Return what both know, in whatever order: of each time the latest, the longer refusal, all names."""
    asked = dict(one.asked)
    for question, at in other.asked.items():
        asked[question] = max(at, asked.get(question, at))
    refusals = [state.refused for state in (one, other) if state.refused is not None]
    longest = max(refusals, key=lambda refused: (refused.until, refused.kind, refused.message), default=None)
    return TokenState(asked, _merged(one.slots, other.slots), longest, one.names | other.names)


def _merged(one: Mapping[SlotKey, SlotTimes], other: Mapping[SlotKey, SlotTimes]) -> dict[SlotKey, SlotTimes]:
    slots = dict(one)
    for key, times in other.items():
        slots[key] = _later(slots[key], times) if key in slots else times
    return slots


def _later(one: SlotTimes, other: SlotTimes) -> SlotTimes:
    closings = [times.closing for times in (one, other) if times.closing is not None]
    return SlotTimes(max(one.due, other.due), max(closings, default=None))


def _head(state: TokenState) -> dict[str, Any]:
    """Return what is known of a token as JSON has it; what there is nothing of is left out."""
    head: dict[str, Any] = {}
    if state.asked:
        head["asked"] = dict(state.asked)
    if state.slots:
        head["slots"] = [[*key, times.due, times.closing] for key, times in state.slots.items()]
    if state.refused is not None:
        head["refused"] = [state.refused.kind, state.refused.message, state.refused.until]
    if state.names:
        head["names"] = sorted(state.names)
    return head


def _state(read: Mapping[str, Any]) -> TokenState:
    refused = read.get("refused")
    return TokenState(
        {_text(question): float(at) for question, at in read.get("asked", {}).items()},
        dict(_slot(*slot) for slot in read.get("slots", ())),
        None if refused is None else _refused(*refused),
        frozenset(int(name) for name in read.get("names", ())),
    )


def _slot(*slot: Any) -> tuple[SlotKey, SlotTimes]:
    tenant, operation, api, month, due, closing = slot
    key = (_text(tenant), _text(operation), _text(api), _text(month))
    return key, SlotTimes(int(due), None if closing is None else int(closing))


def _refused(kind: Any, message: Any, until: Any) -> Refused:
    return Refused(_text(kind), _text(message), float(until))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError("that is no text")
