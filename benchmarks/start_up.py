"""How long `--help` takes, against a Python that does nothing; at most 6 times.

python -m benchmarks.start_up
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from .laboratory import PROGRAM, table

ROUNDS = 21
MOST = 6.0


def main() -> int:
    """Measure in turns, print, judge."""
    bare, helping = [], []
    for _ in range(ROUNDS):
        bare.append(_seconds([sys.executable, "-c", "pass"]))
        helping.append(_seconds([*PROGRAM, "--help"]))
    ratio = statistics.median(helping) / statistics.median(bare)
    table(
        [
            ("python -c pass", f"{statistics.median(bare) * 1e3:.1f} ms"),
            ("--help", f"{statistics.median(helping) * 1e3:.1f} ms"),
            ("ratio", f"{ratio:.1f} (limit {MOST:g})"),
        ]
    )
    return 0 if ratio <= MOST else 1


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
