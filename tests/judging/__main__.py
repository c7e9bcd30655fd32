"""The vendor as a process of its own: `python -m tests.judging`.

Reads one line of JSON from standard input (a `Setting`, and under `journal` the file to
write into), says in one line of JSON where it listens, and then tells every pause in the
middle of an answer as a fact, a line each. It ends when its standard input does: with
whoever started it, however that ends. Tokens come in by the pipe, so that no file and no
argument list holds them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .attention import watch
from .facts import Fact, Halted, Journal, as_line
from .manners import Plan
from .vendor import Setting, Vendor


class _Announcing(Journal):
    """A journal that also says aloud when an answer is halfway out."""

    def note(self, fact: Fact) -> None:
        super().note(fact)
        if isinstance(fact, Halted):
            _say(as_line(fact))


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def setting_of(fields: dict[str, Any]) -> Setting:
    """Build a setting from what JSON made of one."""
    tokens = [(text, server) for text, server in fields.pop("tokens")]
    return Setting(tokens, plan=Plan.of(fields.pop("plan")), **fields)


def setting_line(setting: Setting, journal: Path) -> bytes:
    """Write the line that a vendor's process is started with."""
    return json.dumps({**asdict(setting), "journal": str(journal)}).encode() + b"\n"


async def serve(fields: dict[str, Any]) -> None:
    """Play the vendor until standard input ends."""
    journal = _Announcing(Path(fields.pop("journal")))
    loop = asyncio.get_running_loop()
    async with Vendor(setting_of(fields), journal) as vendor:
        ready = {"port": vendor.port, "servers": vendor.servers, "closed": vendor.closed}
        _say(json.dumps(ready).encode() + b"\n")
        attention = loop.create_task(watch(journal))
        await loop.run_in_executor(None, sys.stdin.buffer.read)
        attention.cancel()
    journal.close()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.stdin.buffer.readline())))
