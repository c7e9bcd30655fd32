"""Code blocks of a page of Markdown, as a reader sees them: fenced or indented, in lists and in tabs too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Final

from markdown_it import MarkdownIt

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its page (`README.md`, `watching.md`), the line it begins in, and its language in small letters."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line} ({self.language or 'no language'}): {self.text.strip().partition(chr(10))[0]}"


def pages() -> list[Path]:
    """Return all pages: the README in every language, and docs/."""
    return [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(path: Path) -> str:
    """Return a page's name: its path in docs/, or beside it."""
    return path.relative_to(ROOT / "docs" if ROOT / "docs" in path.parents else ROOT).as_posix()


def blocks_of(path: Path) -> list[Block]:
    """Return the blocks of a page, from top to bottom."""
    return list(read(name_of(path), path.read_text(encoding="utf-8")))


def read(page: str, text: str, line: int = 1) -> Iterator[Block]:
    """Yield the blocks of a text that begins in `line`."""
    for token in MarkdownIt().parse(text):
        if token.type not in ("fence", "code_block"):
            continue
        begins = line + (token.map or [0])[0]
        if token.type == "code_block" and "```" in token.content:
            yield from read(page, dedent(token.content), begins)  # the inside of a tab or an admonition
        else:
            language = token.info.split()[0] if token.info.strip() else ""
            yield Block(page, begins, language.lower(), token.content)
