"""The command itself, `wolkvox-async fetch`, as a process of its own with everything that it imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from benchmarks.peers.job import told


def main() -> int:
    """Run the command and print what it cost, by what the system says of it."""
    job, _ = told()
    command = [sys.executable, "-m", "wolkvox_async", "fetch", "--tenants", job.tenants, "--base-url", job.base_url]
    command += ["--output", job.output, "--state", job.state, "--max-in-flight", str(job.in_flight)]
    command += ["--ca-file", job.ca_file] if job.ca_file else []
    began = time.monotonic()
    process = subprocess.Popen([*command, "--no-progress", "--log-level", "error"])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cost = {"cpu": used.ru_utime + used.ru_stime, "wall": time.monotonic() - began, "peak_mib": used.ru_maxrss / 1024}
    print(json.dumps(cost))
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
