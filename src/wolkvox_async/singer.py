"""Records as messages of the Singer protocol: SCHEMA, RECORD, STATE. Pure.

    rows    key (call, n)   the rows of answers
    calls   key call        how each call ended; of one that was made again the last message counts
    runs    key run         how a run began, replaced by how it ended

A key is the same however often something is delivered, so a target that has keys never has
it twice. Every column may be null but those of the key, and has one type: what the vendor
may send as this or that (a row, `msg`, `code`) is text, JSON where it was not text already.
So no answer can break a table, nor stop a load. A billing row's four documented fields are
columns as well.

Behind the last message of a call, and of a run, comes a STATE: everything before it was
written. It grows neither with the run nor with the number of operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from .marks import Mark, read_mark

Schema: TypeAlias = Mapping[str, Any]
Selection: TypeAlias = Mapping[str, frozenset[str]]
"""The columns that are wanted, by stream; a stream that is not there is not wanted."""

_TEXT: Final[Schema] = MappingProxyType({"type": ["null", "string"]})
_MOMENT: Final[Schema] = MappingProxyType({"type": ["null", "string"], "format": "date-time"})
_COUNT: Final[Schema] = MappingProxyType({"type": ["null", "integer"], "maximum": 2**63 - 1})
_NUMBER: Final[Schema] = MappingProxyType({"type": ["null", "number"]})
_YES_NO: Final[Schema] = MappingProxyType({"type": ["null", "boolean"]})
_KEY_TEXT: Final[Schema] = MappingProxyType({"type": "string"})
_KEY_COUNT: Final[Schema] = MappingProxyType({"type": "integer", "maximum": 2**63 - 1})

_WHERE: Final = {"run": _TEXT, "tenant": _TEXT, "operation": _TEXT, "server": _TEXT, "api": _TEXT}
_SUMS: Final = ("calls", "ok", "empty", "failed", "skipped", "rows", "attempts")
_BILLING: Final = ("operation", "description", "items", "date")


class Stream(NamedTuple):
    """What a stream's messages look like."""

    key: tuple[str, ...]
    columns: Mapping[str, Schema]


def _stream(key: tuple[str, ...], columns: dict[str, Schema]) -> Stream:
    return Stream(key, MappingProxyType(columns))


STREAMS: Final[Mapping[str, Stream]] = MappingProxyType(
    {
        "rows": _stream(
            ("call", "n"),
            {"call": _KEY_TEXT, "n": _KEY_COUNT, **_WHERE, "at": _MOMENT, "items": _NUMBER, "row": _TEXT}
            | {f"row_{name}": _TEXT for name in _BILLING},
        ),
        "calls": _stream(
            ("call",),
            {
                "call": _KEY_TEXT,
                **_WHERE,
                "token": _TEXT,
                "window_from": _TEXT,
                "window_to": _TEXT,
                "params": _TEXT,
                "part_of": _TEXT,
                "truncated": _YES_NO,
            }
            | {"outcome": _TEXT, "rows": _COUNT, "attempts": _COUNT, "at": _MOMENT, "seconds": _NUMBER}
            | {"status": _COUNT, "code": _TEXT, "msg": _TEXT, "next_at": _MOMENT}
            | {"error_kind": _TEXT, "error_message": _TEXT, "error_retryable": _YES_NO},
        ),
        "runs": _stream(
            ("run",),
            {"run": _KEY_TEXT, "event": _TEXT, "at": _MOMENT, "version": _TEXT, "seconds": _NUMBER}
            | dict.fromkeys(_SUMS, _COUNT),
        ),
    }
)
EVERYTHING: Final[Selection] = MappingProxyType({name: frozenset(stream.columns) for name, stream in STREAMS.items()})


class Translator:
    """Turns lines into messages, a whole call at a time; the first ones bring the schemas along.

    `batch` names the file that the lines stand in, where they can be read again.
    """

    def __init__(self, selection: Selection = EVERYTHING, *, batch: str | None = None) -> None:
        self._selection: Final = selection
        self._translations: Final[Mapping[str, Callable[[dict[str, Any]], Iterator[bytes]]]] = {
            "row": self._of_row,
            "call": self._of_call,
            "run": self._of_run,
        }
        self.batch = batch
        self._position: int | None = None  # in the batch, behind what was translated
        self._calls = 0
        self._opening: dict[str, Any] = {}
        self._has_schemas = False

    def messages(self, lines: bytes, position: int | None = None) -> bytes:
        """Return whole lines as messages; `position` is where they begin in the batch."""
        parts = [] if self._has_schemas else list(schemas(self._selection))
        self._has_schemas, self._position = True, position
        for line in lines.splitlines(keepends=True):
            record = orjson.loads(line)
            if self._position is not None:
                self._position += len(line)
            parts += self._translations[record["type"]](record)
        return b"".join(parts)

    def hear(self, line: bytes) -> None:
        """Take in the line that opened a run, which others were told of before."""
        self._opening = orjson.loads(line)

    def _of_row(self, record: dict[str, Any]) -> Iterator[bytes]:
        row = record["row"]
        fields = row if isinstance(row, dict) else {}
        record |= {f"row_{name}": _text(fields.get(name)) for name in _BILLING}
        record["row"] = orjson.dumps(row).decode()
        yield from self._record("rows", record)

    def _of_call(self, record: dict[str, Any]) -> Iterator[bytes]:
        window, error, params = record["window"] or {}, record["error"] or {}, record["params"]
        record |= {"window_from": window.get("from"), "window_to": window.get("to"), "params": _text(params)}
        record |= {"code": _text(record["code"]), "msg": _text(record["msg"])}
        record |= {f"error_{name}": error.get(name) for name in ("kind", "retryable")}
        record["error_message"] = _text(error.get("message"))
        yield from self._record("calls", record)
        self._calls += 1
        yield self._state(record)

    def _of_run(self, record: dict[str, Any]) -> Iterator[bytes]:
        if record["event"] in ("started", "resumed"):
            self._opening, self._calls = record, 0
        yield from self._record("runs", {**self._opening, **record})
        yield self._state(record)

    def _record(self, stream: str, values: Mapping[str, Any]) -> Iterator[bytes]:
        wanted = self._selection.get(stream)
        if wanted is None:
            return
        record = {name: values.get(name) for name in STREAMS[stream].columns if name in wanted}
        message = {"type": "RECORD", "stream": stream, "record": record, "time_extracted": values["at"]}
        yield orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE)

    def _state(self, record: Mapping[str, Any]) -> bytes:
        value = {"run": record["run"], "at": record["at"], "calls": self._calls}
        if self.batch is not None:
            value |= {"batch": self.batch, "position": self._position}
        return orjson.dumps({"type": "STATE", "value": value}, option=orjson.OPT_APPEND_NEWLINE)


