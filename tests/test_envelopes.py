"""What is an envelope, what is none and why, and that every accepted one can be written out again."""

import json
import string
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.envelopes import MAX_DEPTH, Envelope, NotAnEnvelope, as_text, open_envelope, read_code

BOM = b"\xef\xbb\xbf"
TOO_BIG = [2**64, -(2**63) - 1, 10**19 * 2, 10**20, -(10**19), 10**30, 10**300, -(10**308)]
BIGGEST = [2**64 - 1, -(2**63), 10**18, 2**63, 9_007_199_254_740_993]

# Wherever a value can stand.
PLACES = [
    '{{"code":{}}}', '{{"code":200,"data":{}}}', '{{"code":200,"msg":{}}}', '{{"data":[{}]}}',
    '{{"data":[{{"items":{}}}]}}',
    '{{"data":[1,{},2]}}', '{{"data":[1, \n{}\t]}}', '{{"data":[[[[{{"a":[{{"b":{}}}]}}]]]]}}', '{{"a\\"b":{}}}',
    '{{"a\\\\":{}}}', '{{"msg":"1,","code" : {} }}', '{{"é":"\\u00e9","b":{}}}',
]  # fmt: skip


def opened(body: bytes | str) -> Envelope:
    envelope = open_envelope(body if isinstance(body, bytes) else body.encode())
    assert isinstance(envelope, Envelope)
    return envelope


def refused(body: bytes | str) -> NotAnEnvelope:
    envelope = open_envelope(body if isinstance(body, bytes) else body.encode())
    assert isinstance(envelope, NotAnEnvelope)
    return envelope


def nested(depth: int, opening: str, closing: str, core: str) -> str:
    return opening * depth + core + closing * depth


def test_an_object_is_an_envelope_with_its_fields_as_sent() -> None:
    envelope = opened('{"code":200,"error":null,"msg":"Información","data":[{"items":"12"}],"more":1.5}')
    assert envelope.fields == {
        "code": 200, "error": None, "msg": "Información", "data": [{"items": "12"}], "more": 1.5
    }  # fmt: skip
    assert (envelope.code, envelope.msg, envelope.complaint) == (200, "Información", "")


@pytest.mark.parametrize("space", [b"", b" ", b"\r\n\t "])
def test_a_byte_order_mark_and_white_space_are_tolerated(space: bytes) -> None:
    assert opened(BOM + space + b'{"code":200}' + space).code == 200


def test_of_a_key_that_comes_twice_the_last_one_counts() -> None:
    assert opened('{"code":200,"code":403}').code == 403


def test_missing_fields_are_nothing() -> None:
    envelope = opened("{}")
    assert (envelope.code, envelope.msg, envelope.complaint) == (None, None, "")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no body"),
        (b"   \r\n", "no body"),
        (BOM, "no body"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"  \n<HTML><body>", "web page"),
        (b'<?xml version="1.0"?>', "web page"),
        (b"operation,items\nACME,12\n", "answer is not JSON"),
        (b"Service Unavailable", "answer is not JSON"),
        (b"[]", "no object: list"),
        (b'[{"code":200}]', "no object: list"),
        (b"null", "no object: NoneType"),
        (b"200", "no object: int"),
        (b'"ok"', "no object: str"),
        (b'{"code":200', "answer is not JSON"),
        (b'{"code":200}{"code":200}', "answer is not JSON"),
        (b'{"code":200}\0', "answer is not JSON"),
        (b"{'code':200}", "answer is not JSON"),
        (b'{"code":0200}', "answer is not JSON"),
        (b'{"msg":"\xff"}', "answer is not JSON"),
        (b'{"msg":"\xc3"}', "answer is not JSON"),
        (b'{"msg":"\xed\xa0\x80"}', "answer is not JSON"),
        (b'{"\xff":1}', "answer is not JSON"),
        (b'{"msg":"\xc0\x80"}', "answer is not JSON"),
        ('{"msg":"é"}'.encode("latin-1"), "answer is not JSON"),
        ('{"code":200}'.encode("utf-16"), "answer is not JSON"),
        (rb'{"msg":"\ud800"}', "answer is not JSON"),
        (rb'{"msg":"\udc00\ud800"}', "answer is not JSON"),
        (rb'{"\ud800":1}', "answer is not JSON"),
        (b'{"msg":"\x00"}', "answer is not JSON"),
        (b"\x1f\x8b\x08\x00", "answer is not JSON"),
        (b'{"a":' * 2000, "answer is not JSON"),
    ],
)
def test_anything_else_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    assert reason in refused(body).reason


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "nan", "1e999", "-1e400", "1E+309", "9" * 400])
@pytest.mark.parametrize("place", PLACES)
def test_a_number_that_is_none_is_refused_wherever_it_stands(place: str, number: str) -> None:
    assert "answer is not JSON" in refused(place.format(number)).reason


