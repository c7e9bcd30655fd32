"""Instructions that small pieces take, counted by callgrind, against a baseline: +5 % fails.

Counts are the same from run to run, where times vary by a factor of two. Every piece runs in
an interpreter of its own, once with rounds of work and once without: the difference is the
work's. The baseline knows versions of Python and kinds of machine apart; one that it does
not know is reported, and passes.

    python -m benchmarks.instructions [--write] [NAME ...]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .laboratory import table
from .workloads import SMALL

BASELINE = Path(__file__).with_suffix(".json")
MOST = 1.05
ROUNDS = {"scheduler, 1,000 calls": 2, "engine, 300 calls": 1}
MANY_ROUNDS = 200


def main() -> int:
    """Count, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SMALL))
    parser.add_argument("--write", action="store_true", help="renew the baseline for this Python and machine")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.child:
        return _work(wanted.child[0], int(wanted.child[1]))
    if shutil.which("valgrind") is None:
        print("valgrind is not here: nothing was counted")
        return 0
    names = [name for name in SMALL if not wanted.names or name in wanted.names]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        counted = dict(zip(names, threads.map(_count, names), strict=True))
    known = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    key = f"{sys.version_info[0]}.{sys.version_info[1]} {platform.machine()}"
    if wanted.write:
        known[key] = {**known.get(key, {}), **counted}
        BASELINE.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n")
    return _judge(key, counted, known.get(key, {}))


def _judge(key: str, counted: dict[str, int], baseline: dict[str, int]) -> int:
    rows: list[tuple[str, object]] = []
    missed = False
    for name, count in counted.items():
        before = baseline.get(name)
        if before is None:
            rows.append((name, f"{count:>13,} instructions; no baseline for {key}"))
            continue
        missed = missed or count > before * MOST
        verdict = "MORE THAN 5 %" if count > before * MOST else "ok"
        rows.append((name, f"{count:>13,} instructions, {count / before - 1:+.1%} ({verdict})"))
    table(rows)
    return 1 if missed else 0


def _count(name: str) -> int:
    """Return the instructions of one round."""
    rounds = ROUNDS.get(name, MANY_ROUNDS)
    # One round more on both sides: what is only done the first time is no part of the work.
    return (_run(name, 1 + rounds) - _run(name, 1)) // rounds


def _run(name: str, rounds: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    command += ["-m", "benchmarks.instructions", "--child", name, str(rounds)]
    if setarch := shutil.which("setarch"):
        command = [setarch, "--addr-no-randomize", *command]
    fixed = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(command, env=fixed, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", ran.stderr)
    if ran.returncode or found is None:
        raise SystemExit(f"{name} could not be counted: {ran.stderr[-500:]}")
    return int(found[1])


def _work(name: str, rounds: int) -> int:
    work = SMALL[name]()
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        work()
    return 0


if __name__ == "__main__":
    sys.exit(main())
