"""What docs/reports.md shows is run."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from tests.statements.told import answer
from wolkvox_async.adapters.jsonlines.compression import Packer
from wolkvox_async.apps.cli.group import cli
from wolkvox_async.apps.reporting.sheet import COLUMNS

DOC = Path(__file__).parent.parent.parent.parent / "docs" / "reports.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """Return the code blocks in `language`."""
    return [text for found, text in BLOCK.findall(DOC.read_text()) if found == language]


def shown() -> list[str]:
    """Return every command line shown."""
    return [line for text in blocks("sh") for line in text.splitlines()]


@pytest.mark.parametrize("line", shown())
def test_every_command_shown_does_what_it_says(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = b"".join(
        orjson.dumps(one) + b"\n" for one in (*answer("2026-10-20 10:00", 5), *answer("2026-11-20 10:00", 7))
    )
    Path("usage.jsonl").write_bytes(text)
    packer = Packer()
    Path("usage-2026-11-20.jsonl.zst").write_bytes(packer.pack(text) + packer.end())
    (prices,) = blocks("json")
    Path("prices.json").write_text(prices)
    _, _, command = line.rpartition("| ")
    name, *arguments = shlex.split(command, comments=True)
    assert name == "wolkvox-async"
    done = CliRunner().invoke(cli, arguments, input=text, standalone_mode=False)
    assert done.return_value == 0, done.stderr
    asked = [value for option, value in itertools.pairwise(arguments) if option in ("--output", "--csv")]
    assert all(Path(one).stat().st_size for one in asked or ["report.html"])


def test_every_option_of_the_command_is_explained() -> None:
    command = cli.get_command(None, "report")  # type: ignore[arg-type]
    assert command is not None
    text = DOC.read_text()
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    assert [option for option in options if f"`{option}" not in text] == []


def test_every_word_of_the_sheet_that_is_explained_is_one() -> None:
    text = DOC.read_text().partition("## CSV")[2].partition("##")[0]
    assert {
        word
        for word in ("value", "row", "row_value", "lack", "state", "compared_with", "previous")
        if f"`{word}`" in text
    } <= set(COLUMNS)
    assert "`row_value`" in text