def schemas(selection: Selection = EVERYTHING) -> Iterator[bytes]:
    """Yield the SCHEMA messages of the streams that are wanted."""
    for name, stream in STREAMS.items():
        if (wanted := selection.get(name)) is not None:
            message = {"type": "SCHEMA", "stream": name, "schema": _schema(stream, wanted)}
            message["key_properties"] = list(stream.key)
            yield orjson.dumps(message, default=dict, option=orjson.OPT_APPEND_NEWLINE)


def catalog() -> dict[str, Any]:
    """Return the streams as `--discover` says them: all of them selected."""
    return {"streams": [_entry(name, stream) for name, stream in STREAMS.items()]}


def selected(document: Mapping[str, Any]) -> Selection:
    """Return what a catalogue selects of ours; keys always. Raises `ValueError` when it is none."""
    found: dict[str, frozenset[str]] = {}
    try:
        for entry in document["streams"]:
            name = entry.get("tap_stream_id") or entry["stream"]
            stream = STREAMS.get(name)
            if stream is None:
                continue
            said = {tuple(one["breadcrumb"]): _is_wanted(one["metadata"]) for one in entry.get("metadata", ())}
            if said.get(()) is False or (said.get(()) is None and entry.get("selected") is False):
                continue
            found[name] = frozenset(one for one in stream.columns if one in stream.key or _of_column(said, one))
    except (KeyError, TypeError, AttributeError):
        raise ValueError("this is no Singer catalogue: make one with --discover") from None
    return found


def read_message_mark(message: bytes) -> Mark | None:
    """Return the mark that a message of the stream `calls` holds; None for any other."""
    try:
        record = orjson.loads(message)["record"]
        window = {"from": record["window_from"], "to": record["window_to"]} if record["window_from"] else None
        error = {"kind": record["error_kind"], "message": record["error_message"]} if record["error_kind"] else None
        params = None if record["params"] is None else orjson.loads(record["params"])
        call = {**record, "type": "call", "window": window, "error": error, "params": params}
    except (ValueError, KeyError, TypeError):
        return None
    return read_mark(orjson.dumps(call))


def _of_column(said: Mapping[tuple[str, ...], bool | None], name: str) -> bool:
    return said.get(("properties", name)) is not False


def _is_wanted(metadata: Mapping[str, Any]) -> bool | None:
    if metadata.get("inclusion") == "unsupported":
        return False
    wanted = metadata.get("selected", metadata.get("selected-by-default"))
    return None if wanted is None else bool(wanted)


def _entry(name: str, stream: Stream) -> dict[str, Any]:
    def metadata(breadcrumb: Iterable[str], **values: Any) -> dict[str, Any]:
        return {"breadcrumb": list(breadcrumb), "metadata": values}

    columns = [
        metadata(("properties", column), inclusion="automatic" if column in stream.key else "available", selected=True)
        for column in stream.columns
    ]
    of_stream = metadata((), inclusion="available", selected=True, **{"table-key-properties": list(stream.key)})
    return {
        "tap_stream_id": name,
        "stream": name,
        "schema": _schema(stream, frozenset(stream.columns)),
        "key_properties": list(stream.key),
        "replication_method": "INCREMENTAL",
        "metadata": [of_stream, *columns],
    }


def _schema(stream: Stream, wanted: frozenset[str]) -> dict[str, Any]:
    properties = {name: dict(schema) for name, schema in stream.columns.items() if name in wanted}
    return {"type": "object", "properties": properties}


def _text(value: Any) -> str | None:
    if value is None:
        return None
    # PostgreSQL takes no NUL in text; the row as it was sent has it as an escape.
    return value.replace("\0", "\ufffd") if isinstance(value, str) else orjson.dumps(value).decode()
