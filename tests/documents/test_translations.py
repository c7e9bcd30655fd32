"""Translations of the README show the same code as the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .blocks import ROOT, blocks_of

ORIGINAL = ROOT / "README.md"
TRANSLATIONS = sorted(path for path in ROOT.glob("README.*.md"))


def code(path: Path) -> list[tuple[str, str]]:
    """Return language and text of every block; comments, and the spaces before them, may differ."""
    return [(block.language, re.sub(r"(?m) *# .*$", "", block.text)) for block in blocks_of(path)]


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: path.name)
def test_a_translation_has_the_same_code_in_the_same_order(path: Path) -> None:
    assert len(code(path)) > 10
    assert code(path) == code(ORIGINAL)


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: path.name)
def test_a_translation_has_the_same_headings_pictures_commands_and_figures(path: Path) -> None:
    def counted(file: Path) -> tuple[int, list[str], list[str], list[str]]:
        text = re.sub(r"(?ms)^```.*?^```$", "", file.read_text(encoding="utf-8"))
        headings = len(re.findall(r"(?m)^##+ ", text))
        pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
        commands = re.findall(r"`(\./dev [^`]*)`", text)
        figures = sorted(re.findall(r"\b\d[\d,.]*\d\b", text))
        return headings, pictures, commands, figures

    assert counted(path) == counted(ORIGINAL)


def test_there_is_a_readme_in_spanish() -> None:
    assert [path.name for path in TRANSLATIONS] == ["README.es.md"]
