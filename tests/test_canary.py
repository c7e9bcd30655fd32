"""The canary finds what leaks: whole runs of pytest with tests that leak on purpose."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.canary import SHOWN, complaint, holds, leaks_in_exception, leaks_in_files
from wolkvox_async.model import Token

MADE_UP = "0123456789abcdef" * 3

LEAKY_MODULE = """
def fails_holding(secret):
    raise LookupError("nothing to see here")

def fails_saying(secret):
    raise LookupError(secret)
"""

TESTS_THAT_LEAK = """
import logging, os, sys
import pytest
from leaky import fails_holding, fails_saying

def test_to_standard_output(canary_text):
    print("the token is", canary_text)

def test_to_standard_error(canary):
    os.write(2, canary.reveal().encode())

def test_to_the_log(canary_text):
    logging.getLogger("some").warning("calling with %s", canary_text)

def test_to_a_file(canary_text, tmp_path):
    (tmp_path / "out").write_text("x" * 100 + canary_text)

def test_into_an_expected_exception(canary_text):
    with pytest.raises(LookupError):
        fails_saying(canary_text)

def test_into_a_local_variable_of_an_expected_exception(canary_text):
    with pytest.raises(LookupError):
        fails_holding({"wolkvox-token": canary_text})

def test_into_a_member_of_an_expected_group(canary_text):
    def fails_together():
        raise ExceptionGroup("all", [LookupError(canary_text)])
    with pytest.RaisesGroup(LookupError):
        fails_together()
"""

TESTS_THAT_DO_NOT = """
def test_says_nothing(canary):
    print(canary, [canary])

def test_keeps_it_where_it_may(secret_store, canary_text):
    (secret_store / "token").write_text(canary_text)

def test_looks_at_its_own_things(canary, assert_no_canary):
    assert_no_canary("a repr", canary)
"""

TEST_THAT_FAILS_SHOWING_IT = """
def test_compares(canary_text):
    assert canary_text == "something else"

def test_looks(canary_text, assert_no_canary):
    assert_no_canary("what a process printed", canary_text.encode())
"""

TEST_THAT_LEAVES_A_FILE_ELSEWHERE = """
def test_leaves(canary_text, tmp_path_factory, pytestconfig):
    (tmp_path_factory.mktemp("left") / "behind").write_text(canary_text)
    (pytestconfig.rootpath / "left-in-the-project").write_text(canary_text[:20])
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Run tests in a process of their own, with the canary of this project."""
    root = Path(__file__).parents[1]
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), str(root / "src"), str(pytester.path)]))
    pytester.makeconftest('pytest_plugins = ("tests.canary",)')
    pytester.makepyfile(leaky=LEAKY_MODULE)

    def run(source: str, *arguments: str) -> pytest.RunResult:
        folder = pytester.mkdir("tests")
        (folder / "test_inner.py").write_text(source)
        result = pytester.runpytest_subprocess(*arguments, str(folder))
        assert not re.search("[0-9a-f]{12}", result.stdout.str() + result.stderr.str())
        return result

    return run


@pytest.mark.parametrize("arguments", [(), ("-p", "xdist", "-n", "2")], ids=["alone", "with workers"])
def test_every_leak_fails_its_test_and_no_other(
    run: Callable[..., pytest.RunResult], arguments: tuple[str, ...]
) -> None:
    result = run(TESTS_THAT_LEAK + TESTS_THAT_DO_NOT, *arguments)
    result.assert_outcomes(passed=10, errors=7)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    for place in (
        "Captured stdout call",
        "Captured stderr call",
        "Captured log call",
        "file *test_to_a_file0/out",
        "arguments of LookupError",
        "local variable secret at *leaky.py:2 in the traceback of LookupError",
    ):
        result.stdout.fnmatch_lines_random([f"*  {place}"])


def test_a_failing_test_does_not_show_the_token(run: Callable[..., pytest.RunResult]) -> None:
    result = run(TEST_THAT_FAILS_SHOWING_IT)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines_random([f"*{SHOWN}*", "*  what a process printed"])


def test_files_left_anywhere_fail_the_run(run: Callable[..., pytest.RunResult]) -> None:
    result = run(TEST_THAT_LEAVES_A_FILE_ELSEWHERE)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines_random(["*  file *left0/behind", "*  file *left-in-the-project"])


def test_the_canary_is_the_tokens_text(canary: Token, canary_text: str) -> None:
    assert canary.reveal() == canary_text
    assert re.fullmatch("[0-9a-f]{48}", canary_text)


@pytest.mark.parametrize(
    "thing",
    [MADE_UP, MADE_UP.encode(), f"x{MADE_UP[:10]}", f"{MADE_UP[-10:]}x", {"a": [MADE_UP]}, bytearray(MADE_UP.encode())],
)
def test_an_end_of_the_token_is_a_find_in_whatever_it_stands(thing: object) -> None:
    assert holds(thing, MADE_UP)


@pytest.mark.parametrize("thing", ["", MADE_UP[:9], Token(MADE_UP), Token(MADE_UP).id, None])
def test_what_does_not_hold_the_token_is_no_find(thing: object) -> None:
    assert not holds(thing, MADE_UP)


def fails_twice() -> None:
    try:
        raise LookupError(MADE_UP)
    except LookupError:
        raise ValueError("clean") from None


def test_contexts_are_searched_even_when_they_are_not_shown() -> None:
    with pytest.raises(ValueError, match="clean") as failed:
        fails_twice()
    assert "arguments of LookupError" in leaks_in_exception(failed.value, MADE_UP)


def test_notes_are_searched() -> None:
    noted = ValueError("clean")
    assert leaks_in_exception(noted, MADE_UP) == []
    noted.add_note(f"sent {MADE_UP}")
    assert leaks_in_exception(noted, MADE_UP) == ["attributes of ValueError"]


def test_a_token_across_two_blocks_of_a_file_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "large").write_bytes(b"x" * ((1 << 20) - 8) + MADE_UP.encode())
    (tmp_path / "clean").write_bytes(b"x" * io.DEFAULT_BUFFER_SIZE)
    assert leaks_in_files(tmp_path, MADE_UP) == [f"file {folder / 'large'}"]
    assert leaks_in_files(tmp_path, MADE_UP, except_in=[folder]) == []


def test_a_place_is_told_once() -> None:
    assert complaint(["a", "b", "a"]) == "the canary token was found in:\n  a\n  b"
