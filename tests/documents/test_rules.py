"""What is found on a page, and what becomes of a block that nobody thought of."""

from __future__ import annotations

from pathlib import Path

import pytest

from wolkvox_async.testing import Simulator

from . import rules, shell
from .accounts import Account, Endless, Ends, Given, NotRun
from .blocks import Block, read
from .sandbox import World

PAGE = """
# A page

    indented --as code

1. In a list:

    ```sh
    in-a-list
    ```

=== "A tab"

    ```python title="app.py"
    in_a_tab = 1
    ```

~~~
without a language
~~~
"""


@pytest.fixture
def page(tmp_path: Path) -> rules.Page:
    return rules.Page(World(tmp_path, {"PATH": "/usr/bin:/bin"}, Simulator()), lambda: None)


def test_blocks_are_found_wherever_a_reader_sees_one() -> None:
    assert [(block.line, block.language, block.text) for block in read("page.md", PAGE)] == [
        (4, "", "indented --as code\n"),
        (8, "sh", "in-a-list\n"),
        (14, "python", "in_a_tab = 1\n"),
        (18, "", "without a language\n"),
    ]


@pytest.mark.parametrize("language", ["", "text", "rust"])
async def test_a_block_with_neither_rule_nor_account_fails(language: str, page: rules.Page) -> None:
    with pytest.raises(pytest.fail.Exception, match="neither rule nor account"):
        await rules.run(Block("page.md", 1, language, "?\n"), [], page)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("sh", "true\nfalse\ntrue\n"),
        ("sh", "false | true\n"),
        ("sh", "wolkvox-async fetch --no-such-option\n"),
        ("sh", "wolkvox-async no-such-command\n"),
        ("python", "raise SystemExit(1)\n"),
        ("python", "async def test_it():\n    assert False\n"),
        ("sql", "select no_such_column\n"),
        ("json", '{"tenants": [{"name": 1}]}\n'),
        ("json", '{"type": "gap", "run": "01"}\n'),
        ("json", "{]\n"),
        ("toml", "= 1\n"),
        ("yaml", "{\n"),
    ],
)
async def test_a_block_that_does_not_work_fails(language: str, text: str, page: rules.Page) -> None:
    with pytest.raises((Exception, SystemExit, pytest.fail.Exception)):
        await rules.run(Block("page.md", 1, language, text), [], page)


async def test_what_is_told_of_a_line_is_done_with_it(page: rules.Page) -> None:
    told: list[Account] = [
        NotRun("page.md", "apt install", "changes the system"),
        Endless("page.md", "while", 'grep -q ready "$said"'),
        Ends("page.md", "(exit 3)", 3),
        Given("page.md", "echo", before="X=1 ", after=" > done", instead={"there": "here"}),
    ]
    text = "apt install something\nwhile sleep 0.1; do echo ready; done\n(exit 3)\necho there\n"
    said = await shell.run(shell.script(text, told), page.world)
    assert (said.code, said.out) == (0, "")
    assert (page.world.folder / "done").read_text() == "here\n"


async def test_a_line_that_goes_on_below_is_one(page: rules.Page) -> None:
    text = "echo one \\\n  two > there\n"
    assert len(shell.lines_of(text)) == 1
    assert (await shell.run(shell.script(text, []), page.world)).code == 0
    assert (page.world.folder / "there").read_text() == "one two\n"


def test_numbers_ids_and_times_do_not_count_in_the_shape_of_a_line() -> None:
    one = rules.shape("1,200 calls in 2.7 s by tk_9f86d081884c at 2026-11-21T21:43:47.120Z")
    assert one == rules.shape("7 calls   in 0.1 s by tk_000000000000 at 2027-01-01T00:00:00.000Z")
    assert one != rules.shape("7 calls in 0.1 s")
