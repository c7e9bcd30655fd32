"""The prices file."""

import re
from decimal import Decimal
from pathlib import Path

import jsonschema
import orjson
import pytest

from wolkvox_async.apps.reporting.price_shapes import prices_schema
from wolkvox_async.apps.reporting.prices import read_prices
from wolkvox_async.apps.reporting.program import EXAMPLE_PRICES
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.statements import Rounding, Tier

ROOT = Path(__file__).parent.parent.parent.parent


def written(folder: Path, text: str) -> str:
    """Write a file and return its name."""
    path = folder / "prices.json"
    path.write_text(text, encoding="utf-8")
    return str(path)


def mistakes(folder: Path, text: str) -> list[str]:
    """Return what is wrong, as LINE:COLUMN: message."""
    with pytest.raises(ConfigurationError) as caught:
        read_prices(written(folder, text))
    return [re.sub(r".*prices\.json:", "", str(one)) for one in caught.value.mistakes]


def test_the_example_is_right_and_is_the_one_of_the_demonstration() -> None:
    tariff = read_prices(str(ROOT / "prices.example.json")).tariff
    assert (tariff.currency, tariff.decimals, tariff.rounding) == ("USD", 2, Rounding.HALF_UP)
    assert tariff.prices["interactions"].tiers[0] == Tier(Decimal(10_000), Decimal("0.012"))
    assert EXAMPLE_PRICES.read_bytes() == (ROOT / "prices.example.json").read_bytes()


def test_the_schema_takes_the_example_and_refuses_what_is_refused() -> None:
    schema = prices_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    example = orjson.loads((ROOT / "prices.example.json").read_bytes())
    assert list(validator.iter_errors(example)) == []
    for wrong in ({}, {**example, "rounding": {"mode": "x"}}, {**example, "endpoints": {"x": {"price": "1,5"}}}):
        assert list(validator.iter_errors(wrong)) != []


def test_numbers_are_taken_digit_by_digit(tmp_path: Path) -> None:
    digits = "0.123456789012"
    text = (
        '{"currency":"COP","endpoints":{"interactions":{"price":%s},"vision":{"price":"%s"},"tts_chars":{"price":1}}}'
    )
    prices = read_prices(written(tmp_path, text % (digits, digits))).tariff.prices
    assert prices["interactions"].tiers[0].price == prices["vision"].tiers[0].price == Decimal(digits)
    assert prices["tts_chars"].tiers[0].price == 1


def test_the_billing_family_may_be_written_out(tmp_path: Path) -> None:
    text = '{"currency":"COP","endpoints":{"billing/interactions":{"price":"1"}}}'
    assert set(read_prices(written(tmp_path, text)).tariff.prices) == {"interactions"}


@pytest.mark.parametrize(
    ("currency", "rounding", "decimals"),
    [
        ("CLP", "", 0),
        ("JPY", "", 0),
        ("KWD", "", 3),
        ("COP", "", 2),
        ("$", "", 2),
        ("COP", '"decimals":0', 0),
        ("CLP", '"decimals":2', 2),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency_unless_others_are_named(
    tmp_path: Path, currency: str, rounding: str, decimals: int
) -> None:
    text = f'{{"currency":"{currency}","rounding":{{{rounding}}},"endpoints":{{"vision":{{"price":"0.37"}}}}}}'
    assert read_prices(written(tmp_path, text)).tariff.decimals == decimals


@pytest.mark.parametrize("mode", ["[]", "{}", "5", "null", '"off"'])
def test_a_mode_of_any_kind_that_is_none_is_a_mistake(tmp_path: Path, mode: str) -> None:
    text = f'{{"currency":"COP","rounding":{{"mode":{mode}}},"endpoints":{{"vision":{{"price":1}}}}}}'
    assert mistakes(tmp_path, text) == ["1:38: mode must be half-up or half-even or up or down"]


def test_every_mistake_is_said_at_once_with_its_place(tmp_path: Path) -> None:
    text = """{"curency": "COP", "rounding": {"decimals": 7, "mode": "off"},
"endpoints": {
 "interactions": {"tiers": [{"up_to": 10, "price": "1,5"}, {"price": -1}, {"up_to": 5, "price": 1e20}]},
 "vision": {},
 "tts_chars": {"price": null, "per": 0},
 "ivr_calls": 5,
 "asr_calls": {"price": 1, "tiers": []}, "amd_ai": {"tiers": {}}}}"""
    found = mistakes(tmp_path, text)
    assert [one.partition(": ")[0] for one in found] == sorted((one.partition(": ")[0] for one in found), key=_place)
    said = "\n".join(found)
    for part in (
        "the file has no currency",
        "unknown key 'curency': did you mean 'currency'?",
        "decimals must be from 0 to 6",
        "mode must be half-up or",
        'price is not a number: write digits with a decimal point, such as "12.50"',
        "only the last tier is without up_to",
        "price must not be negative",
        "the last tier has no up_to",
        "up_to must be more than 10",
        "the endpoint 'vision' must have either price or tiers",
        "per must be more than 0",
        "the endpoint 'ivr_calls' must be an object in { }, not a number",
        "the endpoint 'asr_calls' must have either price or tiers",
        "tiers must be a list in [ ], not an object",
    ):
        assert part in said


def _place(text: str) -> tuple[int, int]:
    line, column = text.split(":")
    return int(line), int(column)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("{", "ends too early"),
        ("[]", "the file must be an object in { }"),
        ('{"currency":"C P","endpoints":{}}', "currency must have 1 to 8 characters"),
        ('{"currency":"COP","endpoints":{}}', "endpoints is empty"),
        ('{"currency":"COP","currency":"USD","endpoints":{"vision":{"price":1}}}', "stands twice"),
        ('{"currency":"COP","endpoints":{"vision":{"price":true}}}', "price is not a number"),
        ('{"currency":"COP","endpoints":{"vision":{"tiers":[]}}}', "tiers is empty"),
        ('{"currency":["COP"],"endpoints":{"vision":{"price":1}}}', "currency must be text"),
        (
            '{"currency":"COP","endpoints":{"vision":{"price":1},\n"billing/vision":{"price":2}}}',
            "2:1: 'vision' has a price already",
        ),
    ],
)
def test_what_is_no_prices_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert any(said in one for one in mistakes(tmp_path, text))


def test_a_price_for_what_does_not_exist_is_a_mistake_once_the_records_are_known(tmp_path: Path) -> None:
    text = '{"currency":"COP","endpoints":{"interaction":{"price":1},\n"own_thing":{"price":1},"vision":{"price":1}}}'
    prices = read_prices(written(tmp_path, text))
    assert [str(one).rpartition("prices.json:")[2] for one in prices.mistakes(["own_thing"])] == [
        "1:32: no endpoint is called 'interaction': did you mean 'interactions'?"
    ]
    assert len(prices.mistakes([])) == 2
    prices = read_prices(written(tmp_path, '{"currency":"COP","endpoints":{\n "billing/nope":{"price":1}}}'))
    assert [str(one).rpartition("prices.json:")[2].partition(": ")[0] for one in prices.mistakes([])] == ["2:2"]
