"""CPU per call of this tree against another revision of it, in passes that take turns.

Both make the same calls of one simulated vendor with everything switched on: a state folder, retries,
deadlines, records to a file. Each pass has a state of its own; the first of each is thrown away.
What is compared is the least CPU of each (`getrusage`, the whole process), and the ratio of those
that were made one after the other, of which the median is shown. Exits 1 above `--most`.

    python -m benchmarks.against REVISION [--operations N] [--repeat N] [--most RATIO]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .laboratory import PROGRAM, Vendor, table, vendor

ROOT = Path(__file__).resolve().parent.parent
MOST = 1.05
CALLS_EACH = 3
OPTIONS = ("--interval", "0", "--max-in-flight", "300", "--per-server", "100", "--no-progress", "--log-level", "error")


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", metavar="REVISION", help="of this repository, such as HEAD~10")
    parser.add_argument("--operations", type=int, default=4000)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--most", type=float, default=MOST)
    wanted = parser.parse_args()
    given = ("--operations", str(wanted.operations), "--servers", "20", "--latency", "0.02", "--interval", "0")
    load, pairs = os.getloadavg()[0], []
    with checked_out(wanted.revision) as other, vendor(*given) as at:
        for number in range(wanted.repeat + 1):
            sides = (ROOT, other) if number % 2 else (other, ROOT)
            spent = {side: cpu_of_a_pass(side, at) for side in sides}
            pairs.append((spent[ROOT], spent[other]))
    pairs = pairs[1:]
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    each = 1e6 / (wanted.operations * CALLS_EACH)
    table(
        [
            ("load of the machine at the start", f"{load:.1f}"),
            ("this tree, us of CPU a call", ", ".join(f"{ours * each:.0f}" for ours, _ in pairs)),
            (wanted.revision, ", ".join(f"{theirs * each:.0f}" for _, theirs in pairs)),
            ("least", f"{min(o for o, _ in pairs) * each:.0f} and {min(t for _, t in pairs) * each:.0f}"),
            (f"median of the ratios: {ratio:.3f}, at most {wanted.most:g}", "yes" if ratio <= wanted.most else "NO"),
        ]
    )
    return 0 if ratio <= wanted.most else 1


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """Have the files of a revision in a folder for the length of the block."""
    with tempfile.TemporaryDirectory() as name:
        packed = subprocess.run(["git", "archive", revision, "src"], cwd=ROOT, check=True, capture_output=True)  # noqa: S607 - git of the PATH
        subprocess.run(["tar", "-x", "-C", name], input=packed.stdout, check=True)  # noqa: S607 - as above
        yield Path(name)


def cpu_of_a_pass(tree: Path, at: Vendor) -> float:
    """Make a pass with the code of a tree; return its seconds of CPU."""
    folder = Path(tempfile.mkdtemp(dir=at.folder))
    command = [*PROGRAM, "fetch", "--tenants", str(at.tenants), "--base-url", at.base_url, *OPTIONS]
    command += ["--state", str(folder / "state"), "--output", str(folder / "usage.jsonl")]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(tree / "src")}, cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"fetch of {tree} ended with exit code {process.returncode}")
    shutil.rmtree(folder)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
