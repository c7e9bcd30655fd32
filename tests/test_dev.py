"""The `./dev` script and the pins it installs from."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PINS = (ROOT / "constraints.txt").read_text()
PEER_PINS = (ROOT / "benchmarks" / "peers" / "constraints.txt").read_text()
TARGET_PINS = (ROOT / "tests" / "singer" / "constraints.txt").read_text()


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = importlib.machinery.SourceFileLoader("dev", str(ROOT / "dev"))
    spec = importlib.util.spec_from_loader("dev", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "dev", module)
    loader.exec_module(module)
    return module


def as_named(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(pins: str) -> dict[str, str]:
    return {as_named(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", pins, re.MULTILINE)}


@pytest.mark.parametrize("text", [PINS, PEER_PINS, TARGET_PINS], ids=["tools", "peers", "targets"])
def test_every_pin_has_a_hash(text: str) -> None:
    pins = re.findall(r"^\S.*(?:\n +.*)*", text, re.MULTILINE)
    assert len(pins) > 40
    assert [pin for pin in pins if "--hash=sha256:" not in pin] == []


@pytest.mark.parametrize("text", [PINS, PEER_PINS, TARGET_PINS], ids=["tools", "peers", "targets"])
def test_the_pins_do_not_say_where_packages_come_from(text: str) -> None:
    assert not re.search(r"://|^-", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "group", "extras"),
    [(PINS, "dev", ("speed", "br", "metrics", "otel")), (PEER_PINS, "peers", ("speed",)), (TARGET_PINS, "targets", ())],
    ids=["tools", "peers", "targets"],
)
def test_whatever_the_project_asks_for_is_pinned(text: str, group: str, extras: tuple[str, ...]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = project["project"]["dependencies"] + project["dependency-groups"][group]
    asked += [one for extra in extras for one in project["project"]["optional-dependencies"][extra]]
    named = {as_named(re.split(r"[<>=!~;\[ ]", requirement)[0]) for requirement in asked}
    assert named - pinned(text).keys() == set()


def test_the_benchmark_compares_in_the_versions_that_the_tests_have_seen() -> None:
    tools, peers = pinned(PINS), pinned(PEER_PINS)
    both = tools.keys() & peers.keys()
    assert {"aiohttp", "orjson", "uvloop"} <= both
    assert {name: peers[name] for name in both} == {name: tools[name] for name in both}


def test_a_peer_that_cannot_be_had_does_not_stand_in_the_way_of_the_others(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = []

    def install(*given: Any) -> bool:
        requirements = Path(given[-1][-1]).read_text()
        tried.append(requirements)
        return "pycurl==" not in requirements

    monkeypatch.setattr(dev, "install_with_uv", install)
    monkeypatch.setattr(dev, "pip", install)
    dev.install_pins(dev.Environment(tmp_path, None, has_peers=True), has_uv=True)
    assert len(tried[1:]) == len(pinned(PEER_PINS)) + 1
    assert re.findall(r"(\S+)==\S+ cannot be had", capsys.readouterr().err) == ["pycurl"]


def test_targets_that_cannot_be_had_do_not_stand_in_the_way_of_the_tests(
    dev: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dev.set_up_targets(dev.Environment(tmp_path / ".venv-of-nobody"))
    assert ".venv-targets-of-nobody could not be made" in capsys.readouterr().err


def test_the_benchmarks_are_listed_with_what_they_measure(dev: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.main(["bench", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    names = {line.split()[2] for line in listed}
    assert {"one_pass", "memory", "peers"} <= names
    assert all(len(line.split()) > 5 for line in listed)


@pytest.mark.parametrize(
    ("arguments", "taken"),
    [
        (["test", "-q"], (None, ["test", "-q"])),
        (["--python", "3.12", "test", "-q"], ("3.12", ["test", "-q"])),
        (["test", "--python=3.12", "-q"], ("3.12", ["test", "-q"])),
        (["test", "--python"], (None, ["test", "--python"])),
    ],
)
def test_a_python_may_be_named_anywhere(dev: ModuleType, arguments: list[str], taken: tuple[str, list[str]]) -> None:
    assert dev.take_option(arguments, "--python") == taken


@pytest.mark.parametrize(
    ("verb", "rest", "meant"),
    [
        ("test", ["-q"], ("3.12", ["-q"])),
        ("bench", ["--quick"], ("3.12", ["peers", "--quick"])),
        ("bench", ["memory"], ("3.12", ["memory"])),
        ("release-check", ["--only", "tests"], (None, ["--python=3.12", "--only", "tests"])),
    ],
)
def test_a_python_is_that_of_the_tools_but_where_a_release_is_proved(
    dev: ModuleType, verb: str, rest: list[str], meant: tuple[str | None, list[str]]
) -> None:
    assert dev.meant(verb, "3.12", rest) == meant


def test_a_release_is_proved_on_the_pythons_that_it_names(dev: ModuleType) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line]
    assert list(dev.RELEASED) == named
    assert project["requires-python"] == f">={named[0]}"


def test_a_name_on_the_path_that_leads_nowhere_is_passed_over(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    for folder, does in (("shims", "exit 127"), ("bin", f'exec "{sys.executable}" "$@"')):
        (tmp_path / folder).mkdir()
        program = tmp_path / folder / f"python{version}"
        program.write_text(f"#!/bin/sh\n{does}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'shims'}:{tmp_path / 'bin'}")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    found = list(dev.candidates(version))
    assert found[:3] == [str(tmp_path / where) for where in ("gone", f"shims/python{version}", f"bin/python{version}")]
    assert dev.find_python(version).version == tuple(sys.version_info[:3])


def test_where_venv_is_missing_the_package_to_install_is_named(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "probe", lambda path: dev.Python(path, (3, 11, 2), False))
    with pytest.raises(SystemExit) as given_up:
        dev.find_python(None)
    assert given_up.value.code == 2
    assert "apt install python3.11-venv" in capsys.readouterr().err


def test_uv_is_told_what_pip_is_configured_with(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    settings = ("global.cert='/theirs.pem'", ":env:.cert='/mine.pem'", "global.client-cert='/other.pem'")
    python.write_text("#!/bin/sh\n" + "".join(f'echo "{setting}"\n' for setting in settings))
    python.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert dev.uv_variables(dev.Environment(tmp_path))["SSL_CERT_FILE"] == "/mine.pem"
    monkeypatch.setenv("SSL_CERT_FILE", "/own.pem")
    assert dev.uv_variables(dev.Environment(tmp_path))["SSL_CERT_FILE"] == "/own.pem"


def test_an_environment_is_current_until_its_python_or_what_it_is_made_from_changes(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = dev.Environment(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert not environment.is_current()
    environment.stamp.write_text(environment.fingerprint())
    assert environment.is_current()
    monkeypatch.setattr(dev, "PINS", ROOT / "LICENSE")
    assert not environment.is_current()
    monkeypatch.undo()
    (tmp_path / "bin" / "python").unlink()
    assert not environment.is_current()


@pytest.mark.parametrize(
    ("arguments", "started"),
    [([], ["build"]), (["--serve", "-a", "127.0.0.1:9000"], ["serve", "-a", "127.0.0.1:9000"])],
)
def test_documents_are_built_or_served_with_warnings_as_errors(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], started: list[str]
) -> None:
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "")
    asked: list[str] = []
    monkeypatch.setattr(dev.Environment, "become", lambda _, *arguments: asked.extend(arguments))
    dev.show_documents(dev.Environment(tmp_path), arguments)
    assert asked == ["-m", "mkdocs", started[0], "--strict", *started[1:]]
