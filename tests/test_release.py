"""What a release is asked before it is one, and the bill of materials that its wheel holds."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import wolkvox_async
from release import distributions, parts
from release.__main__ import Report, main
from release.bill import FILE, ROOT, Pinned, asked, bill, pinned, reached
from release.distributions import Distribution
from release.environments import Failed, call, without_hashes

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = (ROOT / "constraints.txt").read_text()
FOLDER = "wolkvox_async-1.2.3.dist-info"
BILLED = f"{FOLDER}/sboms/wolkvox-async.cdx.json"

COMPILED = """\
aiohttp==3.14.5
    # via
    #   -c constraints.txt
    #   wolkvox-async (pyproject.toml)
Back.ports==1.0 ; python_full_version < '3.14'
    # via aiohttp
keyring==25.7.0
    # via wolkvox-async (pyproject.toml)
yarl==1.25.1 ; sys_platform == 'win32'
    # via
    #   aiohttp
    #   keyring
zipp==4.1.2
    # via keyring
"""
TABLE = {
    "name": "wolkvox-async",
    "description": "Fetches",
    "license": "MIT",
    "dependencies": ["aiohttp>=3.13,<4"],
    "optional-dependencies": {"safe": ["keyring>=25; sys_platform != 'win32'"]},
}
SETTINGS = """
[project]
name = "wolkvox-async"
readme = "README.md"
optional-dependencies = {safe = ["keyring>=25"]}
scripts = {wolkvox-async = "wolkvox_async.apps.cli:main"}
"""
METADATA = """\
Metadata-Version: 2.4
Name: wolkvox-async
Version: 1.2.3
License-Expression: MIT
License-File: LICENSE
Requires-Dist: aiohttp<4,>=3.13
Provides-Extra: safe
Requires-Dist: keyring>=25; extra == 'safe'
Description-Content-Type: text/markdown

