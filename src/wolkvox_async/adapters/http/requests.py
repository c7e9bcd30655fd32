"""Where a call's request goes and what it says.

The base URL is a template in which `{server}` may stand in host, port or path, or
nowhere. The request head is put together by hand: every header in it is meant. The
token is added in the moment of writing and stays in no variable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from wolkvox_async.model import Call, Token

API_PATH: Final = "/api/v2/"


@dataclass(frozen=True, slots=True)
class Address:
    """One server: the origin to connect to, the `Host` header and the path before the API's."""

    origin: str
    host: str
    path: str


@dataclass(frozen=True, slots=True, repr=False)
class RequestHead:
    """A request without a body, ready but for the token."""

    before: bytes
    token: Token
    after: bytes

    def encode(self) -> bytes:
        """Return the bytes to write; keep them in no variable."""
        return b"%b%b%b" % (self.before, self.token.reveal().encode("ascii"), self.after)


def address(template: str, server: str) -> Address:
    """Fill in the template for `server`; the template was checked with the settings."""
    parts = urlsplit(template.replace("{server}", quote(server, safe="")))
    return Address(f"{parts.scheme}://{parts.netloc}", parts.netloc, parts.path.rstrip("/"))


def request_head(call: Call, at: Address, *, user_agent: str, encodings: str, proxy_lines: str | None) -> RequestHead:
    """Build the head; `proxy_lines` (maybe empty) is given when a proxy relays plain HTTP."""
    target = f"{at.path}{API_PATH}{call.file}.php?{urlencode(call.query)}"
    if proxy_lines is not None:
        target = at.origin + target
    after = (
        f"\r\nAccept: application/json\r\nAccept-Encoding: {encodings}\r\n"
        f"User-Agent: {user_agent}\r\n{proxy_lines or ''}\r\n"
    )
    before = f"GET {target} HTTP/1.1\r\nHost: {at.host}\r\nwolkvox-token: "
    return RequestHead(before.encode("ascii"), call.operation.token, after.encode("ascii"))