@pytest.mark.parametrize("number", TOO_BIG)
@pytest.mark.parametrize("place", PLACES)
def test_an_integer_beyond_64_bits_is_refused_wherever_it_stands(place: str, number: int) -> None:
    assert refused(place.format(number)).reason == "the answer holds an integer beyond 64 bits"


@pytest.mark.parametrize("number", BIGGEST)
@pytest.mark.parametrize("place", PLACES)
def test_an_integer_of_64_bits_is_exact_wherever_it_stands(place: str, number: int) -> None:
    text = place.format(number)
    assert opened(text).fields == json.loads(text)


@pytest.mark.parametrize(
    "around", ["{}", " {} ", ", {},", "a:{}", '\\"{}', '\\"{}\\"', "\\\\{}", "[{}]", ":-{}}}", "\\n{}\\n"]
)
def test_digits_inside_text_may_be_as_many_as_they_like(around: str) -> None:
    texts = [place.format(f'"{around.format(number)}"') for place in PLACES for number in TOO_BIG]
    assert [opened(text).fields for text in texts] == [json.loads(text) for text in texts]


@pytest.mark.parametrize("number", TOO_BIG)
def test_digits_inside_a_key_are_text_too(number: int) -> None:
    assert opened(f'{{"{number}":1,"data":{{"a {number}":2}}}}').fields[str(number)] == 1


@pytest.mark.parametrize(
    "number",
    [
        "0.12345678901234567890123", "1.00000000000000000000000000001", "12345678901234567890.5",
        "-123456789012345678901.0", "1e-12345678901234567890", "1.5e10", "12345678901234567890123e0",
        "12345678901234567890123E-2", "1e22", "-0.0", "0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", PLACES)
def test_a_number_with_a_fraction_or_an_exponent_is_read_as_any_parser_does(place: str, number: str) -> None:
    text = place.format(number)
    assert opened(text).fields == json.loads(text)


def test_a_big_integer_is_found_behind_text_full_of_digits_and_quotes() -> None:
    rows = [{"id": f'{n:030}"\\', "note": ', 12345678901234567890123: "'} for n in range(50)]
    body = json.dumps({"code": 200, "data": rows})
    assert opened(body).fields["data"] == rows
    assert "64 bits" in refused(body.replace('"code": 200', f'"code": {2**64}')).reason
    assert "64 bits" in refused(body[:-1] + f',"z":{2**64}}}').reason


@pytest.mark.parametrize(
    ("opening", "closing", "levels"),
    [("[", "]", 1), ('{"a":', "}", 1), ('[{"a":', "}]", 2), ('[0,{"a":[],"b":', "}]", 2)],
)
@pytest.mark.parametrize("core", ["null", '"x"', "1.5"])
@pytest.mark.parametrize("field", ["data", "msg", "code", "error", "other"])
def test_nesting_is_accepted_as_deep_as_it_can_be_written_and_no_deeper(
    field: str, opening: str, closing: str, levels: int, core: str
) -> None:
    fits = (MAX_DEPTH - 1) // levels
    envelope = opened(f'{{"{field}":{nested(fits, opening, closing, core)}}}')
    assert orjson.loads(orjson.dumps(envelope.fields)) == envelope.fields
    too_deep = refused(f'{{"{field}":{nested(fits + 1, opening, closing, core)}}}')
    assert too_deep.reason == f"the answer is nested deeper than {MAX_DEPTH} levels"


def test_many_shallow_boxes_are_not_deep() -> None:
    assert len(opened('{"data":[' + ",".join(['{"a":[]}'] * 5000) + "]}").fields["data"]) == 5000


def test_brackets_inside_text_are_not_nesting() -> None:
    text = "[{" * 3000
    assert opened(json.dumps({"msg": text})).msg == text


def test_a_refused_body_is_quoted_by_its_beginning_only() -> None:
    found = refused("é" * 5_000_000)
    assert found.beginning.startswith("éééé")
    assert len(found.beginning) <= 1_000


def test_a_beginning_is_text_whatever_the_bytes_are() -> None:
    assert refused(b"\xff\xfe\x00\x80").beginning == "\ufffd\ufffd\x00\ufffd"


leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.sampled_from(TOO_BIG + BIGGEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(string.digits + '\\",:[]{}- é', max_size=30)
)
documents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)