# Read me
"""


def of_wheel(**changed: bytes) -> Distribution:
    """Return a wheel as it should be, with other contents of files that are named by their last part."""
    files = {
        "wolkvox_async/__init__.py": b'__version__ = "1.2.3"\n',
        "wolkvox_async/py.typed": b"",
        f"{FOLDER}/METADATA": METADATA.encode(),
        f"{FOLDER}/WHEEL": b"Tag: py3-none-any\n",
        f"{FOLDER}/RECORD": b"",
        f"{FOLDER}/entry_points.txt": b"[console_scripts]\nwolkvox-async = wolkvox_async.apps.cli:main\n",
        f"{FOLDER}/licenses/LICENSE": b"As you like",
        BILLED: json.dumps(bill(TABLE, "1.2.3", pinned(COMPILED))).encode(),
    }
    return Distribution("w.whl", {name: changed.get(re.split(r"[/.]", name)[-1], files[name]) for name in files})


def of_source() -> Distribution:
    files = {
        "src/wolkvox_async/__init__.py": b'__version__ = "1.2.3"\n',
        "src/wolkvox_async/py.typed": b"",
        "pyproject.toml": SETTINGS.encode(),
        "README.md": b"# Read me\n",
        "LICENSE": b"As you like",
        "PKG-INFO": b"",
    }
    return Distribution("s.tar.gz", files)


def beside(distribution: Distribution, files: Mapping[str, bytes]) -> Distribution:
    return Distribution(distribution.name, {**distribution.files, **files})


def without(distribution: Distribution, name: str) -> Distribution:
    return Distribution(distribution.name, {one: text for one, text in distribution.files.items() if one != name})


# --- the bill of materials -----------------------------------------------------------------


def test_of_each_package_it_is_known_who_needs_it_and_where() -> None:
    packages = pinned(COMPILED)
    assert packages["back-ports"] == Pinned("back-ports", "1.0", "python_full_version < '3.14'", frozenset({"aiohttp"}))
    assert packages["aiohttp"].needed_by == {"wolkvox-async"}
    assert packages["yarl"].needed_by == {"aiohttp", "keyring"}


def test_what_needs_it_in_turn_is_followed_in_circles_too() -> None:
    packages = {name: Pinned(name, "1", "", frozenset({by})) for name, by in (("a", "b"), ("b", "a"), ("c", "d"))}
    assert reached(["a", "gone"], packages) == {"a", "b"}


def test_what_only_an_extra_needs_is_optional_and_says_which() -> None:
    components = {one["name"]: one for one in bill(TABLE, "1.2.3", pinned(COMPILED))["components"]}
    assert {name: one["scope"] for name, one in components.items()} == {
        "aiohttp": "required",
        "back-ports": "required",
        "keyring": "optional",
        "yarl": "required",
        "zipp": "optional",
    }
    assert components["zipp"]["properties"] == [{"name": "wolkvox-async:extra", "value": "safe"}]
    assert {pair["value"] for pair in components["keyring"]["properties"]} == {">=25", "safe"}
    assert components["yarl"]["properties"] == [{"name": "wolkvox-async:marker", "value": "sys_platform == 'win32'"}]


def test_the_bill_that_is_there_is_of_this_version_and_of_the_pins() -> None:
    document = json.loads(FILE.read_text())
    proved = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", PINS))
    assert document["metadata"]["component"]["version"] == wolkvox_async.__version__
    assert [one["purl"] for one in document["components"] if proved.get(one["name"]) != one["version"]] == []
    extras = PROJECT["optional-dependencies"].values()
    direct = asked([*PROJECT["dependencies"], *(one for extra in extras for one in extra)])
    stated = {
        one["name"]: pair["value"]
        for one in document["components"]
        for pair in one.get("properties", ())
        if pair["name"] == "wolkvox-async:requirement"
    }
    assert stated == direct


def test_the_bill_holds_together_and_is_the_same_wherever_it_is_made() -> None:
    text = FILE.read_text()
    document = json.loads(text)
    references = [document["metadata"]["component"]["bom-ref"], *(one["bom-ref"] for one in document["components"])]
    assert len(set(references)) == len(references) > 30
    assert [one["ref"] for one in document["dependencies"]] == references
    assert {need for one in document["dependencies"] for need in one.get("dependsOn", ())} == set(references[1:])
    assert "://" not in text
    assert not {"serialNumber", "timestamp"} & (document.keys() | document["metadata"].keys())


# --- what is in wheel and source distribution --------------------------------------------------


def complaints(wheel: Distribution, source: Distribution) -> list[str]:
    """Return all of them, with the source distribution that was altered for it."""
    return [
        *distributions.of_contents(wheel, source),
        *distributions.of_source(source, of_source().files.keys() - {"PKG-INFO"}),
        *distributions.of_secrets(wheel, ["/home/me/tree", "packages.example"]),
        *distributions.of_secrets(source, ["/home/me/tree", "packages.example"]),
        *distributions.of_metadata(wheel, source),
        *distributions.of_versions(wheel, ["1.feature.md"], "# Changes\n"),
        *distributions.of_bill(wheel, "aiohttp==3.14.5\nBack.Ports==1.0\nkeyring==25.7.0\nyarl==1.25.1\nzipp==4.1.2\n"),
    ]


def test_nothing_is_said_of_what_is_as_it_should_be() -> None:
    assert complaints(of_wheel(), of_source()) == []


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (lambda wheel: without(wheel, "wolkvox_async/py.typed"), "the wheel lacks wolkvox_async/py.typed"),
        (lambda wheel: without(wheel, f"{FOLDER}/licenses/LICENSE"), f"the wheel lacks {FOLDER}/licenses/LICENSE"),
        (lambda wheel: without(wheel, BILLED), f"the wheel lacks {BILLED}"),
        (lambda wheel: beside(wheel, {"tests/a.py": b""}), "the wheel should not hold tests/a.py"),
        (lambda _: of_wheel(py=b'__version__ = "1.2.3"\n# another\n'), "src/wolkvox_async/__init__.py is another one"),
        (lambda _: of_wheel(py=b'__version__ = "1.2.4"\n'), "METADATA says version 1.2.3, and the package ['1.2.4']"),
        (lambda _: of_wheel(RECORD=b"from /home/me/tree/src"), "RECORD in w.whl names /home/me/tree"),
        (lambda _: of_wheel(RECORD=b"https://packages.example/simple"), "RECORD in w.whl names packages.example"),
        (
            lambda _: of_wheel(METADATA=METADATA.replace("# Read", "# Rid").encode()),
            "the description is not the README",
        ),
        (lambda _: of_wheel(METADATA=METADATA.replace("a: safe", "a: x").encode()), "the extras are not those"),
        (lambda _: of_wheel(METADATA=METADATA.replace("MIT", "Mine").encode()), "METADATA: "),
        (lambda _: of_wheel(LICENSE=b"Another"), "METADATA: LICENSE is not the one in the tree"),
        (lambda _: of_wheel(txt=b"[console_scripts]\n"), "are not the scripts of pyproject.toml"),
        (lambda _: of_wheel(WHEEL=b"Tag: cp311-cp311-linux\n"), "it is not for every platform"),
        (lambda _: of_wheel(json=b"{}"), "the bill of materials is not of version 1.2.3"),
        (lambda _: of_wheel(METADATA=METADATA.replace("3.13", "3.12").encode()), "does not say aiohttp<4,>=3.12"),
    ],
)
def test_what_is_wrong_with_a_wheel_is_said(alter: Callable[[Distribution], Distribution], said: str) -> None:
    assert [line for line in complaints(alter(of_wheel()), of_source()) if said in line] != []


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (lambda source: without(source, "README.md"), "the source distribution lacks README.md"),
        (lambda source: beside(source, {"out.jsonl": b""}), "the source distribution should not hold out.jsonl"),
        (
            lambda source: beside(source, {"README.md": b"in /home/me/tree/x"}),
            "README.md in s.tar.gz names /home/me/tr",
        ),
        (lambda source: beside(source, {"src/wolkvox_async/a.po": b""}), "the wheel lacks wolkvox_async/a.po"),
    ],
)
def test_what_is_wrong_with_a_source_distribution_is_said(
    alter: Callable[[Distribution], Distribution], said: str
) -> None:
    assert [line for line in complaints(of_wheel(), alter(of_source())) if said in line] != []


def test_a_path_that_only_begins_like_one_of_this_machine_is_none() -> None:
    source = beside(of_source(), {"README.md": b"see /home/me/trees, unpackages.example and packages.example-of-mine"})
    assert list(distributions.of_secrets(source, ["/home/me/tree", "packages.example"])) == []


@pytest.mark.parametrize(
    ("version", "notes", "log", "said"),
    [
        ("1.2.3", [], "# Changes\n", "there is no section on 1.2.3"),
        ("1.2.3", ["7.fix.md"], "## 1.2.3 (2026-12-01)\n", "lacks 7.fix.md"),
        ("1.2.3.dev4", ["7.fix.md"], "", "1.2.3.dev4 is no semantic version"),
    ],
)
def test_what_the_change_log_lacks_is_said(version: str, notes: list[str], log: str, said: str) -> None:
    wheel = of_wheel(METADATA=METADATA.replace("1.2.3", version).encode(), py=f'__version__ = "{version}"\n'.encode())
    (line,) = distributions.of_versions(wheel, notes, log)
    assert said in line


def test_a_change_log_that_was_built_needs_no_notes() -> None:
    assert list(distributions.of_versions(of_wheel(), [], "## 1.2.3 (2026-12-01)\n")) == []


# --- the check itself --------------------------------------------------------------------------


def test_each_extra_is_tried() -> None:
    assert parts.EXTRAS.keys() == PROJECT["optional-dependencies"].keys()


def test_pins_without_hashes_are_plain_constraints() -> None:
    lines = without_hashes(PINS).splitlines()
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==\S+( ; .+)?", line)] == []
    assert len(lines) == len(re.findall(r"(?m)^\S", PINS))


def test_what_a_part_says_of_its_failure_stands_in_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    with report.part("one"):
        call(["true"])
    with report.part("two"):
        call(["false"])
    assert report.failed == 1
    assert [re.sub(r" +\d+\.\d s ", "", line) for line in report.lines] == [
        "one ok",
        "two FAILED: false failed (see above)",
    ]
    assert "--- two" in capsys.readouterr().out


@pytest.mark.parametrize(("variables", "failed"), [({"CI": "true"}, 1), ({}, 0)])
def test_a_python_that_is_missing_is_named_and_fails_where_all_ought_to_be_there(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], failed: int
) -> None:
    monkeypatch.delenv("CI", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    report = Report()
    report.miss("tests 3.12", "no Python 3.12 runs here")
    assert (report.failed, "NOT TRIED, no Python 3.12" in report.lines[0]) == (failed, True)


HERE = ("--supported=3.11,3.12,3.13", "--found=3.12=/p12", "--found=3.13=/p13")


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Have a check that tries nothing; returns the paths of Pythons and the arguments that tests were to run with."""
    ran: list[Any] = []
    program = "release.__main__"
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(f"{program}.build", lambda _: None)
    monkeypatch.setattr(f"{program}.ONCE", dict.fromkeys(("contents", "notes"), lambda _: None))
    monkeypatch.setattr(f"{program}.BARE", dict.fromkeys(("empty", "extras"), lambda *_: None))
    monkeypatch.setattr(f"{program}.BESIDE", dict.fromkeys(("tests", "floors"), lambda python: python.path))
    monkeypatch.setattr(f"{program}.run_tests", lambda _, path, tests: ran.append((path, *tests)))
    return ran


