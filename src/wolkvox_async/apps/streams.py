"""The three standard streams, open for whatever comes.

Cron and daemons start programs with some of them closed. Then the next file that is
opened gets such a number, and an event loop or a traceback ends up in it.
"""

from __future__ import annotations

import os
import sys


def hold_standard_streams() -> None:
    """Put the null device where a standard stream is closed.

    `sys.__stdout__` stays None where there was none: that is how an output knows.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - lives as long as the process
