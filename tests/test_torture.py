"""The torture lab, in its short cut: the long one is `./dev torture`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from torture.__main__ import SCENARIOS

ROOT = Path(__file__).parent.parent


@pytest.mark.timeout(900)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_promise_is_kept(scenario: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "torture", scenario, "--short"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
