"""JSON Schemas of what people write and of what they read: the tenants file, the records.

The first comes from the models that check the file. The second is written down here,
because the records' types say nothing about what their fields mean; a test holds the
two together. It describes the records that are written today. Readers must ignore
fields that they do not know, so it allows more than it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from wolkvox_async.model import ErrorKind, GapReason
from wolkvox_async.records import SCHEMA

Schema: TypeAlias = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_TEXT: Final = "string"
_NUMBER: Final = ("integer", "number")


def tenants_schema() -> Schema:
    """Return the JSON Schema of the tenants file, with the plug-ins that are installed here."""
    # pydantic costs more to import than the rest of the package together.
    from .shapes import file_schema  # noqa: PLC0415
    from .tokens import Plugins  # noqa: PLC0415 - looks at what is installed

    return {"$schema": DIALECT, **file_schema(Plugins().names)}


def records_schema() -> Schema:
    """Return the JSON Schema of one line of the output."""
    return {
        "$schema": DIALECT,
        "title": "wolkvox-async record",
        "description": (
            f"One line of the output, schema {SCHEMA}. Fields are only added within a schema number: "
            "ignore those that you do not know."
        ),
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in ("run", "row", "call", "gap")],
        "$defs": {
            "run": _object("A run began or ended.", _RUN, optional=_RUN_OPTIONAL),
            "row": _object("One row of an answer.", _ROW),
            "call": _object("A call ended; all its rows stand before it.", _CALL, optional=_CALL_OPTIONAL),
            "gap": _object("A slot in which nothing was captured.", _GAP, optional=frozenset({"window", "params"})),
            "error": _object("Why a call failed or was skipped.", _ERROR),
            "window": _object("A time range, in the vendor's notation and the operation's timezone.", _WINDOW),
        },
    }


def _object(description: str, properties: Mapping[str, Schema], *, optional: frozenset[str] = frozenset()) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
    }


def _field(description: str, kind: str | tuple[str, ...] = _TEXT, **more: Any) -> Schema:
    return {"type": kind if isinstance(kind, str) else list(kind), "description": description, **more}


def _moment(description: str, kind: str | tuple[str, ...] = _TEXT) -> Schema:
    return _field(f"{description}, UTC with milliseconds.", kind, format="date-time")


def _count(description: str) -> Schema:
    return _field(description, "integer", minimum=0)


def _one_of(definition: str) -> Schema:
    return {"oneOf": [{"type": "null"}, {"$ref": f"#/$defs/{definition}"}]}


_RUN_ID: Final = _field("The run's id.")
_CALL_ID: Final = _field("The call's id, the same throughout a run.")
_WHOSE: Final[Mapping[str, Schema]] = {
    "tenant": _field("The tenant's name in the tenants file."),
    "operation": _field("The operation's name in the tenants file."),
    "server": _field("The server's name, as text: `0010`."),
}
_API: Final = _field("The endpoint: `interactions`, `information/token_info`.")
_SLOT: Final = _moment("The due time of a call while watching, else null", (_TEXT, "null"))

_RUN: Final[Mapping[str, Schema]] = {
    "type": {"const": "run"},
    "schema": {"const": SCHEMA, "description": "The number of this schema."},
    "run": _RUN_ID,
    "event": _field("What happened.", enum=["started", "resumed", "stopped", "finished"]),
    "at": _moment("When it happened"),
    "version": _field("The program's version."),
    "calls": _count("Calls that are planned."),
    "ok": _count("Calls that ended with rows."),
    "empty": _count("Calls for which the vendor had nothing."),
    "failed": _count("Calls that failed."),
    "skipped": _count("Calls that were not made."),
    "rows": _count("Rows written."),
    "attempts": _count("HTTP requests made."),
    "seconds": _field("How long the run has taken.", "number", minimum=0),
    "gaps": _count("Slots in which nothing was captured, while watching."),
}
_RUN_OPTIONAL: Final = frozenset(_RUN) - {"type", "schema", "run", "event", "at"}

_ROW: Final[Mapping[str, Schema]] = {
    "type": {"const": "row"},
    "run": _RUN_ID,
    "call": _CALL_ID,
    "n": _field("The row's number within its call, from 1.", "integer", minimum=1),
    **_WHOSE,
    "api": _API,
    "slot": _SLOT,
    "at": _moment("When the answer was complete"),
    "items": _field("`items` of the row where it is plainly a number, else null.", (*_NUMBER, "null")),
    "row": {"description": "The vendor's row as sent, whatever it holds."},
}

_PARAMS: Final[Schema] = {
    "type": "object",
    "description": "Further parameters of the request.",
    "additionalProperties": {"type": _TEXT},
}

_CALL: Final[Mapping[str, Schema]] = {
    "type": {"const": "call"},
    "run": _RUN_ID,
    "call": _CALL_ID,
    **_WHOSE,
    "token": _field("The token's id; never the token.", pattern="^tk_[0-9a-f]{12}$"),
    "api": _API,
    "window": _one_of("window"),
    "params": {**_PARAMS, "type": ["object", "null"]},
    "slot": _SLOT,
    "closing": _field("Whether this is the last reading of a month.", "boolean"),
    "outcome": _field("How the call ended.", enum=["ok", "empty", "failed", "skipped"]),
    "rows": _count("Rows of this call."),
    "attempts": _count("HTTP requests made for this call."),
    "at": _moment("When the answer was complete, or when it was clear that there would be none"),
    "seconds": _field("How long the last attempt took.", "number", minimum=0),
    "status": _field("The HTTP status, null without an answer.", ("integer", "null")),
    "code": _field("The body's own `code`, a number where it reads as one.", (*_NUMBER, _TEXT, "null")),
    "msg": {"description": "The vendor's message, as sent."},
    "error": _one_of("error"),
    "next_at": _moment("Not before then is the same call recommended again", (_TEXT, "null")),
    "truncated": _field("Whether rows may be missing: the answer had as many as the vendor ever sends.", "boolean"),
    "part_of": _field("The id of the planned call whose window this is a part of."),
}
_CALL_OPTIONAL: Final = frozenset({"truncated", "part_of"})

_GAP: Final[Mapping[str, Schema]] = {
    "type": {"const": "gap"},
    "run": _RUN_ID,
    **_WHOSE,
    "api": _API,
    "slot": _moment("The due time"),
    "reason": _field("Why nothing was captured.", enum=[reason.value for reason in GapReason]),
    "closing": _field("Whether this would have been the last reading of a month.", "boolean"),
    "window": {"$ref": "#/$defs/window"},
    "params": _PARAMS,
}

_ERROR: Final[Mapping[str, Schema]] = {
    "kind": _field("What went wrong.", enum=[kind.value for kind in ErrorKind]),
    "message": _field("The same in words."),
    "retryable": _field("Whether trying again may help.", "boolean"),
}

_WINDOW: Final[Mapping[str, Schema]] = {
    "from": _field("The first second, `YYYYmmddHHMMSS`.", pattern="^[0-9]{14}$"),
    "to": _field("The last second, which is included.", pattern="^[0-9]{14}$"),
}
