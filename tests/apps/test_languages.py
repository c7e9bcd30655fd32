"""The command line speaks Spanish as well: all of it, and English pays nothing for that."""

from __future__ import annotations

import ast
import re
import string
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from tests.apps.commands import run
from wolkvox_async.apps import languages
from wolkvox_async.apps.cli.group import cli, main
from wolkvox_async.apps.languages import asked_for, catalogue, speak, spoken, translated
from wolkvox_async.apps.languages.catalogues import read
from wolkvox_async.catalog import BILLING
from wolkvox_async.testing import Profile, Simulator

APPS = Path(languages.__file__).parents[1]
CATALOGUE = "src/wolkvox_async/apps/languages/es.po"
# Texts that stand in a value's field, and are read there.
FIELDS = {"place", "question"}


class Asked(dict[str, str]):
    """A catalogue that notes what it is asked for."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        super().__init__(texts)
        self.keys_asked: dict[str, None] = {}

    def get(self, key: str, default: Any = None) -> Any:
        self.keys_asked[key] = None
        return super().get(key, default)


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    speak("en")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    noting = Asked(catalogue("es"))
    monkeypatch.setattr(languages, "catalogue", lambda _: noting)
    return noting


def helps(language: str) -> dict[str, str]:
    """Return the help of every command."""
    speak(language)
    above = cli.context_class(cli, info_name="wolkvox-async")
    found = {"": cli.get_help(above)}
    for name in cli.list_commands(above):
        command = cli.get_command(above, name)
        assert command is not None
        found[name] = command.get_help(command.context_class(command, info_name=name, parent=above))
    return found


def texts_in_code() -> dict[str, str]:
    """Return every text that the code hands to `translated`, with where it does."""
    found: dict[str, str] = {}
    for path in sorted(APPS.rglob("*.py")):
        tree = ast.parse(path.read_text())
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "translated":
                texts = _texts(call.args[0], tree)
                found |= dict.fromkeys((text.lstrip(" ") for text in texts), f"{path.name}:{call.lineno}")
    return found


def _texts(node: ast.expr, tree: ast.Module) -> Iterator[str]:
    """Yield the texts that an expression may be; names are looked up wherever in the file they are given a value."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
            yield from (text for value in _values(name, tree) for text in _strings(value))
        case ast.Attribute(attr=attribute) if attribute in FIELDS:
            from wolkvox_async.apps.cli.whereabouts import WAYS  # noqa: PLC0415 - the one that has them

            yield from (getattr(way, attribute) for way in WAYS)
        case ast.BoolOp(values=values):
            yield from (
                text for value in values if not isinstance(value, ast.Attribute) for text in _texts(value, tree)
            )


def _strings(node: ast.expr) -> Iterator[str]:
    values = node.values if isinstance(node, ast.Dict) else [node]
    for value in values:
        match value:
            case ast.Constant(value=str(text)):
                yield text
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                yield from (text for part in parts for text in _strings(part))
            case ast.Call(args=[ast.Set(elts=parts)]):
                yield from (text for part in parts for text in _strings(part))


def _values(name: str, tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                yield value
            case ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value) if found == name:
                yield value
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                yield from (v for t, v in zip(targets, values, strict=True) if isinstance(t, ast.Name) and t.id == name)
            case _:
                pass


def missing(texts: Mapping[str, str]) -> str:
    """Say which texts the catalogue has not."""
    absent = {text: where for text, where in texts.items() if text not in catalogue("es")}
    lines = [f'msgid "{text}"  (shown by {where})' for text, where in absent.items()]
    return "\n".join([f"no Spanish for these: add them to {CATALOGUE}", *lines]) if lines else ""


def test_all_help_is_there_in_spanish(asked: Asked) -> None:
    helps("es")
    assert missing(dict.fromkeys(asked.keys_asked, "--help")) == ""


def test_all_that_commands_say_of_their_own_is_there_in_spanish() -> None:
    found = texts_in_code()
    assert len(found) > 100
    assert missing(found) == ""


def test_no_text_of_the_catalogue_is_used_no_more(asked: Asked) -> None:
    helps("es")
    # Words of tables and single options come from values.
    said = set(asked.keys_asked) | set(texts_in_code())
    unfound = set(catalogue("es")) - said
    # What reaches `translated` by way of a value stands in the same words in the file that says it.
    literals = {text for path in APPS.rglob("*.py") for text in _literals(ast.parse(path.read_text()))}
    elsewhere = {"ok", "empty", "failed", "skipped", *(endpoint.counts for endpoint in BILLING)}
    assert sorted(unfound - literals - elsewhere) == []


