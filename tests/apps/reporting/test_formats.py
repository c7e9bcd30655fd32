"""Numbers and dates as people write them."""

from decimal import Decimal
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.statements.told import CALENDAR, ZONE, utc
from wolkvox_async.apps.reporting.formats import LANGUAGES, Formats
from wolkvox_async.apps.reporting.sparks import HEIGHT, WIDTH, spark
from wolkvox_async.apps.reporting.wording import TEXTS, Wording
from wolkvox_async.model import ErrorKind, GapReason
from wolkvox_async.statements import Lack, State

EN, ES = Formats("en", ZONE), Formats("es", ZONE)


@pytest.mark.parametrize(
    ("value", "english", "spanish"),
    [
        (1234567, "1,234,567", "1.234.567"),
        (Decimal("1234567.50"), "1,234,567.5", "1.234.567,5"),
        (-1000, "-1,000", "-1.000"),
        (0, "0", "0"),
        (Decimal("0.000012"), "0.000012", "0,000012"),
        (Decimal(100), "100", "100"),
        (12.5, "12.5", "12,5"),
        (None, "", ""),
        (Decimal("1E+300"), "1.000000E+300", "1,000000E+300"),
    ],
)
def test_numbers_are_grouped_as_the_language_does(value: Decimal | float | None, english: str, spanish: str) -> None:
    assert (EN.number(value), ES.number(value)) == (english, spanish)


@given(st.decimals(-(10**15), 10**15, places=4))
def test_a_written_number_can_be_read_back(value: Decimal) -> None:
    assert Decimal(EN.number(value).replace(",", "")) == value
    assert Decimal(ES.number(value).replace(".", "").replace(",", ".")) == value


def test_amounts_keep_their_decimals() -> None:
    assert EN.money(Decimal("1234.50")) == "1,234.50"
    assert ES.money(Decimal("0.00")) == "0,00"


def test_changes_have_signs_and_shares() -> None:
    assert (EN.signed(5), EN.signed(-5), EN.signed(0)) == ("+5", "-5", "0")
    assert (EN.percent(5, 40), ES.percent(-5, 40)) == ("+12.5%", "-12,5\u00a0%")
    assert (EN.percent(5, 0), EN.percent(None, 4), EN.percent(5_000, 1)) == ("", "", "")


def test_moments_months_and_lengths_are_written_out() -> None:
    begin, end = CALENDAR.moment(utc("2026-11-21 10:00")).at, CALENDAR.moment(utc("2026-11-21 10:20")).at
    assert EN.moment(begin) == "21\u00a0Nov\u00a02026\u00a010:00"
    assert ES.span(begin, end) == "21\u00a0nov\u00a010:00 \N{EN DASH} 10:20"
    assert EN.span(begin, begin) == "21\u00a0Nov\u00a010:00"
    assert EN.span(begin, end + 86_400_000).endswith("22\u00a0Nov\u00a010:20")
    assert (EN.month(2026 * 12 + 10), ES.month(2026 * 12 + 10)) == ("November 2026", "noviembre de 2026")
    assert ES.month(2026 * 12 + 10, begins=True) == "Noviembre de 2026"
    assert [EN.duration(ms).replace("\u00a0", " ") for ms in (60_000, 7_500_000, 90_000_000)] == [
        "1 min",
        "2 h 5 min",
        "1 d 1 h",
    ]


def test_both_languages_say_the_same_things_of_the_same_parts() -> None:
    english, spanish = TEXTS["en"], TEXTS["es"]
    assert set(english) == set(spanish)
    for key, text in english.items():
        parts = [sorted(name for _, name, _, _ in Formatter().parse(one) if name) for one in (text, spanish[key])]
        assert parts[0] == parts[1], key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_and_state_has_its_words(language: str) -> None:
    say = Wording(language)  # type: ignore[arg-type]
    dropped = {GapReason.CLOSING, ErrorKind.NOT_DUE}
    for reason in set(GapReason) - dropped:
        assert say.reason("gap", reason.value) != reason.value
    for kind in set(ErrorKind) - dropped:
        assert say.reason("error", kind.value) != kind.value
    assert say.reason("gap", "of_the_future") == "of_the_future"
    assert all(say(f"state_{state.value}") for state in State)
    assert all(f"lack_{lack.value}" in TEXTS[language] for lack in Lack)  # type: ignore[index]


@given(st.lists(st.none() | st.floats(-(10**9), 10**9), min_size=28, max_size=31), st.booleans())
def test_a_sparkline_stays_in_its_frame_and_shows_every_number(days: list[float | None], steps: bool) -> None:
    found = spark(days, steps=steps)
    assert (found is None) == all(value is None for value in days)
    if found is not None:
        points = [tuple(map(float, pair.split())) for one in found.lines for pair in one[1:].split("L")] + list(
            found.dots
        )
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
        assert {x for x, _ in points} >= {found.last[0]}
        assert len({x for x, _ in points}) == sum(value is not None for value in days)
