"""What lies below a protocol: sockets, bytes in the kernel that the event loop has not seen, TLS buffers."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final

# Rounds of the event loop until a protocol knows what the kernel has: one to poll, one to
# deliver, two more until a transport that broke has told the TLS layer and that has told us.
_ROUNDS_TO_DELIVER: Final = 4


def unread(transport: asyncio.Transport) -> Callable[[], object]:
    """Return what asks the kernel whether `transport`, which must be open, has anything to read.

    The event loop may not have looked since the last answer.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or not hasattr(select, "poll"):
        return _perhaps
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return partial(poll.poll, 0)


def _perhaps() -> bool:
    return True


async def connected(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    """Connect to an IP address, on a loop that watches descriptors; raises OSError."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await _connect(loop, sock, (host, port))
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect(loop: asyncio.AbstractEventLoop, sock: socket.socket, to: tuple[str, int]) -> None:
    error = sock.connect_ex(to)
    if error == errno.EINPROGRESS:
        await _writable(loop, sock)
        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))


async def _writable(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    ready = loop.create_future()
    descriptor = sock.fileno()  # for the socket itself asyncio makes up a message that costs system calls
    loop.add_writer(descriptor, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_writer(descriptor)


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def delivered() -> None:
    """Wait until the event loop has delivered what the kernel has now."""
    for _ in range(_ROUNDS_TO_DELIVER):
        await asyncio.sleep(0)


def hold_back(transport: asyncio.Transport) -> None:
    """Stop reading a transport that was paused, its socket too; call it when nothing is being read.

    A TLS transport that is paused goes on reading its socket until it has half a MiB, and
    uvloop's forgets all of that when the end of the stream is among it.
    """
    if not transport.is_closing():
        _limit_tls_buffer(transport, 0)


def keep_short(transport: asyncio.Transport) -> None:
    """Have a transport that is about to be used read no further, once it is paused, than it is at that moment."""
    _limit_tls_buffer(transport, 1)


def let_flow(transport: asyncio.Transport) -> None:
    """Read again; what TLS has not decrypted yet comes before the socket is read any further."""
    _limit_tls_buffer(transport, 1)
    transport.resume_reading()


def _limit_tls_buffer(transport: asyncio.Transport, size: int) -> None:
    # Only transports over TLS have this; what it says is obeyed at once.
    limit: Any = getattr(transport, "set_read_buffer_limits", None)
    if limit is not None:
        limit(size)
