"""Endpoints that a tenants file adds to the catalogue: data, called with GET.

What they are called becomes part of an address, so names are as plain as the vendor's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from wolkvox_async.catalog import Catalog, Dates, Endpoint, Kind
from wolkvox_async.model import Params
from wolkvox_async.spelling import shown

from .complaints import Complaints
from .names import complain_about_text
from .places import Path

_PLAIN: Final = re.compile(r"[a-z0-9_]{1,100}")
_RESERVED: Final = frozenset({"api", "date_ini", "date_end"})

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
    params = _params(item.get("params"), (*path, "params"), complaints)
    interval = _interval(item.get("interval"), (*path, "interval"), complaints)
    counts = item.get("counts", "")
    if not isinstance(counts, str) or (counts and _complained(counts, "counts", (*path, "counts"), complaints)):
        counts = ""
    if file is None or api is None:
        return None
    kind = _choice(Kind, item.get("kind"), Kind.OTHER)
    dates = _choice(Dates, item.get("dates"), Dates.NEVER)
    return Endpoint(api, counts, kind, file=file, dates=dates, params=params, interval=interval)


def _plain_name(value: Any, path: Path, complaints: Complaints) -> str | None:
    if not isinstance(value, str):
        return None
    if _PLAIN.fullmatch(value):
        return value
    complaints.add(path, f"{shown(value)} must be small letters, digits and underscores only, without .php")
    return None


def _params(value: Any, path: Path, complaints: Complaints) -> Params:
    if not isinstance(value, dict):
        return ()
    for name, content in value.items():
        if name in _RESERVED:
            complaints.add((*path, name), f"the parameter {name} is set by the program", on_key=True)
        elif problem := complain_about_text(name, "the parameter"):
            complaints.add((*path, name), problem, on_key=True)
        if isinstance(content, str) and content:
            _complained(content, "the parameter's value", (*path, name), complaints)
    return tuple((name, content) for name, content in value.items() if isinstance(content, str))


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
