"""Every code block of the README and of docs/ is executed, page by page, or accounted for."""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

import wolkvox_async
from tests.postgres import Database
from wolkvox_async.settings import composition

from . import rules, shell
from .accounts import ACCOUNTS, Account, Drawing, Elsewhere, NotRun
from .blocks import ROOT, Block, blocks_of, name_of, pages
from .programs import forked
from .sandbox import world
from .worlds import WORLDS

ORIGINAL: Final = "README.md"
BLOCKS: Final = {name_of(path): blocks_of(path) for path in pages()}
PAGES: Final = [page for page, blocks in BLOCKS.items() if blocks]


def accounts_of(block: Block) -> list[Account]:
    """Return what is told of a block; what is told of the README is told of its translations."""
    names = {block.page, ORIGINAL} if block.page.startswith("README") else {block.page}
    return [one for one in ACCOUNTS if one.page in names and _belongs(one, block)]


def _belongs(account: Account, block: Block) -> bool:
    if block.text.strip().startswith(account.begins.strip()):
        return True
    by_line = block.language in shell.LANGUAGES and isinstance(account, shell.OF_LINES)
    return by_line and any(line.startswith(account.begins) for line in shell.lines_of(block.text))


def _bare(block: Block) -> str:
    return re.sub(r"(?m) *# .*$", "", block.text)


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which `wolkvox-async` is."""
    with forked(tmp_path_factory.mktemp("programs")) as folder:
        yield folder


@pytest.mark.timeout(200)
@pytest.mark.parametrize("page", PAGES)
async def test_the_blocks_of_a_page_run_from_top_to_bottom(
    page: str, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    def database() -> Database:
        found: Database = request.getfixturevalue("database")
        return found

    is_translation = page.startswith("README") and page != ORIGINAL
    run_before = {_bare(block) for block in BLOCKS[ORIGINAL]}
    async with world(tmp_path, programs) as here:
        monkeypatch.chdir(here.folder)
        for name, value in here.variables.items():
            monkeypatch.setenv(name, value)
        opened = functools.partial(composition.open_engine, base_url=here.variables["WOLKVOX_BASE_URL"])
        monkeypatch.setattr(wolkvox_async, "open_engine", opened, raising=False)
        monkeypatch.setattr(composition, "open_engine", opened)
        at_hand = rules.Page(here, database)
        monkeypatch.setitem(sys.modules, at_hand.module.__name__, at_hand.module)
        if (prepare := WORLDS.get(page)) is not None:
            await prepare(at_hand)
        skipped = [await _run(b, at_hand) for b in BLOCKS[page] if not (is_translation and _bare(b) in run_before)]
    if reasons := sorted(set(filter(None, skipped))):
        pytest.skip(f"{'; '.join(reasons)} (all other blocks of the page were run)")


async def _run(block: Block, page: rules.Page) -> str:
    """Run a block; return why it was not, if so."""
    try:
        await rules.run(block, accounts_of(block), page)
    except pytest.skip.Exception as reason:
        return str(reason)
    except Exception as error:
        error.add_note(f"\nThis is the block {block}")
        raise
    return ""


UNRUN: Final = [
    pytest.param(one, id=f"{one.page} | {one.begins.strip().partition(chr(10))[0]} | {why}")
    for one in ACCOUNTS
    for why in [getattr(one, "why", "") or getattr(one, "by", "") or getattr(one, "what", "")]
    if isinstance(one, NotRun | Elsewhere | Drawing)
]


@pytest.mark.parametrize("account", UNRUN)
def test_what_is_not_run_here_is_there_and_right_as_far_as_can_be_told(account: NotRun | Elsewhere | Drawing) -> None:
    belonging = [block for block in BLOCKS[account.page] if _belongs(account, block)]
    assert belonging, "it belongs to nothing any more"
    if isinstance(account, NotRun):
        lines = [line for block in belonging for line in shell.lines_of(block.text) if shell.told(line, [account])]
        assert [mistake for line in lines for mistake in shell.mistakes(line)] == []
    if isinstance(account, Elsewhere):
        file, _, name = account.by.partition("::")
        functions = ast.walk(ast.parse((ROOT / "tests" / file).read_text()))
        assert name in {one.name for one in functions if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_account_belongs_to_a_block() -> None:
    lost = [one for one in ACCOUNTS if not any(_belongs(one, block) for block in BLOCKS.get(one.page, ()))]
    assert lost == []


def test_what_is_told_of_the_readme_is_told_of_its_translations() -> None:
    told = [accounts_of(block) for block in BLOCKS[ORIGINAL]]
    assert [accounts_of(replace(block, page="README.es.md")) for block in BLOCKS[ORIGINAL]] == told
    assert any(told)
