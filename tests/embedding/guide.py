"""The guide to embedding, as the programs that it consists of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

GUIDE: Final = Path(__file__).parents[2] / "docs" / "embedding.md"
APPS: Final = Path(__file__).parent / "apps"
NOTEBOOK: Final = "notebook"
_BLOCK: Final = re.compile(r"^```(\S*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A code block: its language, what it is called, and what stands in it."""

    language: str
    title: str
    code: str


def blocks() -> list[Block]:
    """Return the blocks of the guide, in their order."""
    return [Block(*found) for found in _BLOCK.findall(GUIDE.read_text())]


def program(title: str) -> str:
    """Return the program of that name."""
    (found,) = [block.code for block in blocks() if block.title == title]
    return found


def cells() -> list[str]:
    """Return the cells of the notebook."""
    return [block.code for block in blocks() if block.title == NOTEBOOK]
