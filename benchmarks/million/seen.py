"""What the kernel tells of processes: memory in MiB, seconds of CPU."""

from __future__ import annotations

import os
from pathlib import Path


def memory_of(pid: int) -> float:
    """Return what of a process is in memory, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ValueError("the process has ended")


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a process has taken, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def disk_of(folder: Path) -> float:
    """Return what the files below a folder take, in MiB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1024**2
