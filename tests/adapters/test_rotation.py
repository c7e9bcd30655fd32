"""Names and turns of an output that is a file a day or a month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.adapters.jsonlines import is_rotating
from wolkvox_async.adapters.jsonlines.rotation import Template
from wolkvox_async.errors import ConfigurationError

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

MOMENTS = st.integers(0, 200_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
TEMPLATES = st.sampled_from(
    [
        "usage-{date}.jsonl.zst",
        "{month}",
        "{date}/usage.jsonl",
        "/data/{month}/a/b",
        "../x{date}y/z.zst",
        "a.b.{month}.zst",
    ]
)


def mistakes(text: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        Template.of(text)
    assert all(mistake.file == text for mistake in refused.value.mistakes)
    return str(refused.value)


class TestNames:
    @pytest.mark.parametrize(
        ("text", "first", "second"),
        [
            ("usage-{date}.jsonl.zst", "usage-2026-11-21.jsonl.zst", "usage-2026-11-21-2.jsonl.zst"),
            ("usage-{month}.jsonl", "usage-2026-11.jsonl", "usage-2026-11-2.jsonl"),
            ("{date}", "2026-11-21", "2026-11-21-2"),
            ("{date}.zst", "2026-11-21.zst", "2026-11-21-2.zst"),
            ("usage.{date}", "usage.2026-11-21", "usage.2026-11-21-2"),
            (".{date}.jsonl", ".2026-11-21.jsonl", ".2026-11-21-2.jsonl"),
            ("/v1.0/{date}/usage", "/v1.0/2026-11-21/usage", "/v1.0/2026-11-21/usage-2"),
            ("{date}/usage.jsonl.zst", "2026-11-21/usage.jsonl.zst", "2026-11-21/usage-2.jsonl.zst"),
        ],
    )
    def test_the_first_of_a_name_and_the_second(self, text: str, first: str, second: str) -> None:
        template = Template.of(text)
        period = template.period(NOON)
        assert (template.name(period), template.name(period, 2)) == (first, second)
        assert template.part(period) == first + ".part"

    @pytest.mark.parametrize(
        ("text", "packed"), [("{date}.zst", True), ("{date}.jsonl", False), ("a.zst/{date}", False)]
    )
    def test_only_the_end_of_the_name_says_that_it_is_compressed(self, text: str, packed: bool) -> None:
        assert Template.of(text).packed is packed

    @given(text=TEMPLATES, moment=MOMENTS)
    def test_a_part_is_found_again_in_its_folder(self, text: str, moment: datetime) -> None:
        template = Template.of(text)
        period = template.period(moment)
        part = template.part(period)
        inside = part if template.folder == "." else part.removeprefix(template.folder.removesuffix("/") + "/")
        assert template.period_in(inside.partition("/")[0]) == period

    @pytest.mark.parametrize(
        "entry",
        [
            "usage-2026-11-21.jsonl.zst",
            "usage-2026-11-21-2.jsonl.zst",
            "usage-2026-11-21.jsonl.zst.manifest.json",
            "usage-2026-11-21.jsonl.zst.manifest.json.part",
            "usage-2026-02-30.jsonl.zst.part",
            "usage-0000-01-01.jsonl.zst.part",
            "usage-9999-12-31.jsonl.zst.part",
            "usage-2026-1-1.jsonl.zst.part",
            "usage-٢٠٢٦-01-01.jsonl.zst.part",
            "usage-2026-11.jsonl.zst.part",
            "usage-2026-11-21xjsonl.zst.part",
            "old-usage-2026-11-21.jsonl.zst.part",
        ],
    )
    def test_what_a_template_does_not_make_is_no_part_of_its(self, entry: str) -> None:
        assert Template.of("usage-{date}.jsonl.zst").period_in(entry) is None


class TestTurns:
    @given(text=TEMPLATES, moment=MOMENTS)
    def test_every_moment_is_in_its_period_and_the_next_begins_where_it_ends(self, text: str, moment: datetime) -> None:
        template = Template.of(text)
        period = template.period(moment)
        assert period.start <= moment < period.end
        assert period.holds(moment)
        following = template.period(period.end)
        assert following.start == period.end
        assert following.name > period.name

    def test_a_day_is_one_of_utc_whatever_the_clock_says_it_in(self) -> None:
        evening = datetime(2026, 11, 30, 20, tzinfo=timezone(timedelta(hours=-5)))
        assert Template.of("{date}").period(evening).name == "2026-12-01"
        assert Template.of("{month}").period(evening).name == "2026-12"

    def test_a_file_turns_with_the_first_moment_of_the_next_period(self) -> None:
        period = Template.of("{month}").period(NOON)
        turn = datetime(2026, 12, 1, tzinfo=UTC)
        assert period.holds(turn - timedelta(microseconds=1))
        assert not period.holds(turn)

    def test_a_clock_set_back_a_little_does_not_open_the_old_file_again(self) -> None:
        period = Template.of("{date}").period(NOON)
        assert period.holds(period.start - timedelta(minutes=59))
        assert not period.holds(period.start - timedelta(minutes=61))


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "what"),
        [
            ("usage-{day}.jsonl", "{day} stands for nothing here"),
            ("{}.jsonl", "{} stands for nothing here"),
            ("{DATE}", "{DATE} stands for nothing here"),
            ("{date}-{hour}", "{hour} stands for nothing here"),
            ("{date:%Y}", "{date:%Y} stands for nothing here"),
            ("usage.jsonl", "exactly one placeholder"),
            ("{month}/{date}.jsonl", "exactly one placeholder"),
            ("{date}{date}", "exactly one placeholder"),
            ("{{date}}", "a brace without its other one"),
            ("{date}}", "a brace without its other one"),
            ("{date}/", "this names a folder"),
            ("{date}/..", "this names a folder"),
            ("{date}\0", "null character"),
        ],
    )
    def test_a_template_that_cannot_be_meant_is_refused_with_advice(self, text: str, what: str) -> None:
        assert what in mistakes(text)

    def test_all_mistakes_are_said_at_once(self) -> None:
        said = mistakes("{day}-{hour}}/")
        assert len(said.splitlines()) == 4
        assert "`{date}` makes a file a day, `{month}` one a month" in said

    @pytest.mark.parametrize(
        ("target", "rotates"),
        [
            ("usage-{date}.jsonl", True),
            ("{day}", True),
            ("{}", True),
            ("-", False),
            ("usage.jsonl", False),
            ("a{b", False),
        ],
    )
    def test_a_name_with_something_in_braces_is_taken_for_a_template(self, target: str, rotates: bool) -> None:
        assert is_rotating(target) is rotates
