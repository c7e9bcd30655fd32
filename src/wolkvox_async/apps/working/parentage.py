"""Ending with the parent, at once and wherever one stands; known to Linux alone.

A worker that is stopped does not notice that its parent is gone. If it stands between its last look
and the sending of a request, it would send that whenever it goes on, though its leases have
long been given to others. The kernel can kill it with the parent, stopped or not. Elsewhere it
ends at the next turn of its loop.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def end_with(parent: int) -> None:
    """Have this process killed as soon as the process `parent`, which made it, has ended."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we had said so
        os.kill(os.getpid(), signal.SIGKILL)
