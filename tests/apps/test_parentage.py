"""A worker ends with its parent, even one that is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, sys, time
from wolkvox_async.apps.working.forking import fork_workers

def work(channel):
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)

print(fork_workers([1], work)[0].pid, flush=True)
time.sleep(60)
"""


def state_of(pid: int) -> str:
    """Return the letter by which the kernel tells how a process is; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def wait_for(pid: int, states: str) -> None:
    end = time.monotonic() + 30
    while (state := state_of(pid) or "X") not in states:
        assert time.monotonic() < end, state
        time.sleep(0.005)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux kills a process with its parent")
def test_a_worker_that_is_stopped_ends_with_its_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        wait_for(worker, "T")
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        wait_for(worker, "XZ")
    finally:
        parent.kill()
        parent.wait()
        assert parent.stdout is not None
        parent.stdout.close()
