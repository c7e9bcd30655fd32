"""Every test of a tap has a state folder of its own, and the programs on its PATH."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents.programs import forked


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which `wolkvox-async` and `tap-wolkvox` are."""
    with forked(tmp_path_factory.mktemp("programs")) as folder:
        yield folder


@pytest.fixture(autouse=True)
def state_of_this_test(own_state: None) -> None:
    """Use it."""


@pytest.fixture(autouse=True)
def path_of_this_test(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the programs found."""
    monkeypatch.setenv("PATH", os.pathsep.join((str(programs), os.environ["PATH"])))
