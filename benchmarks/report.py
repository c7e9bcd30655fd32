"""A report of many records: seconds of CPU, and whether memory stays what subjects and months need.

    python -m benchmarks.report                          1 million records
    python -m benchmarks.report --records 10000000       10 million; some minutes, 0.4 GB of disk

The records are made first, packed, a file a day, as a watch leaves them: 150 subjects, and the more days the more
records there are. Then the command is run as a process of its own, and once more for one tenant. What the
report says is compared with what was made: the closing reading of every subject.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from wolkvox_async.testing.readings import MonthProgress, reading
from wolkvox_async.windows import DEFAULT_TIMEZONE

from .laboratory import table
from .report_sample import Sample

OPERATIONS: Final = 50
ENDPOINTS: Final = 3
MOST_MIB: Final = 200
MOST_MICROSECONDS: Final = 25.0  # a record


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run of the command took."""

    code: int
    said: str
    seconds: float
    cpu: float
    peak_mib: float


def main() -> int:
    """Make, measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    records = parser.parse_args().records
    with tempfile.TemporaryDirectory(prefix="wolkvox-report-") as name:
        folder = Path(name)
        sample = Sample(operations=OPERATIONS, endpoints=ENDPOINTS, tenants=10, plain=True)
        a_day = OPERATIONS * ENDPOINTS * 86_400 // sample.step * 2
        sample = replace(sample, days=max(1, round(records / a_day)))
        made, size = _make(sample, folder)
        whole = _run(folder, "--csv", str(folder / "r.csv"))
        tenant = sample.subjects[0].operation.tenant
        alone = _run(folder, "--tenant", tenant)
        wrong = _compare(sample, folder / "r.csv")
        page = (folder / "report.html").stat().st_size
    table(
        [
            ("records", f"{made:,} of {sample.days} days, {size / 2**20:.0f} MiB packed"),
            (
                "report of all",
                f"{whole.seconds:.0f} s, {whole.cpu:.0f} s of CPU: {whole.cpu / made * 1e6:.1f} us a record",
            ),
            ("peak memory", f"{whole.peak_mib:.0f} MiB (limit {MOST_MIB})"),
            (f"statement for {tenant}", f"{alone.seconds:.0f} s, {alone.cpu:.0f} s of CPU, {alone.peak_mib:.0f} MiB"),
            ("page of that", f"{page / 2**10:.0f} KiB"),
            ("months whose last reading is another one", str(wrong)),
        ]
    )
    good = whole.code == alone.code == wrong == 0 and whole.peak_mib < MOST_MIB
    return 0 if good and whole.cpu / made * 1e6 < MOST_MICROSECONDS else 1


def _make(sample: Sample, folder: Path) -> tuple[int, int]:
    """Have it made by another process: what we use ourselves would count as the command's."""
    options = {"days": sample.days, "operations": sample.operations, "endpoints": sample.endpoints}
    told = [f"--{name}={value}" for name, value in {**options, "tenants": sample.tenants}.items()]
    command = [sys.executable, "-m", "benchmarks.report_sample", str(folder), "--plain", *told]
    made, size = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(made), int(size)


def _run(folder: Path, *options: str) -> Ran:
    command = [sys.executable, "-m", "wolkvox_async", "report", str(folder / "usage-*.jsonl.zst"), *options]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--output", str(folder / "report.html")], stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    said = process.stderr.read() if process.stderr else ""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        print(said, file=sys.stderr)
    seconds = time.monotonic() - began
    return Ran(process.returncode, said, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _compare(sample: Sample, sheet: Path) -> int:
    """Return how many lines of ended months have another number than the closing reading that was made."""
    found = {}
    with sheet.open() as file:
        for row in csv.DictReader(file):
            found[row["month"], row["tenant"], row["operation"], row["endpoint"]] = row["value"]
    progress, wrong = MonthProgress(DEFAULT_TIMEZONE), 0
    for month, unix in sample.last_slots():
        progress.move(unix)
        for subject in sample.subjects:
            operation, endpoint = subject.operation, subject.endpoint
            items = reading(endpoint.kind, endpoint.api.encode(), operation.salt, progress)
            wrong += found.get((month, operation.tenant, operation.name, endpoint.api)) != str(items)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