def integers(value: Any) -> list[int]:
    if isinstance(value, dict | list):
        return [n for inner in (value.values() if isinstance(value, dict) else value) for n in integers(inner)]
    return [value] if type(value) is int else []


@given(st.dictionaries(st.sampled_from(["code", "data", "msg", "error"]), documents), st.sampled_from([None, 1]))
def test_a_document_is_accepted_unchanged_exactly_when_its_integers_fit(document: dict[str, Any], indent: int) -> None:
    found = open_envelope(json.dumps(document, indent=indent, ensure_ascii=False).encode())
    if all(-(2**63) <= number < 2**64 for number in integers(document)):
        assert found == Envelope(document)
    else:
        assert isinstance(found, NotAnEnvelope)
        assert "64 bits" in found.reason


pieces = st.sampled_from(['{"a":', "[", "]", "}", '"', "\\", ",", "1" * 25, "-", ".", "e", ' "x"', "\xff"])


@given(st.binary() | st.lists(pieces).map("".join).map(str.encode))
def test_whatever_is_accepted_can_be_written_out_and_read_back(body: bytes) -> None:
    found = open_envelope(body)
    if isinstance(found, Envelope):
        assert orjson.loads(orjson.dumps(found.fields)) == found.fields
    else:
        assert found.reason.isprintable()


@given(st.integers(1, 400), st.sampled_from(["[", '{"a":']), st.sampled_from(["[", '{"b":']), st.integers(0, 3))
def test_accepted_nesting_can_be_written_and_refused_nesting_could_not(
    depth: int, one: str, other: str, pad: int
) -> None:
    boxes = [(one, other)[n % 2] for n in range(depth)]
    core = "".join(boxes) + "null" + "".join("]" if box == "[" else "}" for box in reversed(boxes))
    found = open_envelope(f'{{"data":{" " * pad}{core}}}'.encode())
    assert isinstance(found, Envelope) is (depth < MAX_DEPTH)
    if isinstance(found, Envelope):
        assert orjson.loads(orjson.dumps({"row": found.fields["data"]}))["row"] == found.fields["data"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (200, 200), ("200", 200), (" 200 ", 200), ("0", 0), (0, 0), (403.0, 403.0), ("403.0", 403.0), ("-1", -1),
        ("0200", 200), (None, None), ("", ""), ("OK", "OK"), ("200 OK", "200 OK"), ("2e2", "2e2"), ("1,234", "1,234"),
        ("+200", "+200"), ("0x190", "0x190"), ("nan", "nan"), ("Infinity", "Infinity"),
        ("\u0664\u0660\u0663", "\u0664\u0660\u0663"),
        ("²", "²"),
        ("9" * 16, "9" * 16), ("1_000", "1_000"), (True, "true"), (False, "false"), ([403], "[403]"),
        ({"a": "é"}, '{"a":"é"}'), ([], "[]"),
    ],
)  # fmt: skip
def test_a_code_is_a_number_when_it_reads_as_one(sent: object, code: object) -> None:
    read = read_code(sent)
    assert (read, type(read)) == (code, type(code))
    assert opened(orjson.dumps({"code": sent})).code == code


@pytest.mark.parametrize("nothing", [None, "null", "", False, 0, [], {}])
def test_an_error_field_that_says_nothing_is_no_complaint(nothing: object) -> None:
    assert opened(orjson.dumps({"error": nothing})).complaint == ""


@pytest.mark.parametrize(
    ("error", "complaint"),
    [
        ("FORBIDDEN", "FORBIDDEN"),
        ("none", "none"),
        (True, "true"),
        (403, "403"),
        (["a", 1], '["a",1]'),
        ({"é": None}, '{"é":null}'),
    ],
)
def test_an_error_field_that_says_something_is_a_complaint(error: object, complaint: str) -> None:
    assert opened(orjson.dumps({"error": error})).complaint == complaint


@given(documents.filter(lambda value: all(abs(number) < 2**63 for number in integers(value))))
def test_a_value_as_text_is_itself_or_its_json(value: Any) -> None:
    text = as_text(value)
    assert text == value if isinstance(value, str) else orjson.loads(text) == value
