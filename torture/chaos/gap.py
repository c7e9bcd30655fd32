"""The last gap: a child stands still between its last look at the lease and the sending of a request.

It does so for longer than its lease, and its machine is cut off from the broker. Another one takes over
and calls; then the child goes on. Without its parent's kill the vendor sees both at once. With
it, there is nobody who could go on. And where the parent itself is killed meanwhile, the kernel
has to end the child.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.judging.facts import Asked
from tests.judging.manners import Manner, Plan
from tests.judging.rules import overlaps
from torture.figures import Figures
from torture.population import Population

from .lab import Lab, Pace, Size

WAYS: Final = {
    "guarded": "a child in the gap, and a parent that kills it in time",
    "unguarded": "the control: a child in the gap, and a parent that does nothing",
    "orphaned": "a child in the gap, whose parent is killed",
}
_NTH: Final = 8
_LATENCY: Final = 0.8
_PATIENCE: Final = 60.0
_AFTER: Final = 2.0
_LOOK_EVERY: Final = 0.01


async def run(figures: Figures, way: str, pace: Pace) -> None:
    """Show one of the ways."""
    size = Size(Population(12, 2, ("interactions",)), machines=2, partitions=8)
    with tempfile.TemporaryDirectory(prefix="chaos-gap-") as folder:
        mark = Path(folder) / "mark"
        first = {"gap": {"nth": _NTH, "mark": str(mark)}, "unguarded": way == "unguarded"}
        async with Lab(figures, size, Plan(Manner(latency=_LATENCY)), pace, [first, {}]) as lab:
            if await _stand(figures, lab, way, mark):
                lab.is_tidy = True


async def _stand(figures: Figures, lab: Lab, way: str, mark: Path) -> bool:
    """Have the first machine's child stand still until somebody else calls; False if it never came to that."""
    machine = lab.machines[0]
    if not await _until(mark.exists):
        figures.promise("stood in the gap", "never", kept=False)
        return False
    token, since = mark.read_text(), time.monotonic()  # noqa: ASYNC240 - a small file
    machine.is_wanted = False
    if way == "orphaned":
        machine.kill()
    else:
        machine.cut()
    called = await _until(lambda: _is_called(lab, token, since))
    figures.promise("until another called with its token", f"{time.monotonic() - since:.1f} s", kept=called)
    machine.resume()
    await asyncio.sleep(_AFTER)
    found = len(list(overlaps(lab.journal(), lab.limit)))
    if way == "unguarded":
        figures.promise("overlaps, to be more than 0", found, kept=found > 0)
    else:
        figures.none("overlaps", found)
    return True


def _is_called(lab: Lab, token: str, since: float) -> bool:
    return any(isinstance(fact, Asked) and fact.token == token and fact.at > since for fact in lab.journal())


async def _until(is_so: Callable[[], bool]) -> bool:
    """Wait until it is so; False when that takes too long."""
    until = time.monotonic() + _PATIENCE
    while not is_so():
        if time.monotonic() > until:
            return False
        await asyncio.sleep(_LOOK_EVERY)
    return True
