"""`report` as people run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from tests.apps.commands import PROGRAM
from tests.statements.told import answer, gap
from wolkvox_async.apps.cli.group import cli
from wolkvox_async.apps.reporting import program


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a file of records."""
    monkeypatch.chdir(tmp_path)
    records = [
        *answer("2026-10-30 10:00", 90),
        *answer("2026-11-20 10:00", 7),
        gap("2026-11-20 10:05"),
        *answer("2026-11-21 10:00", 5, tenant="globex"),
    ]
    Path("usage.jsonl").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in records))
    return tmp_path


def invoke(*arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> Result:
    """Run the command in this process; its return value is the exit code."""
    return CliRunner().invoke(cli, ["report", *arguments], input=stdin, env=env, standalone_mode=False)


def code(result: Result) -> int:
    """Return how it ended."""
    return result.return_value if isinstance(result.return_value, int) else result.exit_code


def test_one_file_and_no_option_make_a_page() -> None:
    done = invoke("usage.jsonl")
    assert code(done) == 0
    assert "report.html: 2 tenants, 2 months, 3 lines, from 7 records" in done.stderr
    assert "missing: 1 slots have no reading" in done.stderr or "closing readings are missing" in done.stderr
    assert Path("report.html").read_text().startswith("<!doctype html>")
    assert sorted(one.name for one in Path().iterdir()) == ["report.html", "usage.jsonl"]


def test_standard_input_is_read_where_no_file_is_named() -> None:
    done = invoke("--csv", "r.csv", stdin=Path("usage.jsonl").read_bytes())
    assert code(done) == 0
    assert Path("r.csv").read_text().count("\n") == 4


def test_options_may_come_from_the_environment() -> None:
    done = invoke(
        "usage.jsonl", env={"WOLKVOX_LANG": "es", "WOLKVOX_TENANT": "acme", "WOLKVOX_MONTH": "2026-10,2026-11"}
    )
    assert code(done) == 0
    assert "Estado de cuenta de acme, Octubre de 2026 a Noviembre de 2026" in Path("report.html").read_text()


def test_the_page_may_go_to_standard_output() -> None:
    done = invoke("usage.jsonl", "--output", "-", "--month", "2026-11")
    assert done.stdout.startswith("<!doctype html>")
    assert "October" not in done.stdout.partition("</header>")[0]
    assert not Path("report.html").exists()


def test_every_mistake_is_said_at_once_and_nothing_is_written() -> None:
    Path("prices.json").write_text('{"currency":"COP"}')
    done = invoke(
        *("none.jsonl", "*.zst", "--month", "november", "--prices", "prices.json", "--lang", "fr"),
        *("--timezone", "Moon/Base", "--output", "usage.jsonl", "--csv", "prices.json"),
    )
    assert code(done) == 2
    for said in (
        "no such file",
        "no file matches",
        "is no month",
        "has no endpoints",
        "en, es",
        "Moon/Base",
        "another kind",
    ):
        assert said in done.stderr
    assert "this is a name for records" in done.stderr
    assert not Path("report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--tenant", "acmee"), "--tenant: no tenant is called 'acmee': did you mean 'acme'?"),
        (("--month", "2025-01"), "--month: there is nothing of 2025-01: the records know 2026-11, 2026-10"),
        (("--output", "same", "--csv", "same"), "--csv: this is where the page goes"),
    ],
)
def test_what_is_not_in_the_records_is_a_mistake(arguments: tuple[str, ...], said: str) -> None:
    done = invoke("usage.jsonl", *arguments)
    assert code(done) == 2
    assert said in done.stderr
    assert not Path("report.html").exists()


def test_prices_for_what_does_not_exist_are_a_mistake() -> None:
    Path("prices.json").write_text('{"currency":"COP","endpoints":{"interaction":{"price":1}}}')
    done = invoke("usage.jsonl", "--prices", "prices.json")
    assert code(done) == 2
    assert "prices.json:1:32: no endpoint is called 'interaction': did you mean 'interactions'?" in done.stderr


@pytest.mark.parametrize("text", [b"", b"\n\n", b"hello\n", b'{"type":"run","run":"R","event":"started","at":"x"}\n'])
def test_a_file_without_calls_makes_no_report(text: bytes) -> None:
    Path("empty.jsonl").write_bytes(text)
    done = invoke("empty.jsonl")
    assert code(done) == 2
    assert "there" in done.stderr
    assert not Path("report.html").exists()


def test_what_cannot_be_written_is_exit_4() -> None:
    assert code(invoke("usage.jsonl", "--output", "/dev/full")) == 4
    done = invoke("usage.jsonl", "--output", "none/report.html")
    assert code(done) == 4
    assert "none/report.html" in done.stderr


def test_without_jinja2_the_way_to_get_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "find_spec", lambda _: None)
    done = invoke("usage.jsonl")
    assert code(done) == 2
    assert "pip install 'wolkvox-async[report]'" in done.stderr


def test_help_imports_nothing_heavy() -> None:
    told = "import sys\nfrom wolkvox_async.apps.cli.group import cli\ntry:\n    cli(['report', '--help'])\n"
    told += (
        "finally:\n    print([n for n in ('jinja2', 'pydantic', 'aiohttp', 'orjson', 'structlog') if n in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_goes_away_is_exit_4() -> None:
    wide = [
        *answer("2026-11-20 10:00", 7),
        *(one for n in range(300) for one in answer("2026-11-20 10:00", 7, operation=f"o{n}")),
    ]
    Path("wide.jsonl").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in wide))
    command = [*PROGRAM, "report", "wide.jsonl", "--output", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait() == 4