def test_arguments_behind_the_dashes_are_for_the_tests(ran: list[Any]) -> None:
    assert main([*HERE, "--only=tests", "--python=3.13", "--", "-k", "--python"]) == 0
    assert ran == [("/p13", "-k", "--python")]


def test_floors_are_those_of_the_oldest_python_whatever_is_asked_for(ran: list[Any]) -> None:
    assert main([*HERE, "--found=3.11=/p11", "--only=floors", "--python=3.13", "--", "-q"]) == 0
    assert main([*HERE, "--only=floors"]) == 0
    assert ran == [("/p11", "-q")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--found=3.11=/p11"], "this can be released"),
        ([], "not everything was tried"),
        (["--found=3.11=/p11", "--only=tests"], "not everything was tried"),
        (["--found=3.11=/p11", "--python=3.11"], "not everything was tried"),
        (["--found=3.11=/p11", "--", "-x"], "not everything was tried"),
    ],
)
@pytest.mark.usefixtures("ran")
def test_only_the_whole_check_says_that_it_can_be_released(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*HERE, *arguments]) == 0
    assert said in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.usefixtures("ran")
def test_a_python_that_it_is_not_released_for_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main([*HERE, "--python=3.14"])
    assert (refused.value.code, "3.14: choose from 3.11" in capsys.readouterr().err) == (2, True)


def test_what_cannot_be_built_is_not_tried(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def build(_: Path) -> parts.Candidate:
        raise Failed("hatchling failed")

    monkeypatch.setattr("release.__main__.build", build)
    assert main(["--supported=3.11"]) == 1
    assert "contents" not in capsys.readouterr().out


def test_an_address_with_a_password_gives_its_host_away_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "REGISTRIES", "print('known.example files.example')")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://me:made-up-word@packages.example/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://one.example/a https://two.example:8080/b")
    hosts = parts.registries()
    assert {"known.example", "files.example", "packages.example", "one.example", "two.example:8080"} <= hosts
    assert "made-up-word" not in "".join(hosts)
