r"""Configuration text as `nats-server` reads it.

Its own language takes `"..."` with the escapes `\\`, `\"` and `\xHH`, one byte each; within
quotes nothing else has a meaning, neither `$NAME` nor `#`. So every byte that is not plain
ASCII is written as `\xHH`, and a path may hold whatever a file system takes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

Scalar: TypeAlias = str | int | bool
Value: TypeAlias = "Scalar | Sequence[str | Mapping[str, Scalar]] | Mapping[str, Value]"


def quoted(text: str) -> str:
    """Return `text` as a string of that language; paths that are no UTF-8 keep their bytes."""
    return '"' + "".join(map(_written, os.fsencode(text))) + '"'


def _written(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02x}"


def rendered(block: Mapping[str, Value]) -> str:
    """Return `block` as configuration text, one setting a line."""
    return "".join(f"{line}\n" for line in _lines(block, ""))


def _lines(block: Mapping[str, Value], indent: str) -> Iterator[str]:
    for name, value in block.items():
        if isinstance(value, Mapping):
            yield f"{indent}{name} {{"
            yield from _lines(value, f"{indent}  ")
            yield f"{indent}}}"
        else:
            yield f"{indent}{name}: {_plain(value)}"


def _plain(value: Scalar | Sequence[str | Mapping[str, Scalar]]) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return quoted(value)
    return f"[{', '.join(map(_item, value))}]"


def _item(item: str | Mapping[str, Scalar]) -> str:
    if isinstance(item, str):
        return quoted(item)
    return f"{{{', '.join(f'{name}: {_plain(value)}' for name, value in item.items())}}}"
