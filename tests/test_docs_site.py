"""The documentation as a site: it builds without a warning, has every public name, and needs nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

import wolkvox_async
import wolkvox_async.testing
from wolkvox_async.settings.options import ENGINE_OPTIONS, STATE_OPTIONS, Options

ROOT: Final = Path(__file__).parent.parent
REFERENCE: Final = ROOT / "docs" / "reference.md"
LOADS: Final = {"src", "srcset", "poster", "data", "action"}  # attributes by which a page fetches something


class Page(HTMLParser):
    """What a page fetches by itself, and the places in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: Final[list[str]] = []
        self.ids: Final[set[str]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if value and (name in LOADS or (name == "href" and tag == "link")):
                self.fetched.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it, warnings as errors."""
    folder = tmp_path_factory.mktemp("documents") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stdout, built.stderr) == (0, "", "")
    return folder


# One test, for each process of a test run would build it anew.
@pytest.mark.tree
def test_the_site_is_built_without_a_warning_and_needs_nothing_from_elsewhere(site: Path) -> None:
    pages = {path.name: Page(path.read_text()) for path in site.glob("*.html")}
    assert {"index.html", "embedding.html", "reference.html", "watching.html"} <= set(pages)
    assert [(name, url) for name, page in pages.items() for url in page.fetched if _is_elsewhere(url)] == []
    assert all(page.fetched for page in pages.values())
    styles = [path for path in site.rglob("*.css") if _fetches(path.read_text())]
    assert styles == []
    missing = [url for page in pages.values() for url in page.fetched if not _is_there(site, url)]
    assert missing == []
    public = {f"wolkvox_async.{name}" for name in wolkvox_async.__all__ if name != "__version__"}
    public |= {f"wolkvox_async.testing.{name}" for name in wolkvox_async.testing.__all__}
    assert public - pages["reference.html"].ids == set()


def _is_elsewhere(url: str) -> bool:
    return re.match(r"(?:[a-z]+:)?//", url) is not None


def _fetches(style: str) -> bool:
    return re.search(r"url\(\s*[\"']?(?:https?:)?//|@import", style) is not None


def _is_there(site: Path, url: str) -> bool:
    path = url.partition("#")[0].partition("?")[0]
    return not path or url.startswith("data:") or (site / path.lstrip("/")).exists()


def test_every_option_stands_in_the_reference_with_its_default_and_what_help_says() -> None:
    text = REFERENCE.read_text()
    for option in (*ENGINE_OPTIONS, *STATE_OPTIONS):
        row = f"| `{option.field}` | `{getattr(Options(), option.field)!r}` | {option.help.partition('  ')[0]} |"
        assert row in text


def test_the_reference_has_each_public_name_once() -> None:
    names = re.findall(r"^::: (\S+)$", REFERENCE.read_text(), re.MULTILINE)
    assert len(set(names)) == len(names)


def test_every_page_in_the_navigation_is_there() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    named = re.findall(r"([\w-]+\.md)$", text.partition("\nnav:")[2], re.MULTILINE)
    assert [name for name in named if not (ROOT / "docs" / name).is_file()] == []
