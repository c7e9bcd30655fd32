"""What an output must look like, whoever wrote it."""

from __future__ import annotations

import pytest

from tests.judging.outputs import Output, miscounted, parse, question, torn_lines, uncommitted_rows
from tests.judging.samples import A, B, ended, mark, output, row, whole_call


def rules(found: Output) -> list[str]:
    """Return the names of what is broken in the lines themselves."""
    return [violation.rule for violation in (*torn_lines(found), *uncommitted_rows(found))]


def test_whole_calls_break_nothing() -> None:
    assert not rules(output(*whole_call(1), mark("empty", B), *whole_call(2), ended()))


@pytest.mark.parametrize(
    "rest",
    ['{"type":"call"', '{"type":"run"}', '{"type":"row","n"\n', "garbage\n", "[1]\n", '{"type":"other"}\n', "\n"],
)
def test_a_line_that_is_no_whole_record_is_torn(rest: str) -> None:
    assert rules(output(*whole_call(1), rest=rest)) == ["torn line"]


def test_a_torn_line_in_the_middle_is_seen() -> None:
    glued = parse("usage.jsonl", b'{"type":"row","ru{"type":"run"}\n' + b'{"type":"call"}\n')
    assert [violation.text for violation in torn_lines(glued)] == ["line 1 is no record"]


@pytest.mark.parametrize(
    "records",
    [
        [row(1, 1), row(2, 1)],
        [row(1, 1), row(2, 1), ended()],
        [row(1, 1), row(2, 1), *whole_call(2)],
        [row(1, 1), mark(rows=2)],
        [row(1, 1), row(2, 1), row(3, 1), mark(rows=2)],
        [row(2, 1), mark(rows=1)],
        [row(1, 1), row(3, 1), mark(rows=2)],
        [row(1, 1, call="other"), mark(rows=1)],
        [row(1, 1, run="other"), mark(rows=1)],
        [row(1, 1, api="vision"), mark(rows=1)],
        [row(1, 1), mark("empty", B), row(2, 1), mark(rows=2)],
        [mark(rows=1)],
    ],
)
def test_rows_that_no_call_record_commits_are_seen(records: list[dict[str, object]]) -> None:
    assert "uncommitted rows" in rules(output(*records))


def test_a_closing_record_that_says_what_its_calls_came_to_is_right() -> None:
    calls = [*whole_call(1), mark("failed", B)]
    assert not list(miscounted(output(*calls, ended(ok=1, failed=1, rows=2))))


def test_only_the_last_record_of_a_call_counts() -> None:
    calls = [mark("failed"), ended("stopped", failed=1), *whole_call(1)]
    assert not list(miscounted(output(*calls, ended(ok=1, rows=2))))


@pytest.mark.parametrize("wrong", [{"ok": 2, "rows": 2}, {"rows": 2}, {"ok": 1, "rows": 3}, {"ok": 1, "skipped": 1}])
def test_a_closing_record_that_says_something_else_is_seen(wrong: dict[str, int]) -> None:
    assert list(miscounted(output(*whole_call(1), {**ended(), **wrong})))


def test_what_was_asked_is_the_endpoint_with_its_window_and_parameters() -> None:
    window = {"from": "20261101000000", "to": "20261130235959"}
    record = mark(api="information/token_info", window=window, params={"b": "x y"})
    assert question(record) == (A, "token_info", "b=x+y&date_end=20261130235959&date_ini=20261101000000")
