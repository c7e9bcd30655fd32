"""What a model found wrong with types and keys, in the words of somebody who writes JSON.

Values are not quoted: any of them may be a token in the wrong place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypedDict

from pydantic import BaseModel, ValidationError

from wolkvox_async.spelling import kind_of, shown

from .complaints import Complaints
from .places import Path
from .shapes import (
    TAGS,
    ApiShape,
    DefaultsShape,
    EndpointShape,
    FileShape,
    KeyringShape,
    OperationShape,
    TenantShape,
    TokenShape,
)


class _Part(TypedDict):
    """What is called how, and which keys it may have."""

    noun: str
    shape: type[BaseModel]


# By the key that it stands under, or in whose list it stands; the file itself has none.
_PARTS: Final[Mapping[str, _Part]] = {
    "": {"noun": "the file", "shape": FileShape},
    "defaults": {"noun": "defaults", "shape": DefaultsShape},
    "tenants": {"noun": "the tenant", "shape": TenantShape},
    "operations": {"noun": "the operation", "shape": OperationShape},
    "endpoints": {"noun": "the endpoint", "shape": EndpointShape},
    "apis": {"noun": "the entry of apis", "shape": ApiShape},
    "token": {"noun": "the token's reference", "shape": TokenShape},
    "keyring": {"noun": "the keyring entry", "shape": KeyringShape},
}

# What stands under these keys is named by the user.
_NAMED: Final[Mapping[str | int, str]] = {"labels": "the label", "params": "the parameter"}

_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "text in double quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "list_type": "a list in [ ]",
    "dict_type": "an object in { }",
    "model_type": "an object in { }",
    "model_attributes_type": "an object in { }",
}


def check(shape: type[BaseModel], value: Any, at: Path, complaints: Complaints) -> None:
    """Check the types and keys of `value`, which stands at `at`, and complain about what is wrong."""
    try:
        shape.__pydantic_validator__.validate_python(value)
    except ValidationError as error:
        _explain(error, value, at, complaints)


def _explain(error: ValidationError, value: Any, at: Path, complaints: Complaints) -> None:
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        location = detail["loc"]
        inner = tuple(part for part in location if part not in TAGS)
        match detail["type"]:
            case "missing":
                complaints.add(at + inner[:-1], f"{_owner(at + inner[:-1])} has no {inner[-1]}")
            case "extra_forbidden":
                _explain_unknown_key(at + inner, complaints)
            case "literal_error":
                _explain_choice(at + inner, complaints)
            case kind:
                message = _wrong_type(at + inner, kind, _follow(value, inner), tagged=location[-1:] != inner[-1:])
                complaints.add(at + inner, message)


def _explain_unknown_key(path: Path, complaints: Complaints) -> None:
    part, key = _part(path[:-1]), str(path[-1])
    if key == "method" and part is _PARTS["endpoints"]:
        complaints.add(path, "endpoints have no method: only GET is ever sent", on_key=True)
        return
    known = _keys(part["shape"]) if part else ()
    hint = complaints.propose(key, known) or (f": {_owner(path[:-1])} knows {', '.join(known)}" if known else "")
    complaints.add(path, f"unknown key {shown(key)}{hint}", on_key=True)


def _explain_choice(path: Path, complaints: Complaints) -> None:
    part, key = _part(path[:-1]), str(path[-1])
    choices = _choices(part["shape"], key) if part else ()
    complaints.add(path, f"{key} must be {' or '.join(choices)}")


def _wrong_type(path: Path, kind: str, value: Any, *, tagged: bool) -> str:
    expected = _EXPECTED.get(kind, "something else")
    if tagged:
        expected = f"text in double quotes or {expected}"
    met = str(value) if kind == "int_type" and isinstance(value, float) else kind_of(value)
    return f"{_noun(path)} must be {expected}, not {met}{_server_hint(path, value)}"


def _server_hint(path: Path, value: Any) -> str:
    if path[-1:] == ("server",) and type(value) is int and 0 <= value <= 9999:
        return f': write "{value:04d}"'
    return ""


def _owner(path: Path) -> str:
    """Name what stands at `path`, as something that has keys."""
    part = _part(path)
    return part["noun"] if part else _noun(path)


def _noun(path: Path) -> str:
    """Name what stands at `path`, as the value of its key."""
    if len(path) > 1 and isinstance(path[-1], str) and path[-2] in _NAMED:
        return f"{_NAMED[path[-2]]} {shown(path[-1])}"
    if len(path) > 2 and isinstance(path[-1], int) and path[-3] in _NAMED:
        return f"each value of {_NAMED[path[-3]]} {shown(str(path[-2]))}"
    if path[-2:-1] == ("date_names",):
        return "each of date_names"
    if path and path[-1] in ("tenants", "operations", "endpoints", "apis", "token", "keyring"):
        return str(path[-1])
    if path[-2:-1] == ("command",):
        return "each word of a command"
    part = _part(path)
    return part["noun"] if part else str(path[-1])


def _part(path: Path) -> _Part | None:
    key = next((part for part in reversed(path[-2:]) if isinstance(part, str)), "")
    if path and isinstance(path[-1], str) and path[-1] not in ("defaults", "token", "keyring"):
        return None
    return _PARTS.get(key)


def _keys(shape: type[BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in shape.model_fields.items())


def _choices(shape: type[BaseModel], key: str) -> tuple[str, ...]:
    annotation = shape.model_fields[key].annotation
    return tuple(getattr(annotation, "__args__", ()))


def _follow(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value
