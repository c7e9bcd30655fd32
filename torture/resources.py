"""What the machine denies: full disks, a closed pipe, an unusable state, 64 descriptors, a clock that is set.

Each time: the exit code of the contract, a state that is whole, and a resume that
completes. Full and read-only disks are small file systems of their own, which needs the
right to mount; without it those cases are left out, and the table says so.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.judging.evidence import wire_attempts
from tests.judging.manners import Manner, Plan

from . import seams
from .figures import Figures
from .lab import Lab, Pace, remount, small_disk
from .population import Population

OUTPUT_FAILED: Final = 4
STATE_UNUSABLE: Final = 5

_POPULATION: Final = Population(60, 4, ("interactions", "gamification", "vision", "ivr_calls"))
_PLAN: Final = Plan(Manner(rows=50, latency=0.05))
_RUN: Final = ("--run=interrupted", "--max-in-flight=16")
_UNDELIVERED: Final = 48  # calls that are in flight, answered, or being written, at most
_INTERVAL: Final = (10.0, 4.0)
_CROWD: Final = (500, 150)
_HOUR: Final = 3600.0
_AMID: Final = 8  # requests
_SOON: Final = 120.0  # far less than an hour, whatever else the machine does


def run(figures: Figures, *, short: bool) -> None:
    """Run every case; the short cut has fewer tenants, waits less and sets the clock in one way only."""
    cases: list[Callable[[Figures], None]] = [
        _full_output,
        _full_device,
        _full_state,
        _closed_pipe,
        _read_only_state,
        _no_state,
        partial(_few_descriptors, short=short),
    ]
    for case in cases:
        figures.note("", "")
        told = case.func if isinstance(case, partial) else case
        figures.note(told.__name__.strip("_").replace("_", " ").upper(), (told.__doc__ or "").strip())
        case(figures)
    for offset in (_HOUR,) if short else (_HOUR, -_HOUR):
        figures.note("", "")
        figures.note("CLOCK SET", f"by {offset:+g} seconds")
        _clock_and_leases(figures, offset)
        _clock_and_pace(figures, offset, _INTERVAL[short])


@contextmanager
def _lab(figures: Figures, population: Population = _POPULATION, **changes: Any) -> Iterator[Lab]:
    with Lab(figures, population, plan=_PLAN, **changes) as lab:
        yield lab


def _resume(figures: Figures, lab: Lab, output: Path) -> None:
    """Promise that the state is whole, that the run completes, and that no rule was broken."""
    figures.none("damaged databases", len(lab.damaged()))
    with lab.start(output, *_RUN) as client:
        figures.codes("exit code when resumed", [client.wait().code])
    figures.no_rule_broken(lab.judge())


# --- disks --------------------------------------------------------------------------------


def _full_output(figures: Figures) -> None:
    """Fill the disk of the output amid calls."""
    with _lab(figures) as lab, small_disk(lab.folder / "small", "8m") as disk:
        if disk is None:
            figures.note("left out", "mounting is not allowed here")
            return
        output = lab.output("usage", disk)
        figures.codes("exit code", [_fill_up_amid_calls(lab, disk, output)], OUTPUT_FAILED)
        _resume(figures, lab, output)


def _full_state(figures: Figures) -> None:
    """Fill the disk of the state amid calls."""
    with _lab(figures) as lab, small_disk(lab.folder / "small", "8m") as disk:
        if disk is None:
            figures.note("left out", "mounting is not allowed here")
            return
        lab.state = disk / "state"
        output = lab.output("usage")
        figures.codes("exit code", [_fill_up_amid_calls(lab, disk, output)], STATE_UNUSABLE)
        _resume(figures, lab, output)


def _fill_up_amid_calls(lab: Lab, disk: Path, output: Path) -> int:
    """Return the exit code of a client whose disk is full for a while."""
    filler = disk / "filler"
    with lab.start(output, *_RUN) as client:
        lab.await_requests(client, _AMID)
        _fill(filler)
        code = client.wait().code
    filler.unlink()
    lab.lost = _UNDELIVERED
    return code


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 4096, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass


def _full_device(figures: Figures) -> None:
    """Write to a device that is always full."""
    with _lab(figures) as lab:
        with lab.start("/dev/full") as client:
            figures.codes("exit code", [client.wait().code], OUTPUT_FAILED)
        lab.lost = wire_attempts(lab.journal())
        _resume(figures, lab, lab.output("usage"))


# --- the output's reader ------------------------------------------------------------------


def _closed_pipe(figures: Figures) -> None:
    """Have the reader go away; the calls of the last second are made again."""
    with _lab(figures) as lab:
        with lab.start("-", *_RUN, stdout=subprocess.PIPE) as client:
            first = client.read(20_000)
            client.hang_up()
            figures.codes("exit code", [client.wait().code], OUTPUT_FAILED)
        figures.none("damaged databases", len(lab.damaged()))
        with lab.start("-", *_RUN, stdout=subprocess.PIPE) as client:
            second = client.read(-1)
            figures.codes("exit code when resumed", [client.wait().code])
        # What came of the first pipe's last call is no whole call.
        lab.output("first").write_bytes(first[: first.rfind(b"\n", 0, first.rfind(b'{"type":"row"')) + 1])
        lab.output("second").write_bytes(second)
        found = lab.judge(repeats=wire_attempts(lab.journal()))
        figures.no_rule_broken(violation for violation in found if violation.rule not in _NOT_WITH_PIPES)


# Each of two pipes has a part of the run, and what the reader had of the last second comes again.
_NOT_WITH_PIPES: Final = ("miscounted", "settled twice", "uncommitted rows")


# --- the state ----------------------------------------------------------------------------


def _read_only_state(figures: Figures) -> None:
    """Make the file system of the state read-only, after a kill."""
    with _lab(figures) as lab, small_disk(lab.folder / "small", "8m") as disk:
        if disk is None:
            figures.note("left out", "mounting is not allowed here")
            return
        lab.state = disk / "state"
        output = lab.output("usage")
        with lab.start(output, *_RUN) as client:
            lab.await_requests(client, _AMID)
            client.kill()
        lab.lost = _UNDELIVERED
        remount(disk, "ro")
        with lab.start(output, *_RUN) as client:
            figures.codes("exit code", [client.wait().code], STATE_UNUSABLE)
        remount(disk, "rw")
        _resume(figures, lab, output)


def _no_state(figures: Figures) -> None:
    """Put a file where the state folder should be."""
    with _lab(figures) as lab:
        lab.state.write_text("not a folder")
        with lab.start(lab.output("usage"), *_RUN) as client:
            figures.codes("exit code", [client.wait().code], STATE_UNUSABLE)
        figures.none("attempts without a state", wire_attempts(lab.journal()))
        lab.state.unlink()
        _resume(figures, lab, lab.output("usage"))


def _few_descriptors(figures: Figures, *, short: bool) -> None:
    """Allow 64 descriptors for hundreds of tenants."""
    with _lab(figures, Population(_CROWD[short], 10)) as lab:
        with lab.start(lab.output("usage"), limits={"RLIMIT_NOFILE": 64}) as client:
            figures.codes("exit code", [client.wait().code])
        figures.no_rule_broken(lab.judge())


# --- the clock ----------------------------------------------------------------------------


def _clock_and_leases(figures: Figures, offset: float) -> None:
    """Kill a client; the next one's clock is off from the start."""
    with _lab(figures) as lab:
        output = lab.output("usage")
        kill = {"seam": seams.BEFORE_REQUEST, "when": "before", "nth": 60}
        with lab.start(output, *_RUN, kill=kill) as client:
            figures.codes("exit code of the killed one", [client.wait().code], -signal.SIGKILL)
        lab.lost = _UNDELIVERED
        with lab.start(output, *_RUN, clock=offset) as client:
            figures.codes("exit code under the other clock", [client.wait(_SOON).code])
        _resume(figures, lab, output)


def _clock_and_pace(figures: Figures, offset: float, interval: float) -> None:
    """Set the clock amid calls; then ask for the same under the true clock, too soon, and when it is due."""
    with _lab(figures, Population(60, 4), pace=Pace(interval=interval)) as lab:
        with lab.start(lab.output("set"), "--max-in-flight=16", clock=offset, clock_after=0.9) as client:
            figures.codes("exit code when set amid calls", [client.wait(_SOON).code])
        with lab.start(lab.output("soon"), "--wait=0") as client:
            figures.codes("exit code soon after", [client.wait(_SOON).code])
        time.sleep(interval)
        with lab.start(lab.output("due"), "--wait=0") as client:
            figures.codes("exit code when due", [client.wait(_SOON).code])
        skipped = sum(call["outcome"] == "skipped" for call in lab.calls("due"))
        figures.none("calls skipped though due", skipped)
        figures.no_rule_broken(lab.judge())
