"""Times of the small pieces, by pytest-benchmark: classify, lines, marks, requests, scheduler, a pass.

python -m benchmarks.micro [pytest's options, such as --benchmark-autosave or --benchmark-compare]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.workloads import SMALL


@pytest.mark.parametrize("name", SMALL)
def test_small_piece(name: str, benchmark: Callable[..., Any]) -> None:
    """Measure one piece of work."""
    work = SMALL[name]()
    assert work() is not None  # noqa: S101 - what does nothing is fast
    benchmark(work)


if __name__ == "__main__":
    # Without what the project's tests are run with, but for the measuring itself.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = ["-c", os.devnull, "--rootdir", str(Path(__file__).parent), "-p", "no:cacheprovider"]
    options += ["-p", "pytest_benchmark.plugin", "-q", "--benchmark-columns=min,median,ops"]
    sys.exit(pytest.main([__file__, *options, *sys.argv[1:]]))
