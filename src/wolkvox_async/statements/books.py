"""Takes in records, one at a time, and keeps what statements need of them. Pure.

- Rows count with their `call` record, which is their commit mark: rows that none follows were not
  delivered. The last `call` record of a call in a run counts.
- A slot that was dropped behind a closing reading (`closing`), and a call that was not due (`not_due`), are
  nothing that is missing.
- With a tenant named, records of others are not looked into: nothing of them can get into what comes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from wolkvox_async.model import ErrorKind, GapReason
from wolkvox_async.records import SCHEMA

from .contents import Gathering
from .months import Calendar, Moment, month_of_window
from .runs import Runs
from .spans import MESSAGE, Span, Trouble
from .subjects import CallName, Key, Subject, Told

_DROPPED: Final = GapReason.CLOSING.value
_NOT_DUE: Final = ErrorKind.NOT_DUE.value


class NewerError(ValueError):
    """What comes was written by a later version, with words that this one may not know."""


class Books:
    """What records have come to so far.

    `tenants` and `endpoints` are the names met, whether they are wanted or not; `latest` is the last moment
    told of (Unix ms); `unmarked` counts rows without their `call` record.
    """

    def __init__(self, calendar: Calendar, *, tenant: str | None = None) -> None:
        self.calendar: Final = calendar
        self.tenant: Final = tenant
        self.tenants: Final[set[str]] = set()
        self.endpoints: Final[set[str]] = set()
        self.runs: Final = Runs()
        self.latest = 0
        self.unmarked = 0
        self.records = 0
        self._subjects: Final[dict[tuple[str, ...], Subject]] = {}
        self._rows: Gathering | None = None

    def __iter__(self) -> Iterator[Subject]:
        return iter(self._subjects.values())

    def months(self) -> set[int]:
        """Return the months that there is something of, and those between them of which something is missing."""
        return {month for subject in self for month in subject.spanned()}

    def add(self, record: Any) -> None:
        """Take a record; one of a type that is not known is left alone.

        Raises `KeyError`, `TypeError`, `ValueError`, `AttributeError` or `ArithmeticError` for what is no record;
        of them `NewerError` where a later version wrote it.
        """
        match record["type"]:
            case "row":
                self._row(record)
            case "call":
                self._call(record)
            case "gap":
                self._gap(record)
            case "run":
                self._run(record)
            case str():
                pass
            case _:
                raise ValueError("a record's type is text")
        self.records += 1

    def end(self) -> None:
        """Take note that no `call` record comes for the rows so far: here a file ends, or another call begins."""
        if self._rows is not None:
            self.unmarked += self._rows.count
            self._rows = None

    def _run(self, record: Mapping[str, Any]) -> None:
        calls = record.get("calls")
        schema = record.get("schema", SCHEMA)
        if type(schema) is int and schema > SCHEMA:
            raise NewerError(f"records of schema {schema}")
        at = self.calendar.moment(record["at"]).at
        self.runs.event(_text(record["run"]), _text(record["event"]), at, calls if type(calls) is int else None)

    def _row(self, record: Mapping[str, Any]) -> None:
        if self.tenant is not None and record["tenant"] != self.tenant:
            return
        rows, run, call = self._rows, record["run"], record["call"]
        # Numbered anew, it is the same call once more.
        if rows is None or rows.call != call or rows.run != run or record["n"] == 1:
            self.end()
            rows = self._rows = Gathering(run, call)
        rows.add(record)

    def _call(self, record: Mapping[str, Any]) -> None:
        rows = self._gathered(record["run"], record["call"])
        outcome = record["outcome"]
        moment = self.calendar.moment(record["at"])
        subject = self._subject(record, moment, watching=record["slot"] is not None)
        if subject is None:
            return
        self.latest = max(self.latest, moment.at)
        if outcome == "ok" or outcome == "empty":  # noqa: PLR1714 - millions of times: a set takes twice as long
            subject.answered(self._told(record, moment), rows, empty=outcome == "empty")
        elif outcome in ("failed", "skipped"):
            self._failed(record, moment, subject)

    def _gathered(self, run: str, call: str) -> Gathering | None:
        rows = self._rows
        if rows is None:
            return None
        if rows.call == call and rows.run == run:
            self._rows = None
            return rows
        self.end()
        return None

    def _told(self, record: Mapping[str, Any], moment: Moment) -> Told:
        window = record["window"]
        return Told(
            call=_name(record),
            moment=moment,
            begun=moment.at - int(record["seconds"] * 1000),
            closing=record["closing"],
            rows=record["rows"],
            window=None if window is None else (window["from"], _text(window["to"])),
            truncated=record.get("truncated", False),
        )

    def _failed(self, record: Mapping[str, Any], moment: Moment, subject: Subject) -> None:
        error, slot = record["error"], record["slot"]
        if error["kind"] == _NOT_DUE:
            return
        due = moment if slot is None else self.calendar.moment(slot)
        trouble = Trouble.FAILED if record["outcome"] == "failed" else Trouble.SKIPPED
        message = _text(error["message"])[:MESSAGE]
        span = Span(trouble, _text(error["kind"]), due.at, due.at, closing=record["closing"], message=message)
        subject.failed(span, _within(due, record["window"]), _name(record))

    def _gap(self, record: Mapping[str, Any]) -> None:
        self.end()
        moment = self.calendar.moment(record["slot"])
        subject = self._subject(record, moment, watching=True)
        if subject is None or record["reason"] == _DROPPED:
            return
        self.latest = max(self.latest, moment.at)
        span = Span(Trouble.GAP, _text(record["reason"]), moment.at, moment.at, closing=record["closing"])
        subject.lacked(span, _within(moment, record.get("window")), record["slot"])

    def _subject(self, record: Mapping[str, Any], moment: Moment, *, watching: bool) -> Subject | None:
        """Return what a record is about; None where it is about a tenant that is not wanted."""
        tenant, params = record["tenant"], record.get("params")
        self.tenants.add(_text(tenant))
        self.endpoints.add(_text(record["api"]))
        if self.tenant is not None and tenant != self.tenant:
            return None
        self.runs.touch(record["run"], moment.at, watching=watching)
        asked = urlencode(sorted(params.items())) if params else ""
        dated = "" if record.get("window") is None else "dated"
        place = (tenant, record["operation"], record["api"], asked, dated)
        subject = self._subjects.get(place)
        if subject is None:
            key = Key(tenant, _text(record["operation"]), record["api"], asked, dated=bool(dated))
            subject = self._subjects[place] = Subject(key, record["server"], self.calendar)
        subject.server = _text(record["server"])
        return subject


def _name(record: Mapping[str, Any]) -> CallName:
    return CallName(record["run"], record["call"], record["slot"])


def _within(moment: Moment, window: Mapping[str, str] | None) -> Moment:
    """Return a moment as one of the month that is asked for."""
    return moment if window is None else moment._replace(month=month_of_window(window["from"]))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a record's names and reasons are text")
    return value
