"""Where a call's request goes and what it says.

The base URL is a template in which `{server}` may stand in host, port or path, or
nowhere. The request head is put together by hand: every header in it is meant. What is
the same in every request of a connection (its frame) is made once, what is the same for
many calls (their target) is remembered; the token is added in the moment of writing and
stays in no variable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from wolkvox_async.model import Call, Params, Token

API_PATH: Final = "/api/v2/"

_MOST_TARGETS: Final = 256
_LONGEST_TARGET: Final = 1_024


@dataclass(frozen=True, slots=True)
class Address:
    """One server: the origin to connect to, the `Host` header and the path before the API's."""

    origin: str
    host: str
    path: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands before, between and behind target and token, in every request of a connection."""

    before: bytes
    between: bytes
    behind: bytes

    def request(self, target: bytes, token: Token) -> bytes:
        """Return the bytes to write; keep them in no variable."""
        return b"".join((self.before, target, self.between, token.reveal().encode("ascii"), self.behind))


class Targets:
    """What calls ask for, as their requests say it, behind the server's own path; remembers `_MOST_TARGETS`."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: Final[dict[tuple[str, Params], bytes]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def of(self, call: Call) -> bytes:
        """Return the target of `call`."""
        key = call.file, call.query
        found = self._known.get(key)
        if found is None:
            found = f"{call.file}.php?{urlencode(call.query)}".encode("ascii")
            self._remember(key, found)
        return found

    def _remember(self, key: tuple[str, Params], target: bytes) -> None:
        if len(target) <= _LONGEST_TARGET:
            if len(self._known) >= _MOST_TARGETS:
                del self._known[next(iter(self._known))]
            self._known[key] = target


def address(template: str, server: str) -> Address:
    """Fill in the template for `server`; the template was checked with the settings."""
    parts = urlsplit(template.replace("{server}", quote(server, safe="")))
    return Address(f"{parts.scheme}://{parts.netloc}", parts.netloc, parts.path.rstrip("/"))


def frame(at: Address, *, user_agent: str, encodings: str, proxy_lines: str | None) -> Frame:
    """Build the frame of a connection; `proxy_lines` (maybe empty) is given when a proxy relays plain HTTP."""
    origin = "" if proxy_lines is None else at.origin
    behind = (
        f"\r\nAccept: application/json\r\nAccept-Encoding: {encodings}\r\n"
        f"User-Agent: {user_agent}\r\n{proxy_lines or ''}\r\n"
    )
    before = f"GET {origin}{at.path}{API_PATH}"
    between = f" HTTP/1.1\r\nHost: {at.host}\r\nwolkvox-token: "
    return Frame(before.encode("ascii"), between.encode("ascii"), behind.encode("ascii"))
