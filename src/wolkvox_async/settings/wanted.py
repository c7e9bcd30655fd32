"""Lists of `apis`: which endpoints an operation is asked for, and from when to when.

The same list in 100,000 operations becomes one tuple. Dates are checked in the
timezone of the operation that they are asked for, so a list is read once per timezone.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any, Final, TypeAlias

from wolkvox_async.catalog import Catalog, Dates, Endpoint
from wolkvox_async.planning import MONTH_WORDS, DateRange, MonthWord, Wanted
from wolkvox_async.spelling import looks_like_a_token, shown
from wolkvox_async.windows import parse_end, parse_start, timezone

from .complaints import Complaints
from .places import Path

DEFAULT_APIS: Final = ("interactions", "gamification")

_LONGEST_DATE: Final = 40
_Key: TypeAlias = tuple[Any, ...]


class WantedReader:
    """Reads lists of `apis`; equal lists come back as one tuple."""

    __slots__ = ("_catalog", "_complaints", "_names", "_now", "_read", "_shared")

    def __init__(self, catalog: Catalog, now: datetime, complaints: Complaints) -> None:
        """Take what names mean, the moment (aware) after which no range may start, and where to complain."""
        self._catalog: Final = catalog
        self._names: Final = catalog.names()
        self._now: Final = now
        self._complaints: Final = complaints
        # At most as many as there are different lists, by zone, in the file that was read.
        self._read: dict[tuple[_Key, str], tuple[Wanted, ...]] = {}
        self._shared: dict[_Key, tuple[Wanted, ...]] = {}

    def read(self, apis: list[Any], zone: str, path: Path) -> tuple[Wanted, ...]:
        """Return what the list at `path` asks for, its dates checked in the timezone `zone`."""
        key = tuple(_raw(item) for item in apis)
        known = self._read.get((key, zone))
        if known is not None:
            return known
        before = len(self._complaints)
        wanted = self._read_list(apis, timezone(zone), path)
        if len(self._complaints) > before:
            return wanted
        shared = self._shared.setdefault(key, wanted)
        self._read[key, zone] = shared
        return shared

    def _read_list(self, apis: list[Any], zone: tzinfo, path: Path) -> tuple[Wanted, ...]:
        if not apis:
            self._complaints.add(path, "apis is empty: name at least one endpoint, or leave apis out")
        wanted: dict[str, Wanted] = {}
        places: dict[str, Path] = {}
        for number, item in enumerate(apis):
            place = (*path, number)
            found = self._read_item(item, zone, place)
            if found is None:
                continue
            name = found.endpoint.name
            if name in wanted:
                self._complaints.add(place, f"the endpoint {shown(name)} stands twice in this list", first=places[name])
            wanted.setdefault(name, found)
            places.setdefault(name, place)
        return tuple(each for one in wanted.values() for each in one.variants())

    def _read_item(self, item: Any, zone: tzinfo, path: Path) -> Wanted | None:
        match item:
            case str(name):
                endpoint = self._endpoint(name, path)
                return Wanted(endpoint) if endpoint else None
            case {"api": str(name)}:
                endpoint = self._endpoint(name, (*path, "api"))
                dates = _DateReader(self._complaints, path, zone, self._now).read(item)
                if endpoint and dates and endpoint.dates is Dates.NEVER:
                    self._complaints.add(path, f"the endpoint {shown(endpoint.name)} takes no dates")
                return Wanted(endpoint, dates) if endpoint else None
            case _:
                return None

    def _endpoint(self, name: str, path: Path) -> Endpoint | None:
        endpoint = self._catalog.get(name)
        if endpoint is None:
            hint = self._complaints.propose(name.removeprefix("billing/"), self._names)
            self._complaints.add(path, f"no endpoint is called {shown(name)}{hint}")
        return endpoint


class _DateReader:
    """Reads what one entry of `apis` says about dates."""

    __slots__ = ("_complaints", "_now", "_path", "_zone")

    def __init__(self, complaints: Complaints, path: Path, zone: tzinfo, now: datetime) -> None:
        self._complaints: Final = complaints
        self._path: Final = path
        self._zone: Final = zone
        self._now: Final = now

    def read(self, item: dict[str, Any]) -> DateRange | MonthWord | None:
        """Return the dates of `item`; what is wrong with them is complained about."""
        start, end, window = (_text(item, key) for key in ("from", "to", "window"))
        if window is not None and (start is not None or end is not None):
            self._complain("window", "window is a whole month: it stands without from and to")
            return None
        word = _month_word(window if window is not None else start)
        if word is not None:
            return self._whole_month(word, end)
        if start is None:
            if end is not None and "from" not in item:
                self._complain("to", "to needs a from")
            return None
        return self._range(start, end)

    def _whole_month(self, word: MonthWord, end: str | None) -> MonthWord | None:
        if end is None or end == word:
            return word
        self._complain("to", f"from is the whole month {word}: it stands without to")
        return None

    def _range(self, start: str, end: str | None) -> DateRange | None:
        dates = DateRange(start, end)
        whole = self._is_date("from", start)
        whole = (end is None or self._is_date("to", end)) and whole
        if whole:
            self._check_order(dates)
        return dates

    def _is_date(self, key: str, text: str) -> bool:
        problem = _problem_with_date(text, self._zone, last=key == "to")
        if problem is None:
            return True
        self._complain(key, problem + self._complaints.propose(text, MONTH_WORDS))
        return False

    def _check_order(self, dates: DateRange) -> None:
        try:
            dates.window(self._now.astimezone(self._zone))
        except ValueError as error:
            self._complain("from", str(error))

    def _complain(self, key: str, message: str) -> None:
        self._complaints.add((*self._path, key), message)


def _problem_with_date(text: str, zone: tzinfo, *, last: bool) -> str | None:
    try:
        if len(text) <= _LONGEST_DATE and not looks_like_a_token(text):
            (parse_end if last else parse_start)(text, zone)
            return None
    except ValueError as error:
        return str(error)
    return f"{shown(text)} is not a date: write 2026-11-30, 2026-11-30T08:00:00 or 20261130080000"


def _month_word(text: str | None) -> MonthWord | None:
    return next((word for word in MONTH_WORDS if word == text), None)


def _text(item: dict[str, Any], key: str) -> str | None:
    value = item.get(key)
    return value if isinstance(value, str) else None


def _raw(item: Any) -> Any:
    """Return what makes `item` differ from others, as something that can be compared and hashed."""
    if isinstance(item, dict):
        return tuple(_plain(item.get(key)) for key in ("api", "from", "to", "window"))
    return _plain(item)


def _plain(value: Any) -> Any:
    # What is neither text nor absent has been complained about; here it only must not look like either.
    return value if value is None or isinstance(value, str) else False
