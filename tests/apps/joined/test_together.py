"""Who waits for a pass that machines make together is told what goes on here, and how far all of them are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console

from tests.apps.commands import PROGRAM
from tests.apps.test_progress import MIDDLE
from wolkvox_async.apps.joined.together import Together
from wolkvox_async.apps.progress import Picture
from wolkvox_async.testing import Fixed, Profile

from .lab import OPTIONS, lab

NOTHING = Picture(0, 0, 0, 0, 0, 0, 0, 0.0, ())
PROFILE = Profile(servers=1, operations=8, interval=2, limit=1.0, latency=Fixed(0.3))


def shown(seen: Together) -> str:
    console = Console(width=120, color_system=None, quiet=False, force_terminal=False)
    with console.capture() as captured:
        console.print(seen.block())
    return captured.get()


def test_both_forms_say_what_was_called_here_and_how_far_everybody_is() -> None:
    seen = Together(MIDDLE, ours=7, done=12, wanted=30)
    for text in (seen.line(), shown(seen)):
        assert "30 of 120 calls" in text
        assert "partitions: 7 here, 12 of 30 done by all machines" in text
        assert "waiting for leases" not in text


def test_a_machine_that_has_nothing_yet_says_what_it_waits_for() -> None:
    seen = Together(NOTHING, ours=0, done=3, wanted=30)
    for text in (seen.line(), shown(seen)):
        assert text.startswith("partitions: 0 here, 3 of 30 done")
        assert "waiting for leases to be given back, or to run out" in text


def test_when_all_is_done_nothing_is_waited_for() -> None:
    assert "waiting" not in Together(NOTHING, ours=0, done=30, wanted=30).line()


@contextmanager
def terminal() -> Iterator[tuple[int, list[str]]]:
    """A terminal to write to, and what was written."""
    ours, theirs = os.openpty()
    seen: list[str] = []

    def read() -> None:
        with suppress(OSError):
            seen.append(os.read(ours, 65_536).decode(errors="replace"))

    asyncio.get_running_loop().add_reader(ours, read)
    try:
        yield theirs, seen
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
        os.close(theirs)


async def test_a_terminal_shows_it_while_the_pass_goes_on(secret_store: Path, tmp_path: Path) -> None:
    async with lab(tmp_path, secret_store, PROFILE) as it:
        options = [one for one in OPTIONS if one != "--no-progress"]
        with terminal() as (stderr, seen):
            slowly = (*options, *it.options, "--per-server", "2")
            process = await asyncio.create_subprocess_exec(*PROGRAM, "fetch", *slowly, stderr=stderr)
            try:
                await it.open_up()
                assert await asyncio.wait_for(process.wait(), 50) == 0, "".join(seen)
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        text = "".join(seen)
        assert "waiting for leases" in text
        assert "of 16 calls" in text
        assert "done by all machines" in text
