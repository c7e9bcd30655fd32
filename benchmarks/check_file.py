"""Checking a tenants file of 100,000 operations, half with env and half with file references; under 10 s.

python -m benchmarks.check_file [--operations N]
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .laboratory import PROGRAM, table

MOST_SECONDS = 10.0
PER_TENANT = 10


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=100_000)
    operations = parser.parse_args().operations
    with tempfile.TemporaryDirectory() as name:
        path = _write(Path(name), operations)
        began = time.monotonic()
        process = subprocess.Popen(
            [*PROGRAM, "check", "--tenants", str(path)],
            env={**os.environ, "BENCHMARK_TOKEN": secrets.token_hex(32)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        said = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    table(
        [
            ("said", said.rpartition(": ")[2].strip()),
            ("time", f"{wall:.1f} s (limit {MOST_SECONDS:g} s)"),
            ("peak memory", f"{usage.ru_maxrss / 1024:.0f} MiB"),
        ]
    )
    return 0 if process.returncode == 0 and wall < MOST_SECONDS else 1


def _write(folder: Path, operations: int) -> Path:
    tenants = [
        {"name": f"tenant-{first}", "operations": [_operation(folder, n) for n in range(first, first + PER_TENANT)]}
        for first in range(0, operations, PER_TENANT)
    ]
    path = folder / "tenants.json"
    path.write_text(json.dumps({"tenants": tenants}, indent=1))
    return path


def _operation(folder: Path, number: int) -> dict[str, object]:
    if number % 2:
        return {"name": f"o{number}", "server": f"{number % 100:04}", "token": {"env": "BENCHMARK_TOKEN"}}
    secret = folder / f"secret-{number}"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_hex(32))
    return {"name": f"o{number}", "server": f"{number % 100:04}", "token": {"file": secret.name}}


if __name__ == "__main__":
    sys.exit(main())
