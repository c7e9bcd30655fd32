"""Questions to a broker's JetStream, over a plain socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final

from .proxy import HOST

_PATIENCE: Final = 3.0
_LONGEST: Final = 1 << 20


async def ask(port: int, credentials: Path, subject: str, request: object = None) -> dict[str, Any]:
    """Return the answer to a request to `$JS.API.<subject>`; empty when there is none within 3 s."""
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(HOST, port, limit=_LONGEST)
            try:
                return await _exchange(reader, writer, credentials, subject, request)
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return {}


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, credentials: Path, subject: str, request: object
) -> dict[str, Any]:
    user, _, password = credentials.read_text().strip().partition(":")  # noqa: ASYNC240 - a small file
    login = json.dumps({"verbose": False, "pedantic": False, "user": user, "pass": password}).encode()
    body = b"" if request is None else json.dumps(request).encode()
    writer.write(b"CONNECT %b\r\nSUB back 1\r\n" % login)
    writer.write(b"PUB $JS.API.%b back %d\r\n%b\r\n" % (subject.encode(), len(body), body))
    while not (head := await reader.readline()).startswith(b"MSG"):
        if not head or head.startswith(b"-ERR"):
            return {}
        if head.startswith(b"PING"):
            writer.write(b"PONG\r\n")
    answer: dict[str, Any] = json.loads(await reader.readexactly(int(head.split()[-1])))
    return answer
