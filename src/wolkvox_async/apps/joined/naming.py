"""What a machine is called in its cluster: by its host, and a number where a host has several.

The number is the lowest that no other process of this host has. It is held by a socket that has no
file, so it is free as soon as the process is gone, however it ended.
"""

from __future__ import annotations

import re
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_MOST: Final = 1_000
_ODD: Final = re.compile("[^A-Za-z0-9_-]+")


@contextmanager
def own_name(host: str) -> Iterator[str]:
    """Give the name, which nobody else of this host has for the length of the block."""
    plain = _ODD.sub("-", host.partition(".")[0]).strip("-")[:40] or "host"
    held = None if sys.platform != "linux" else _held()
    if held is None:
        yield f"{plain}-{secrets.token_hex(4)}"
        return
    number, kept = held
    with kept:
        yield f"{plain}-{number}"


def _held() -> tuple[int, socket.socket] | None:
    for number in range(1, _MOST):
        kept = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            kept.bind(f"\0wolkvox-async machine {number}")
        except OSError:
            kept.close()
        else:
            return number, kept
    return None
