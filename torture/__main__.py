"""`python -m torture [NAME ...] [--short]`: run the scenarios, or those named; exits 1 when a promise was broken."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from importlib import import_module
from typing import Final

from .figures import Figures

SCENARIOS: Final = {
    "attempts": "a million simulated attempts over 10,000 tokens, in virtual time",
    "kills": "1,000 SIGKILLs at random times and at chosen points, resumed each time",
    "sharing": "three processes on one state folder, with the same tenants",
    "stops": "SIGSTOP for one of three processes, for minutes amid its calls",
    "drops": "connections dropped at every byte offset of request and answer",
    "unasked": "answers nobody asked for, on one host shared by 200 tenants",
    "resources": "full disks, a closed pipe, an unusable state, 64 descriptors, a clock that is set",
    "drain": "SIGTERM with --drain 1 amid 10,000 and 100,000 planned calls",
}


def main() -> int:
    """Run what was asked for."""
    described = "\n".join(f"  {name:<10} {what}" for name, what in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="torture",
        description=f"{__doc__}\n\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a scenario; without one: all of them")
    parser.add_argument("--short", action="store_true", help="a cut of each that takes seconds")
    wanted = parser.parse_args()
    if unknown := set(wanted.names) - set(SCENARIOS):
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}: choose from {', '.join(SCENARIOS)}")
    # What the scenarios started is to end with them.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    kept = [_keeps(name, short=wanted.short) for name in wanted.names or SCENARIOS]
    print("\nevery promise was kept" if all(kept) else "\nA PROMISE WAS BROKEN")
    return 0 if all(kept) else 1


def _keeps(name: str, *, short: bool) -> bool:
    figures = Figures(f"{name}: {SCENARIOS[name]}")
    began = time.monotonic()
    try:
        import_module(f"torture.{name}").run(figures, short=short)
        figures.note("seconds", f"{time.monotonic() - began:.1f}")
    finally:
        figures.show()
    return figures.kept


if __name__ == "__main__":
    sys.exit(main())
