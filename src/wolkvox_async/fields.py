"""How values stand in the fields of records: moments, windows, errors, outcomes, the number of a row.

Whatever else prints such a value writes it the same way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, TypedDict

from .model import CallError, Empty, Failed, Ok, Outcome, Skipped
from .windows import Window

OutcomeName: TypeAlias = Literal["ok", "empty", "failed", "skipped"]

# `from` is a keyword, hence the functional form.
WindowField = TypedDict("WindowField", {"from": str, "to": str})

OUTCOME_NAMES: Final[Mapping[type[Outcome], OutcomeName]] = MappingProxyType(
    {Ok: "ok", Empty: "empty", Failed: "failed", Skipped: "skipped"}
)
_PLAIN_DIGITS: Final = 15
_PLAIN_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]+)?")


class ErrorField(TypedDict):
    """Why a call failed or was skipped."""

    kind: str
    message: str
    retryable: bool


def timestamp(moment: datetime) -> str:
    """Write an aware moment as records do: UTC, cut off (never rounded) to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def window_field(window: Window) -> WindowField:
    """Write a window as records do: in the vendor's notation."""
    return {"from": window.date_ini, "to": window.date_end}


def error_field(error: CallError) -> ErrorField:
    """Write an error as records do."""
    return {"kind": error.kind.value, "message": error.message, "retryable": error.retryable}


def outcome_name(outcome: Outcome) -> OutcomeName:
    """Return the outcome as records write it."""
    return OUTCOME_NAMES[type(outcome)]


def items_of(row: Any) -> int | float | None:
    """Lift `items` out of a row: a JSON number, text that is plainly one, else None."""
    value = row.get("items") if type(row) is dict else None
    if type(value) is str:
        if len(value) <= _PLAIN_DIGITS and value.isdigit() and value.isascii():
            return int(value)
        if not _PLAIN_NUMBER.fullmatch(value):
            return None
        return float(value) if "." in value else int(value)
    return value if type(value) in (int, float) else None
