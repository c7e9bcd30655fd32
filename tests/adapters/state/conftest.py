"""States to be tested, and their time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.state.houses import FolderHouse, House, MemoryHouse


@pytest.fixture(params=["folder", "memory"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    return FolderHouse(tmp_path / "state") if request.param == "folder" else MemoryHouse()