def _literals(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_a_translation_has_the_same_places_for_facts() -> None:
    def places(text: str) -> list[str]:
        return sorted(f"{name}:{form}" for _, name, form, _ in string.Formatter().parse(text) if name)

    texts = {key: said for key, said in catalogue("es").items() if re.search(r"\{[a-z_]+(:[^}]*)?\}", key)}
    assert len(texts) > 60
    assert {key: said for key, said in texts.items() if places(key) != places(said)} == {}


def test_spanish_help_shows_the_same_options_and_no_heading_in_english() -> None:
    def options(text: str) -> set[str]:
        return set(re.findall(r"(?m)^  (?:-\w, )?(--[\w-]+)", text))

    english, spanish = helps("en"), helps("es")
    assert {name: options(text) for name, text in english.items()} == {n: options(t) for n, t in spanish.items()}
    assert all("\nOpciones:\n" in text and text.startswith("Uso: ") for text in spanish.values())
    assert all("\nOptions:\n" in text and text.startswith("Usage: ") for text in english.values())
    assert "Comandos:" in spanish[""]


@pytest.mark.parametrize(
    ("arguments", "environment", "language"),
    [
        ([], {}, "en"),
        ([], {"WOLKVOX_LANG": "es"}, "es"),
        (["--lang", "es", "plan"], {}, "es"),
        (["plan", "--lang=es"], {}, "es"),
        (["--lang", "es", "plan", "--lang", "en"], {}, "en"),
        (["--lang", "en"], {"WOLKVOX_LANG": "es"}, "en"),
        (["plan", "--", "--lang", "es"], {}, "en"),
        (["--lang"], {}, ""),
    ],
)
def test_the_last_word_on_the_command_line_decides(
    arguments: list[str], environment: dict[str, str], language: str
) -> None:
    assert asked_for(arguments, environment) == language


def test_an_indented_text_stays_indented_and_an_unknown_one_english() -> None:
    speak("es")
    assert translated("  try: {advice}", advice="x") == "  pruebe: x"
    assert translated("nobody wrote this") == "nobody wrote this"
    speak("xx")
    assert translated("  try: {advice}", advice="x") == "  try: x"


@pytest.mark.parametrize("arguments", [["--lang", "es", "apis"], ["--lang", "es", "--help"], ["--lang", "es", "apsi"]])
def test_a_language_is_spoken_for_one_run_and_no_longer(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr()
    assert (said.out != "", said.err != "") == (not ended.value.code, bool(ended.value.code))
    assert spoken() == "en"


def test_a_catalogue_is_pairs_whose_texts_may_go_on_below() -> None:
    text = '# said\nmsgid "a \\"b\\""\nmsgstr ""\n"c "\n"d"\n\nmsgid "empty"\nmsgstr ""\n'
    assert read(text) == {'a "b"': "c d"}
    with pytest.raises(ValueError, match="line 2"):
        read('msgid "a"\nmsgstr b\n')


@pytest.mark.parametrize(("arguments", "loaded"), [(["--help"], False), (["--lang", "es", "--help"], True)])
def test_english_reads_no_catalogue(arguments: list[str], loaded: bool) -> None:
    program = f"""
import sys
from wolkvox_async.apps.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
print("wolkvox_async.apps.languages.catalogues" in sys.modules, "aiohttp" in sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.split() == [str(loaded), "False"]


async def test_a_pass_a_plan_and_the_state_are_told_in_spanish_and_records_stay_as_they_are(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=2)) as simulator:
        options = ["--tenants", str(simulator.write_tenants(secret_store)), "--base-url", simulator.base_url]
        plan = await run("plan", *options, "--lang", "es")
        await run("fetch", *options)
        again = await run("--lang", "es", "fetch", *options, "--no-progress")
        status = await run("status", env={"WOLKVOX_LANG": "es"})
        machines = await run("status", "--json", env={"WOLKVOX_LANG": "es"})
    assert plan.out.decode().startswith("consultas: 4; operaciones: 2, tokens: 2, servidores: 1\n")
    assert "4 consultas aún no tocaban" in again.err
    assert again.records[-1]["event"] == "finished"
    assert status.out.decode().split()[:3] == ["OPERACIÓN", "SERVICIO", "RESULTADO"]
    assert "con datos" in status.out.decode()
    assert {record["outcome"] for record in machines.records} == {"ok"}


async def test_mistakes_are_said_in_english_and_so_is_a_language_that_there_is_not() -> None:
    unknown = await run("--lang", "es", "plan", "--nonsense")
    other = await run("--lang", "fr", "plan")
    assert (unknown.code, other.code) == (2, 2)
    assert unknown.err.startswith("Usage: ")
    assert "No such option" in unknown.err
    assert "'fr' is not one of" in other.err


def test_every_command_takes_the_language_behind_its_name_too() -> None:
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert any("--lang" in parameter.opts for parameter in command.params), name
