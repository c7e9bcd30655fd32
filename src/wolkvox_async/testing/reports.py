"""What the simulated vendor has beyond billing: reports with dates, and lists without. Pure.

A report has rows that happened at some second. Which those are follows from the operation's
salt, the report's name, the parameters and the day alone, so a test can ask the books (`rows`)
what any window holds. The vendor answers with the first `most_rows` of them and does not say
that there are more; a range of more days than it allows is refused (the words are a GUESS).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from wolkvox_async.model import DATE_NAMES, MOST_ROWS, DateNames, Params
from wolkvox_async.windows import VENDOR_FORMAT, Window

from .answers import NO_PARAMETERS, Reply, envelope, refused_range
from .faults import Effect
from .population import SimulatedOperation

_SECOND: Final = timedelta(seconds=1)
_DAY_SECONDS: Final = 86_400
_NOON: Final = 43_200
_SHOWN: Final = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class Report:
    """One endpoint beyond billing, written `file/api`.

    `rows` is how many there are a day, or in all without `dates`; `rush` of a day's come in
    the one second at noon. `params` are those that have to be sent. With `dates` a range may
    touch at most so many `days`.
    """

    name: str
    rows: int = 24
    rush: int = 0
    dates: DateNames | None = DATE_NAMES
    days: int = 31
    most_rows: int = MOST_ROWS
    params: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The vendor's file without `.php`."""
        return self.name.partition("/")[0]

    @property
    def api(self) -> str:
        """The vendor's name for it."""
        return self.name.partition("/")[2]


REPORTS: Final = (
    Report("reports_manager/cdr_1", rows=120),
    Report("reports_manager/chat_1", rows=40),
    Report("reports_manager/agent_1", rows=8, days=1),
    Report("reports_manager/agent_14", rows=60),
    Report("reports_manager/skill_7", rows=12, params=("skill_id",)),
    Report("reports_manager/campaign_7", rows=30, params=("campaign_id",)),
    Report("information/agents", rows=8, dates=None),
    Report("information/campaigns", rows=3, dates=None),
    Report("real_time/campaigns", rows=3, dates=None),
    Report("real_time/calls_last_10", rows=5, dates=None),
    Report("customer/query", rows=6),  # GUESS: the name
    Report("campaign/detail", rows=20, params=("type_campaign", "campaign_id")),
)
"""What exists unless a profile says otherwise."""


def rows(report: Report, operation: SimulatedOperation, window: Window | None, asked: Params = ()) -> Iterator[Any]:
    """Yield every row of a report, in the order of time: the books, whatever is cut off on the way.

    `asked` are the parameters beside the endpoint's name and the dates.
    """
    chosen = {name: value for name, value in asked if name in report.params}
    if window is None or report.dates is None:
        yield from (_row(report, operation, chosen, number, "") for number in range(report.rows))
        return
    day = window.start.date()
    while day <= (window.end - _SECOND).date():
        for number, second in enumerate(_seconds(report, operation.salt, chosen, day)):
            at = datetime(day.year, day.month, day.day, tzinfo=window.start.tzinfo) + second * _SECOND
            if window.start <= at < window.end:
                yield _row(report, operation, chosen, number, at.strftime(_SHOWN))
        day += timedelta(days=1)


def answer(report: Report, operation: SimulatedOperation, asked: Params, zone: Any) -> Reply:
    """Answer a request with these parameters, as the vendor does."""
    given = dict(asked)
    if any(name not in given for name in report.params):
        return NO_PARAMETERS
    window = None
    if report.dates is not None:
        found = _range(report, report.dates, given, zone)
        if isinstance(found, Reply):
            return found
        window = found
    sent = [row for row, _ in zip(rows(report, operation, window, asked), range(report.most_rows), strict=False)]
    if not sent:
        return Reply(404, envelope(404, "NOT FOUND", "Validate dates entered", []), Effect.GRANTED)
    body = envelope(200, None, f"{len(sent)} records were found", sent)
    return Reply(200, body, Effect.GRANTED, len(sent))


def endpoint(report: Report) -> dict[str, Any]:
    """Return the entry of `endpoints` in a tenants file that describes it."""
    entry: dict[str, Any] = {"file": report.file, "api": report.api}
    if report.dates is not None:
        entry |= {"dates": "required", "days": report.days}
        if report.dates != DATE_NAMES:
            entry["date_names"] = list(report.dates)
    if report.most_rows != MOST_ROWS:
        entry["most_rows"] = report.most_rows
    if report.params:
        entry["params"] = dict.fromkeys(report.params, "all")
    return entry


def _range(report: Report, names: DateNames, given: Mapping[str, str], zone: Any) -> Window | Reply:
    try:
        first, last = (datetime.strptime(given[name], VENDOR_FORMAT).replace(tzinfo=zone) for name in names)
        window = Window(first, last + _SECOND)
    except (KeyError, ValueError):
        return NO_PARAMETERS
    days = (last.date() - first.date()).days + 1
    return window if days <= report.days else refused_range(report.days)


def _seconds(report: Report, salt: int, chosen: Mapping[str, str], day: date) -> list[int]:
    seed = f"{report.name}?{urlencode(chosen)} {day.isoformat()}"
    calm = [zlib.crc32(f"{seed} {number}".encode(), salt) % _DAY_SECONDS for number in range(report.rows - report.rush)]
    return sorted([*calm, *[_NOON] * report.rush])


def _row(report: Report, operation: SimulatedOperation, chosen: Mapping[str, str], number: int, at: str) -> Any:
    told = f"{report.name}?{urlencode(chosen)} {at[:10]} {number}"
    dated = {"date": at} if at else {}
    return {
        "operation": operation.vendor_name,
        "conn_id": f"{zlib.crc32(told.encode(), operation.salt):08x}-{number}",
        **dated,
        **chosen,
    }
