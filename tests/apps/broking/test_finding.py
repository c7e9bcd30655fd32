"""The program is the first that is new enough; where there is none, what to do is said."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from wolkvox_async.apps.broking.finding import Program, find, version_of


def program(folder: Path, says: str, name: str = "nats-server") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    return path


def version(number: str) -> str:
    return f"echo 'nats-server: v{number}'"


@pytest.mark.parametrize(
    ("number", "is_new_enough"),
    [
        ("2.9.10", False),
        ("2.10.29", False),
        ("1.99.0", False),
        ("2.11.0", True),
        ("2.15.1", True),
        ("3.0.0", True),
        ("2.12.0-RC.1", True),
    ],
)
def test_a_version_is_compared_by_numbers(number: str, is_new_enough: bool) -> None:
    assert Program(Path("nats-server"), number).is_new_enough == is_new_enough


def test_what_is_on_the_path_comes_first(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    program(first, version("2.11.0"))
    program(second, version("2.15.1"))
    assert find(None, str(first), [second]) == Program(first / "nats-server", "2.11.0")


def test_an_old_one_on_the_path_gives_way_to_that_of_the_environment(tmp_path: Path) -> None:
    old, new = tmp_path / "a", tmp_path / "b"
    program(old, version("2.9.10"))
    program(new, version("2.15.1"))
    assert find(None, str(old), [new]).path == new / "nats-server"


def test_one_that_was_named_is_the_only_one_that_counts(tmp_path: Path) -> None:
    named, other = program(tmp_path / "a", version("2.9.10"), "mine"), tmp_path / "b"
    program(other, version("2.15.1"))
    with pytest.raises(ValueError, match=r"too old.*mine \(2\.9\.10\).*2\.11"):
        find(str(named), str(other), [other])


@pytest.mark.parametrize(
    ("named", "says"), [(None, "no nats-server on PATH.*pip install"), ("./nope", "'./nope' is no program")]
)
def test_where_there_is_none_it_is_said_what_to_do(tmp_path: Path, named: str | None, says: str) -> None:
    nowhere: Sequence[Path] = [tmp_path]
    with pytest.raises(ValueError, match=says):
        find(named, str(tmp_path), nowhere)


@pytest.mark.parametrize("says", ["echo 'gnats 2.15.1'", "exit 1", "echo 'nats-server: new'", "printf '\\377'"])
def test_what_does_not_say_its_version_has_none(tmp_path: Path, says: str) -> None:
    assert version_of(program(tmp_path / "a", says)) is None


def test_what_cannot_be_run_has_no_version(tmp_path: Path) -> None:
    assert version_of(tmp_path / "nowhere") is None
