"""A month in minutes: 100 operations are watched for 30 days, in virtual time, before the judge.

Twice from one seed: the output has to be the same, to the byte. Counted are slots (from the
grid), how they ended, closing readings, what the judge has to say, and CPU. With `--faults`
the month has everything that can befall it, and every gap has to say what did. Exits 1 when
a promise or the figure (400 us of CPU per slot) is missed.

    python -m benchmarks.month [--operations N] [--endpoints N] [--days N] [--seed N]
                               [--state memory|folder] [--faults] [--runs N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from wolkvox_async.apps.passing import calm_collector
from wolkvox_async.testing.slot_audit import Closing, SlotAudit

from .laboratory import table
from .virtual_month import TURN, Month, Played, play

PER_SLOT = 6 * 60 / (30 * 288 * 100)  # seconds of CPU


def main() -> int:
    """Play, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=100)
    parser.add_argument("--endpoints", type=int, default=1)
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--state", choices=("memory", "folder"), default="memory")
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--runs", type=int, default=2)
    wanted = parser.parse_args()
    calm_collector()  # as the program does
    month = Month(wanted.operations, wanted.endpoints, wanted.days, wanted.seed, with_mishaps=wanted.faults)
    played = [_play(month, in_folder=wanted.state == "folder") for _ in range(wanted.runs)]
    return _judge(month, played)


def _play(month: Month, *, in_folder: bool) -> Played:
    if not in_folder:
        return play(month)
    with tempfile.TemporaryDirectory(prefix="wolkvox-month-") as name:
        return play(replace(month, folder=Path(name)))


def _judge(month: Month, played: list[Played]) -> int:
    checks = _checks(month, played)
    table([*_facts(month, played), *((name, "yes" if held else "NO") for name, held in checks.items())])
    for complaint in played[0].complaints():
        print(complaint)
    return 0 if all(checks.values()) else 1


def _checks(month: Month, played: list[Played]) -> dict[str, bool]:
    audit, verdict = played[0].audit, played[0].verdict
    subjects = month.operations * month.endpoints
    is_costly = any(each.cpu > PER_SLOT * each.audit.expected for each in played)
    closings = "a closing reading of everything" + (", or why there is none" if month.with_mishaps else "")
    return {
        "every slot ended exactly once": audit.ends == audit.expected and not {"missing", "twice"} & set(audit.wrong),
        "every gap and every failure is explained": not audit.complaints(),
        "0 overlaps, 0 early calls, 0 wrong requests": verdict.ok,
        closings: subjects == (len(audit.closings) if month.with_mishaps else _taken(audit)),
        "the same output from the same seed": len({each.audit.sha256 for each in played}) == 1,
        "CPU within 6 minutes for 864,000 slots": month.folder is not None or not is_costly,
    }


def _facts(month: Month, played: list[Played]) -> list[tuple[str, object]]:
    audit, verdict = played[0].audit, played[0].verdict
    ends = _listed(Counter(closing.end for closing in audit.closings))
    costs = [f"{each.cpu:.1f} s ({each.cpu / audit.expected * 1e6:.0f} us a slot)" for each in played]
    return [
        ("slots, by the grid", f"{audit.expected:,}"),
        ("calls", _listed(audit.calls)),
        ("gaps", _listed(audit.gaps)),
        *((f"  {name}", f"{count:,} x {end}") for (name, end), count in sorted(audit.explained.items())),
        ("closing readings", f"{_taken(audit)} taken of {month.operations * month.endpoints}; {ends}"),
        ("verdict", f"{verdict}; {verdict.requests:,} requests"),
        ("lives of the program", played[0].lives),
        ("rows, lines", f"{audit.rows:,}, {audit.lines:,}"),
        ("sha256 of the output", ", ".join(each.audit.sha256[:16] for each in played)),
        ("CPU", ", ".join(costs)),
    ]


def _taken(audit: SlotAudit) -> int:
    return sum(_is_taken(closing) for closing in audit.closings)


def _is_taken(closing: Closing) -> bool:
    return closing.end in ("ok", "empty") and closing.at is not None and closing.due < closing.at <= TURN * 1000


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())) or "none"


if __name__ == "__main__":
    sys.exit(main())
