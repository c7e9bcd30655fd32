"""Endpoints that a tenants file adds to the catalogue: data, called with GET.

What they are called becomes part of an address, so names are as plain as the vendor's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from wolkvox_async.catalog import Catalog, Choices, Dates, Endpoint, Kind
from wolkvox_async.model import DATE_NAMES, MOST_ROWS, DateNames, Params
from wolkvox_async.spelling import complain_about_text, shown

from .complaints import Complaints
from .places import Path

_PLAIN: Final = re.compile(r"[a-z0-9_]{1,100}")
_API: Final = "api"  # the parameter that names the endpoint
_DAYS: Final = range(1, 367)
_MOST_CALLS: Final = 1_000  # that the lists of one endpoint come to
_DATED_ONLY: Final = ("days", "date_names")

_Choice = TypeVar("_Choice", Kind, Dates)


def read_catalog(items: list[Any], complaints: Complaints) -> Catalog:
    """Return the catalogue with the endpoints that `items`, the list `endpoints`, adds."""
    built_in = Catalog()
    added: dict[str, Endpoint] = {}
    places: dict[str, Path] = {}
    for number, item in enumerate(items):
        path: Path = ("endpoints", number)
        endpoint = _read_endpoint(item, path, complaints) if isinstance(item, dict) else None
        if endpoint is None:
            continue
        name, place = endpoint.name, (*path, "api")
        if built_in.get(name):
            complaints.add(place, f"the endpoint {shown(name)} is built in")
        elif name in added:
            complaints.add(place, f"the endpoint {shown(name)} stands twice", first=places[name])
        else:
            added[name] = endpoint
            places[name] = place
    return Catalog(added.values())


def _read_endpoint(item: Mapping[str, Any], path: Path, complaints: Complaints) -> Endpoint | None:
    file = _plain_name(item.get("file", "billing"), (*path, "file"), complaints)
    api = _plain_name(item.get("api"), (*path, "api"), complaints)
    dates = _read_dates(item, path, complaints)
    params, choices = _Params(item, path, dates.names, complaints).read()
    interval = _interval(item.get("interval"), (*path, "interval"), complaints)
    most_rows = _whole_number(item, "most_rows", path, complaints)
    counts = item.get("counts", "")
    if not isinstance(counts, str) or (counts and _complained(counts, "counts", (*path, "counts"), complaints)):
        counts = ""
    if file is None or api is None:
        return None
    return Endpoint(
        api,
        counts,
        _choice(Kind, item.get("kind"), Kind.OTHER),
        file,
        dates.taken,
        params,
        interval,
        choices,
        dates.days,
        dates.names,
        most_rows or MOST_ROWS,
    )


def _plain_name(value: Any, path: Path, complaints: Complaints) -> str | None:
    if not isinstance(value, str):
        return None
    if _PLAIN.fullmatch(value):
        return value
    complaints.add(path, f"{shown(value)} must be small letters, digits and underscores only, without .php")
    return None


# --- dates ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Dates:
    """Whether an endpoint takes dates, for how many days at a time, and what they are called."""

    taken: Dates
    days: int | None
    names: DateNames


def _read_dates(item: Mapping[str, Any], path: Path, complaints: Complaints) -> _Dates:
    taken = _choice(Dates, item.get("dates"), Dates.NEVER)
    for key in _DATED_ONLY:
        if key in item and item.get("dates", "never") == "never":
            complaints.add(
                (*path, key), f'{key} is for endpoints that take dates: add "dates": "required"', on_key=True
            )
    days = _whole_number(item, "days", path, complaints)
    if days is not None and days not in _DAYS:
        complaints.add((*path, "days"), f"days must be at most {_DAYS[-1]}, not {days}")
    return _Dates(taken, days, _date_names(item.get("date_names"), (*path, "date_names"), complaints))


def _date_names(value: Any, path: Path, complaints: Complaints) -> DateNames:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return DATE_NAMES
    if len(value) != 2 or value[0] == value[1] or _API in value:
        complaints.add(path, 'date_names must be two names, for example ["date_ini", "date_end"]')
        return DATE_NAMES
    for number, name in enumerate(value):
        if problem := complain_about_text(name, "the name of a date"):
            complaints.add((*path, number), problem)
    return value[0], value[1]


# --- parameters -----------------------------------------------------------------------


class _Params:
    """Reads the parameters of an endpoint: those with one value, and those with several."""

    def __init__(self, item: Mapping[str, Any], path: Path, date_names: DateNames, complaints: Complaints) -> None:
        value = item.get("params")
        self._given: Final = value if isinstance(value, dict) else {}
        self._path: Final[Path] = (*path, "params")
        self._reserved: Final = frozenset({_API, *DATE_NAMES, *date_names})
        self._complaints: Final = complaints

    def read(self) -> tuple[Params, Choices]:
        """Return them; what is wrong with them is complained about."""
        for name, content in self._given.items():
            self._check_name(name)
            if isinstance(content, list):
                self._check_list(name, content)
            else:
                self._check_value(content, (*self._path, name))
        fixed = tuple((name, content) for name, content in self._given.items() if isinstance(content, str))
        choices = tuple(
            (name, tuple(value for value in content if isinstance(value, str)))
            for name, content in self._given.items()
            if isinstance(content, list)
        )
        calls = math.prod(len(values) for _, values in choices)
        if calls > _MOST_CALLS:
            self._complaints.add(self._path, f"these lists come to {calls} calls: at most {_MOST_CALLS} are allowed")
            return fixed, ()
        return fixed, choices

    def _check_name(self, name: str) -> None:
        if name in self._reserved:
            self._complaints.add((*self._path, name), f"the parameter {name} is set by the program", on_key=True)
        elif problem := complain_about_text(name, "the parameter"):
            self._complaints.add((*self._path, name), problem, on_key=True)

    def _check_list(self, name: str, values: list[Any]) -> None:
        place = (*self._path, name)
        if not values:
            self._complaints.add(place, f"the parameter {shown(name)} has no values: name at least one")
        first: dict[str, Path] = {}
        for number, value in enumerate(values):
            self._check_value(value, (*place, number))
            if isinstance(value, str) and first.setdefault(value, (*place, number)) != (*place, number):
                message = f"the value {shown(value)} stands twice in this list"
                self._complaints.add((*place, number), message, first=first[value])

    def _check_value(self, value: Any, place: Path) -> None:
        if isinstance(value, str) and value:
            _complained(value, "the parameter's value", place, self._complaints)


def _whole_number(item: Mapping[str, Any], key: str, path: Path, complaints: Complaints) -> int | None:
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    if value < 1:
        complaints.add((*path, key), f"{key} must be at least 1, not {value}")
        return None
    return value


def _interval(value: Any, path: Path, complaints: Complaints) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not math.isfinite(value) or value < 0:
        complaints.add(path, "interval must be a number of seconds, at least 0")
        return None
    return float(value)


def _choice(choices: Callable[[str], _Choice], value: Any, default: _Choice) -> _Choice:
    try:
        return choices(value)
    except ValueError:
        return default


def _complained(text: str, noun: str, path: Path, complaints: Complaints) -> bool:
    problem = complain_about_text(text, noun)
    if problem:
        complaints.add(path, problem)
    return problem is not None
