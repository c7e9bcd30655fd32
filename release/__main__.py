"""`./dev release-check [options] [-- pytest's]`: whether this tree can be released; exits 1 when it cannot.

Parts, in this order (the wheel is built for all of them):

  contents   what is in wheel and source distribution, what they say of themselves, the bill of materials
  notes      the change log, as towncrier would write it now
  empty      the wheel, installed by pip into an empty environment, shows its demo
  extras     each extra can be installed, and what needs it is there
  tests      the tests, beside the installed wheel and without the source tree, on each Python
  floors     the same with the lowest versions that the project says it takes, on the oldest Python
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from .environments import Environment, Failed, Python, of_floors, of_pins, say
from .parts import Candidate, build, judge, run_tests, show_demo, show_notes, try_extras

ONCE: Final[Mapping[str, Callable[[Candidate], None]]] = {"contents": judge, "notes": show_notes}
BARE: Final[Mapping[str, Callable[[Candidate, Python], None]]] = {"empty": show_demo, "extras": try_extras}
BESIDE: Final[Mapping[str, Callable[[Python], Environment]]] = {"tests": of_pins, "floors": of_floors}
PARTS: Final = (*ONCE, *BARE, *BESIDE)
TESTS_AT_ONCE: Final = ("-n", "3", "--dist", "worksteal")


@dataclass(slots=True)
class Report:
    """How the parts went."""

    lines: list[str] = field(default_factory=list)
    failed: int = 0
    is_whole: bool = True

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Note how the block went; what failed there has been said."""
        say(f"--- {name}")
        began, how = time.monotonic(), "ok"
        try:
            yield
        except Failed as failure:
            how, self.failed = f"FAILED: {failure}", self.failed + 1
        self.lines.append(f"{name:<16} {time.monotonic() - began:7.1f} s  {how}")
        say(self.lines[-1])

    def miss(self, name: str, what: str) -> None:
        """Note what could not be tried: where everything ought to be there, that is a failure."""
        must = bool(os.environ.get("CI"))
        self.failed, self.is_whole = self.failed + must, False
        self.lines.append(f"{name:<16} {'':>7}    {'FAILED: ' if must else ''}NOT TRIED, {what}")
        say(self.lines[-1])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be tried: parts, on versions of Python, with arguments for pytest."""

    parts: Sequence[str]
    minors: Sequence[str]
    supported: Sequence[str]
    found: Mapping[str, Python]  # those that there are
    tests: Sequence[str]

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out that is to be proved of a release."""
        return (*self.parts, *self.minors, *self.tests) == (*PARTS, *self.supported, *TESTS_AT_ONCE)

    def minors_of(self, part: str) -> Sequence[str]:
        """Return the versions that a part is tried on: floors are those of the oldest."""
        return {"floors": self.supported[:1], "extras": self.minors[:1]}.get(part, self.minors)


def main(arguments: Sequence[str]) -> int:
    """Try what was asked for."""
    wanted = understood(arguments)
    report = Report()
    with TemporaryDirectory(prefix="release-") as folder:
        with report.part("build"):
            candidate = build(Path(folder))
        if not report.failed:
            for part in wanted.parts:
                _try(part, wanted, report, candidate)
    print("", *report.lines, "", sep="\n")
    if report.failed:
        print(f"{report.failed} of {len(report.lines)} FAILED")
    elif report.is_whole and wanted.is_all:
        print("this can be released")
    else:
        print("nothing failed, but not everything was tried: this says nothing of a release")
    return 1 if report.failed else 0


def understood(arguments: Sequence[str]) -> Wanted:
    """Return what the arguments ask for."""
    parser = argparse.ArgumentParser(
        prog="./dev release-check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", action="append", metavar="VERSION", help="only on this one (repeats)")
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part (repeats)")
    parser.add_argument("--supported", required=True, help=argparse.SUPPRESS)  # versions, from ./dev
    parser.add_argument("--found", action="append", default=[], help=argparse.SUPPRESS)  # VERSION=PATH, from ./dev
    place = list(arguments).index("--") if "--" in arguments else len(arguments)
    asked = parser.parse_args(arguments[:place])
    found = {minor: Python(minor, path) for minor, _, path in (one.partition("=") for one in asked.found)}
    supported = asked.supported.split(",")
    minors = [minor for minor in supported if minor in (asked.python or supported)]
    if unknown := set(asked.python or ()) - set(supported):
        parser.error(f"it is not released for Python {', '.join(sorted(unknown))}: choose from {', '.join(supported)}")
    parts = [part for part in PARTS if part in (asked.only or PARTS)]
    return Wanted(parts, minors, supported, found, arguments[place + 1 :] or TESTS_AT_ONCE)


def _try(part: str, wanted: Wanted, report: Report, candidate: Candidate) -> None:
    """Try one part, on the Pythons that it is for."""
    if (once := ONCE.get(part)) is not None:
        with report.part(part):
            once(candidate)
        return
    for minor in wanted.minors_of(part):
        name = f"{part} {minor}"
        if (python := wanted.found.get(minor)) is None:
            report.miss(name, f"no Python {minor} runs here")
            continue
        with report.part(name):
            if (bare := BARE.get(part)) is not None:
                bare(candidate, python)
            else:
                run_tests(candidate, BESIDE[part](python), wanted.tests)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
