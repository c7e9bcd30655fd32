"""Strict reading of HTTP/1.1 request heads. Pure: bytes in, a value or a reason out.

The vendor is only ever asked with a GET without a body, so this reads what such a
request needs and refuses whatever is not exactly a request: folded headers, bare line
feeds, unknown versions, lengths that are no number. One regular expression decides
about the whole head; of the headers only the few that mean something here are kept.

A target says which endpoint is asked for. Targets repeat from call to call, so readers
may remember what `read_target` returned.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from wolkvox_async.model import Params

HEAD_END: Final = b"\r\n\r\n"
MAX_HEAD: Final = 65_536

VERDICT_PATH: Final = "/_simulator"
TRAP_PATH: Final = "/_trap"

_HEAD: Final = re.compile(
    rb"([!#-'*+.^-z|~A-Z0-9-]+) ([!-~]+) HTTP/1\.([01])\r\n((?:[!#-'*+.^-z|~A-Z0-9-]+:[^\r\n\x00]*\r\n)*)"
)
_TOKEN: Final = b"wolkvox-token"
_TELLING: Final = frozenset({_TOKEN, b"content-length", b"transfer-encoding", b"connection", b"host"})
_API_PATH: Final = re.compile(r"(?:/[^?]*)?/api/v2/([a-z_]+)\.php")
_LONG_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Request:
    """What a request head says; `tokens` are the values of its `wolkvox-token` headers."""

    method: str
    target: str
    tokens: tuple[str, ...]
    has_body: bool = False
    close: bool = False

    def __repr__(self) -> str:
        return f"Request({self.method}, {len(self.tokens)} tokens)"


class Aim(Enum):
    """What a target points at."""

    API = "api"
    VERDICT = "verdict"
    TRAP = "trap"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Target:
    """What a request target asks for.

    `api` is the endpoint as records write it, empty when the query names none; `query`
    is everything that distinguishes one call of a token from another, in a fixed order, and
    `asked` the same as pairs. `credential` tells that the target holds what looks like a token.
    """

    aim: Aim
    api: str = ""
    query: str = ""
    until: str = ""
    credential: bool = False
    asked: Params = ()


def read_head(head: bytes) -> Request | None:
    """Read a head up to and without its empty line's end; None when it is no request.

    `head` ends with the line end of its last header.
    """
    matched = _HEAD.fullmatch(head)
    if matched is None:
        return None
    tokens: list[str] = []
    fields: dict[bytes, bytes] = {}
    for line in matched[4].split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.lower()
        if name not in _TELLING:
            continue
        if name == _TOKEN:
            tokens.append(value.strip(b" \t").decode("latin-1"))
        elif name in fields and name != b"connection":
            return None
        else:
            fields[name] = fields.get(name, b"") + value.strip(b" \t")
    return _judged(matched, tuple(tokens), fields)


def _judged(matched: re.Match[bytes], tokens: tuple[str, ...], fields: dict[bytes, bytes]) -> Request | None:
    length = fields.get(b"content-length", b"0")
    if not length.isdigit() or (matched[3] == b"1" and b"host" not in fields):
        return None
    has_body = length.strip(b"0") != b"" or b"transfer-encoding" in fields
    close = matched[3] == b"0" or b"close" in fields.get(b"connection", b"").lower()
    return Request(matched[1].decode(), matched[2].decode(), tokens, has_body, close)


def read_target(text: str) -> Target:
    """Read a request target, in origin or absolute form."""
    parts = urlsplit(text)
    credential = looks_like_credential(text)
    if parts.path.rstrip("/") == VERDICT_PATH:
        return Target(Aim.VERDICT, credential=credential)
    if parts.path.startswith(TRAP_PATH):
        return Target(Aim.TRAP, credential=credential)
    matched = _API_PATH.fullmatch(parts.path)
    if matched is None:
        return Target(Aim.ELSEWHERE, query=parts.path[:200], credential=credential)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    asked = dict(pairs)
    api = asked.get("api", "")
    name = api if matched[1] == "billing" or not api else f"{matched[1]}/{api}"
    query = "&".join(f"{key}={value}" for key, value in sorted(pairs))
    return Target(Aim.API, name, f"{matched[1]}?{query}", asked.get("date_end", ""), credential, tuple(pairs))


def looks_like_credential(text: str) -> bool:
    """Tell whether an address carries a token: by the header's name, or as long hexadecimal text."""
    plain = unquote(text)
    return "wolkvox-token" in plain.lower().replace("_", "-") or _LONG_HEX.search(plain) is not None
