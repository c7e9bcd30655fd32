"""The chaos lab, in its short cut: the long one is `./dev chaos`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.apps.brokers import need_a_server

ROOT = Path(__file__).parent.parent


def chaos(*options: str) -> subprocess.CompletedProcess[str]:
    need_a_server()
    return subprocess.run(
        [sys.executable, "-m", "torture.chaos", *options],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(300)
def test_every_promise_is_kept_amid_mishaps() -> None:
    done = chaos("--short")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(300)
def test_without_rules_the_same_mishaps_bring_overlaps() -> None:
    done = chaos("--short", "--seconds=12", "--control")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["guarded", "unguarded", "orphaned"])
def test_nobody_sends_after_a_pause_between_the_last_look_and_the_sending(way: str) -> None:
    done = chaos("--gap", way)
    assert done.returncode == 0, done.stdout + done.stderr
