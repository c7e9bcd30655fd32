"""Requests out of bytes: where one ends, what it asks, and where in it tokens stand. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode

TOKEN_HEADER: Final = "wolkvox-token"

_HEAD_END: Final = b"\r\n\r\n"
_WORD: Final = re.compile(r"[A-Za-z0-9_.~-]{8,}")
_PATH: Final = re.compile(r"(?:/(?P<server>[^/]+))?/api/v2/[a-z_]+\.php")
_LENGTH: Final = re.compile(rb"^content-length:[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE)

Known = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Request:
    """What a request says; `server` is "" unless its path names one, `tokens` are those under the right header."""

    server: str
    api: str
    query: str
    tokens: tuple[str, ...]
    strays: tuple[str, ...]


def split(received: bytes | bytearray) -> int:
    """Return how many of the bytes make up the first request, 0 while it is not whole."""
    head = received.find(_HEAD_END)
    if head < 0:
        return 0
    length = _LENGTH.search(received, 0, head)
    whole = head + len(_HEAD_END) + (int(length[1]) if length else 0)
    return whole if len(received) >= whole else 0


def read(raw: bytes | bytearray, is_token: Known) -> Request:
    """Read a whole request; `is_token` tells whether a word is a token that somebody was given."""
    head, _, body = bytes(raw).decode("latin-1").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    target = first.split(" ")[1] if first.count(" ") >= 2 else first
    path, _, search = target.partition("?")
    headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    asked = sorted(parse_qsl(search, keep_blank_values=True))
    found = _PATH.search(path)
    return Request(
        server=_hushed((found["server"] or "") if found else "", is_token),
        api=_hushed(next((value for name, value in asked if name == "api"), ""), is_token),
        query=_hushed(urlencode([(name, value) for name, value in asked if name != "api"]), is_token),
        tokens=tuple(value for name, value in headers if name == TOKEN_HEADER),
        strays=tuple(_strays(first, headers, body, is_token)),
    )


def _strays(first: str, headers: list[tuple[str, str]], body: str, is_token: Known) -> Iterator[str]:
    if _holds(unquote(first), is_token):
        yield "address"
    yield from (f"header {name}" for name, value in headers if name != TOKEN_HEADER and _holds(value, is_token))
    if _holds(body, is_token):
        yield "body"


def _holds(text: str, is_token: Known) -> bool:
    return any(is_token(word) for word in _WORD.findall(text))


def _hushed(text: str, is_token: Known) -> str:
    """Return the text without tokens: what is read here gets written down."""
    return _WORD.sub(lambda word: "(a token)" if is_token(word[0]) else word[0], text)
