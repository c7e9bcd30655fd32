"""The loopback server where `loopback.c` does not serve: with TLS, and where there is no compiler.

The same answers, the same judgement, the same verdict; see there. It costs several times
as much CPU per request, so with it the wall may be the server's: CPU per call counts.

    python -m benchmarks.peers.loopback ROWS LATENCY_MS API,API,... [CERTIFICATE KEY]
"""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import ssl
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import cache
from typing import cast
from urllib.parse import parse_qs, urlsplit

DATE = b"Sat, 21 Nov 2026 21:43:47 GMT"
HEAD = (
    "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 21:43:47 GMT\r\nServer: loopback\r\n"
    "Content-Type: application/json\r\nContent-Length: {}\r\nConnection: keep-alive\r\n\r\n"
)
ROW = '{"operation":"00000000000000","description":"Interactions of the month","items":"12","date":"2026-11-21"}'
ENVELOPE = '{{"code":200,"error":null,"msg":"Information found for the current month","data":[{}]}}'
REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@cache
def operation_of(token: str) -> str:
    """Return the vendor's name of the operation that has `token`: FNV-1a, its upper 48 bits."""
    value = 14695981039346656037
    for byte in token.encode():
        value = (value ^ byte) * 1099511628211 % 2**64
    return f"OP{value >> 16:012x}"


def answer(rows: int) -> bytes:
    """Return the answer with `rows` rows, as the first bytes of `loopback.c` have it."""
    body = ENVELOPE.format(",".join([ROW] * rows))
    return (HEAD.format(len(body)) + body).encode()


@dataclass(slots=True)
class Seen:
    """What the server was asked."""

    counts: Counter[str] = field(default_factory=Counter)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    most: int = 0
    first: float = 0.0
    first_cpu: float = 0.0
    last: float = 0.0

    def begin(self, token: str, api: str) -> None:
        """Take in a request."""
        if not self.asked:
            self.first, self.first_cpu = time.monotonic(), _cpu()
        self.counts["overlaps"] += self.unanswered[token] > 0
        self.counts["repeated"] += self.asked[token, api] > 0
        self.asked[token, api] += 1
        self.unanswered[token] += 1
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)

    def end(self, token: str, how: str) -> None:
        """Take in how it ended."""
        self.counts[how] += 1
        self.unanswered[token] -= 1
        self.in_flight -= 1
        self.last = time.monotonic()

    def verdict(self) -> dict[str, float]:
        """Return everything, under the names that `loopback.c` has."""
        names = ["requests", "answered", "connections", "overlaps", "repeated", "abandoned"]
        names += ["no_token", "wrong_path", "pipelined", "body"]
        told: dict[str, float] = {name: self.counts[name] for name in names}
        told |= {"tokens": len({token for token, _ in self.asked}), "most_in_flight": self.most}
        return told | {"cpu": _cpu() - self.first_cpu, "wall": self.last - self.first}


class Loopback(asyncio.Protocol):
    """One connection."""

    def __init__(self, seen: Seen, whole: bytes, latency: float, apis: frozenset[str]) -> None:
        self._seen = seen
        self._whole = whole
        self._latency = latency
        self._apis = apis
        self._buffer = b""
        self._token: str | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by birth
        self._seen.counts["connections"] += 1

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        """Count a request that nobody waits for any more."""
        self._transport = None
        if self._token is not None:
            self._seen.end(self._token, "abandoned")
            self._token = None

    def data_received(self, data: bytes) -> None:
        """Read a request, judge it, answer it: in the next round of the loop, or after the latency."""
        self._buffer += data
        head, over, rest = self._buffer.partition(b"\r\n\r\n")
        if not over and self._token is None:
            return None
        self._buffer = b""
        if rest or self._token is not None:
            return self._refuse("pipelined")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        token, api = headers.get("wolkvox-token"), self._api(line)
        if api is None or not token or {"content-length", "transfer-encoding"} & headers.keys():
            return self._refuse("wrong_path" if api is None else "body" if token else "no_token")
        self._token = token
        self._seen.counts["requests"] += 1
        self._seen.begin(token, api)
        loop = asyncio.get_running_loop()
        if self._latency:
            loop.call_later(self._latency, self._answer)
        else:
            loop.call_soon(self._answer)
        return None

    def _api(self, line: str) -> str | None:
        method, _, rest = line.partition(" ")
        target, _, version = rest.rpartition(" ")
        parts = urlsplit(target)
        api = parse_qs(parts.query).get("api", [""])[0]
        right = method == "GET" and version == "HTTP/1.1" and parts.path.endswith("/api/v2/billing.php")
        return api if right and api in self._apis else None

    def _answer(self) -> None:
        if self._transport is None or self._token is None:
            return
        token, self._token = self._token, None
        dated = self._whole.replace(DATE, formatdate(time.time(), usegmt=True).encode(), 1)
        self._transport.write(dated.replace(b"00000000000000", operation_of(token).encode()))
        self._seen.end(token, "answered")

    def _refuse(self, why: str) -> None:
        self._seen.counts["requests"] += 1
        self._seen.counts[why] += 1
        if self._transport is not None:
            self._transport.write(REFUSAL)
            self._transport.close()


async def serve(arguments: list[str]) -> None:
    """Serve until SIGTERM."""
    rows, latency, apis, *files = arguments
    seen, whole, stop = Seen(), answer(int(rows)), asyncio.Event()
    context = None
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    names = frozenset(apis.split(","))
    server = await loop.create_server(
        lambda: Loopback(seen, whole, float(latency) / 1000, names), "127.0.0.1", 0, ssl=context, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    print(json.dumps(seen.verdict()), flush=True)
    server.close()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _run(arguments: list[str]) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        asyncio.run(serve(arguments))
    else:
        uvloop.run(serve(arguments))


if __name__ == "__main__":
    _run(sys.argv[1:])
