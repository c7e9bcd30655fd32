"""`report` as people run it."""

from __future__ import annotations

import asyncio
import csv
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from tests.apps.commands import PROGRAM
from tests.statements.told import answer, gap
from wolkvox_async.apps.cli.group import cli
from wolkvox_async.apps.reporting import program, reading
from wolkvox_async.apps.reporting.sources import Oddity, Source
from wolkvox_async.statements import Report


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
    assert "1 slot has no reading" in done.stderr
    assert Path("report.html").read_text().startswith("<!doctype html>")
    assert sorted(one.name for one in Path().iterdir()) == ["report.html", "usage.jsonl"]


async def test_a_report_may_be_made_in_any_thread() -> None:
    assert code(await asyncio.to_thread(invoke, "usage.jsonl")) == 0


def test_standard_input_is_read_where_no_file_is_named() -> None:
    done = invoke("--csv", "r.csv", stdin=Path("usage.jsonl").read_bytes())
    assert code(done) == 0
    assert Path("r.csv").read_text().count("\n") == 4


def test_options_may_come_from_the_environment() -> None:
    done = invoke(
        "usage.jsonl", env={"WOLKVOX_LANG": "es", "WOLKVOX_TENANT": "acme", "WOLKVOX_MONTH": "2026-10,2026-11"}
    )
    assert code(done) == 0
    assert "Estado de cuenta de acme, octubre de 2026 a noviembre de 2026" in Path("report.html").read_text()


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


def test_endpoints_of_ones_own_are_of_the_kind_that_the_tenants_file_says() -> None:
    minutes = {"file": "reports_manager", "api": "minutes", "kind": "usage"}
    bogota = {"name": "bogota", "server": "anywhere", "token": {"env": "NOT_LOOKED_AT"}}
    document = {"tenants": [{"name": "acme", "operations": [bogota]}], "endpoints": [minutes]}
    Path("tenants.json").write_bytes(orjson.dumps(document))
    records = answer("2026-11-20 10:00", 7, api="reports_manager/minutes")
    Path("own.jsonl").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in records))
    kinds = []
    for options in ((), ("--tenants", "tenants.json")):
        assert code(invoke("own.jsonl", "--csv", "r.csv", *options)) == 0
        (line,) = csv.DictReader(Path("r.csv").read_text().splitlines())
        kinds.append((line["endpoint"], line["kind"]))
    assert kinds == [("reports_manager/minutes", "other"), ("reports_manager/minutes", "usage")]


def test_mistakes_of_the_tenants_file_are_said_with_the_others() -> None:
    Path("tenants.json").write_text('{"tenants": [], "endpoints": [{"api": "x", "kind": "usge"}]}')
    done = invoke("none.jsonl", "--tenants", "tenants.json")
    assert code(done) == 2
    assert "tenants.json:1:" in done.stderr
    assert "no such file" in done.stderr


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


def test_that_there_is_no_such_folder_is_said_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "read", lambda *_: pytest.fail("it was read"))
    for arguments, said in (
        (("--output", "none/report.html"), "there is no folder"),
        (("--csv", "none/r.csv"), "there is no folder"),
        (("--output", "x" * 300), "file name too long"),
    ):
        done = invoke("usage.jsonl", *arguments)
        assert code(done) == 4
        assert f"this cannot be written: {said}" in done.stderr


def test_what_a_later_version_wrote_is_said_in_red() -> None:
    later = b'{"type":"run","schema":2,"run":"X","event":"started","at":"2026-11-20T10:00:00.000Z","calls":4}\n'
    Path("later.jsonl").write_bytes(later + Path("usage.jsonl").read_bytes())
    done = invoke("later.jsonl")
    assert code(done) == 0
    assert "later.jsonl: a later version wrote it: install that one" in done.stderr
    assert "later.jsonl: a later version wrote it; this one may not" in Path("report.html").read_text()


def test_what_is_odd_is_said_in_the_language_that_is_spoken() -> None:
    Path("odd.jsonl").write_bytes(Path("usage.jsonl").read_bytes() + b'no record\n{"type":')
    done = invoke("odd.jsonl", env={"WOLKVOX_LANG": "es"})
    assert done.stderr.splitlines()[1:] == [
        "falta: 1 lectura de cierre, 1 lectura prevista que no se hizo",
        "odd.jsonl: la línea 8 no es un registro",
        "odd.jsonl: su última línea está cortada y no se cuenta",
    ]


def test_everything_that_can_be_odd_is_told_of() -> None:
    odd = Source("a.zst", None, strange=1, first_strange=1, torn=True, cut=True, differs=True, newer=True)
    assert odd.oddities == list(Oddity)
    made = program.Done(Report((), (), (), dropped_runs=0, unmarked=0, as_of=0), (odd,), 0)
    _, *said = program.told(made, program.Order((), "r.html", 0))
    assert [line.partition(": ")[0] for line in said] == ["a.zst"] * len(Oddity)


def test_a_month_between_others_may_be_named() -> None:
    more = b"".join(orjson.dumps(one) + b"\n" for one in answer("2026-08-20 10:00", 7))
    Path("usage.jsonl").write_bytes(more + Path("usage.jsonl").read_bytes())
    done = invoke("usage.jsonl", "--month", "2026-09")
    assert code(done) == 0
    assert "missing: 1 closing reading is missing" in done.stderr
    assert code(invoke("usage.jsonl", "--month", "2026-07")) == 2


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


def test_nothing_half_written_is_left_behind_when_it_is_ended(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    told = """
import os
from wolkvox_async.apps.reporting import program
from wolkvox_async.apps.cli.group import main
def sheet(*_):
    yield "half"
    assert len(os.listdir("out")) == 2
    os.kill(os.getpid(), 15)
    yield "the rest"
program.sheet = sheet
main(["report", "usage.jsonl", "--output", "out/r.html", "--csv", "out/r.csv"])
"""
    ended = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert (ended.returncode, list((tmp_path / "out").iterdir())) == (143, []), ended.stderr
    assert "Traceback" not in ended.stderr


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
