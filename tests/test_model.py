"""A token shows itself nowhere; a server is a name however it is written."""

import copy
import dataclasses
import json
import logging
import pickle
import pprint
import traceback

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wolkvox_async.fields import timestamp
from wolkvox_async.model import Call, ErrorKind, Operation, Slot, Token, normalise_server

CANARY = "canary-5f2c8e9b71d04a36"

visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=512)


@pytest.fixture
def token() -> Token:
    return Token(CANARY)


@pytest.fixture
def operation(token: Token) -> Operation:
    return Operation("acme", "bogota", "0010", token)


@pytest.fixture
def call(operation: Operation) -> Call:
    return Call("01K", operation, "interactions", "billing", (("api", "interactions"),))


@given(visible)
def test_a_token_gives_its_text_away_only_through_reveal(text: str) -> None:
    assume(text not in "Token(tk_0123456789abcdef)")
    token = Token(text)
    assert token.reveal() == text
    assert all(text not in shown for shown in (repr(token), str(token), f"{token}", ascii(token), token.id))


def test_a_tokens_id_is_the_beginning_of_its_digest() -> None:
    assert Token("test1234").id == "tk_937e8d5fbb48"
    assert repr(Token("test1234")) == "Token(tk_937e8d5fbb48)"


@pytest.mark.parametrize("show", [repr, str, ascii, pprint.pformat, "{}".format, "%s".__mod__, "{0!r}".format])
def test_nothing_that_holds_a_token_prints_it(show: object, token: Token, operation: Operation, call: Call) -> None:
    for holder in (token, operation, call, [token], {token: token}):
        assert CANARY not in show(holder)  # type: ignore[operator]
    assert token.id in show(call)  # type: ignore[operator]


def test_a_log_line_about_a_call_names_the_token_by_its_id(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("%s %r", call, {"token": call.operation.token})
    assert CANARY not in caplog.text
    assert call.operation.token.id in caplog.text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_token_is_not_pickled_nor_is_what_holds_it(protocol: int, token: Token, call: Call) -> None:
    for thing in (token, call, call.operation):
        with pytest.raises(TypeError, match=r"neither pickled nor copied|cannot be pickled") as caught:
            pickle.dumps(thing, protocol)
        assert CANARY not in str(caught.value)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda token: dataclasses.asdict(
    Operation("acme", "bogota", "0010", token))])  # fmt: skip
def test_a_token_is_not_copied(duplicate: object, token: Token) -> None:
    with pytest.raises(TypeError, match="reference"):
        duplicate(token)  # type: ignore[operator]


def test_a_token_has_no_attributes_to_list_and_no_json(token: Token) -> None:
    with pytest.raises(TypeError):
        vars(token)
    with pytest.raises(TypeError):
        json.dumps(token)
    with pytest.raises(TypeError) as caught:
        orjson.dumps({"token": token})
    assert CANARY not in str(caught.value)
    assert CANARY not in json.dumps({"token": token}, default=str)


@given(visible, st.binary(max_size=20), st.binary(max_size=20))
def test_an_answer_that_repeats_the_token_is_told_its_id_instead(text: str, before: bytes, after: bytes) -> None:
    token = Token(text)
    for spelling in (text, json.dumps(text)[1:-1], json.dumps(text)[1:-1].replace("/", "\\/")):
        redacted = token.redact(before + b'"' + spelling.encode() + b'"' + after)
        assert spelling.encode() not in redacted.replace(token.id.encode(), b"")
        assert token.id.encode() in redacted


def test_an_answer_that_does_not_repeat_the_token_stays_as_it_is(token: Token) -> None:
    assert token.redact(b'{"msg":"canary"}') == b'{"msg":"canary"}'
    assert token.redact(b'["%b","%b"]' % (CANARY.encode(), CANARY.encode())) == b'["tk_ID","tk_ID"]'.replace(
        b"tk_ID", token.id.encode()
    )


@given(visible, visible)
def test_tokens_are_equal_when_their_texts_are(one: str, other: str) -> None:
    assert Token(one) == Token(one)
    assert hash(Token(one)) == hash(Token(one))
    assert (Token(one) == Token(other)) is (one == other)
    assert len({Token(one), Token(one), Token(other)}) == len({one, other})


def test_a_token_is_not_its_text_nor_its_id(token: Token) -> None:
    assert token != CANARY
    assert token != token.id


@pytest.mark.parametrize("length", [8, 9, 511, 512])
def test_a_token_has_8_to_512_characters(length: int) -> None:
    assert len(Token("x" * length).reveal()) == length


@pytest.mark.parametrize("length", [0, 1, 7, 513, 1_000_000])
def test_another_length_is_refused_and_said(length: int) -> None:
    with pytest.raises(ValueError, match=f"8 to 512 characters, this one has {length}$"):
        Token("x" * length)


@pytest.mark.parametrize(
    "odd",
    [
        " ",
        "\n",
        "\t",
        "\r",
        "\0",
        "\x1f",
        "\x7f",
        "\x80",
        "\xa0",
        "é",
        "\uff41",
        "\u0663",
        "\u200b",
        "\ufeff",
        "\ud800",
        "😀",
    ],
)
@pytest.mark.parametrize("template", ["{}canary-0123", "canary{}-0123", "canary-0123{}"])
def test_anything_but_visible_ascii_is_refused_without_showing_it(odd: str, template: str) -> None:
    text = template.format(odd)
    with pytest.raises(ValueError, match="visible ASCII") as caught:
        Token(text)
    printed = "".join(traceback.format_exception(caught.value)) + repr(caught.value.args)
    assert "canary" not in printed


@pytest.mark.parametrize(
    "spelling",
    [
        "0010", "wv0010", "WV0010", "Wv0010", "wv0010.wolkvox.com", "https://wv0010.wolkvox.com",
        "https://wv0010.wolkvox.com/", "HTTPS://WV0010.WOLKVOX.COM/", "http://wv0010.wolkvox.com",
        "https://wv0010.wolkvox.com:443/", "https://wv0010.wolkvox.com/api/v2/billing.php?api=interactions",
        "https://wv0010.wolkvox.com?x", "https://wv0010",
    ],
)  # fmt: skip
def test_a_server_is_its_name_however_people_write_it(spelling: str) -> None:
    assert normalise_server(spelling) == "0010"


@pytest.mark.parametrize(
    ("spelling", "name"), [("wv10", "10"), ("10", "10"), ("0004", "0004"), ("4", "4"), ("sim-3", "sim-3")]
)
def test_a_servers_name_stays_text_and_nothing_is_filled_up(spelling: str, name: str) -> None:
    assert normalise_server(spelling) == name


@pytest.mark.parametrize(
    "odd",
    [
        "", "wv", "wv0010.evil.com", "https://wv0010.wolkvox.com.evil.com", "https://evil.com/wv0010.wolkvox.com",
        "https://user@wv0010.wolkvox.com", "https://wv0010.wolkvox.com@evil.com", "wv0010\n", " wv0010", "wv00 10",
        "ftp://wv0010.wolkvox.com", "https://wv0010.wolkvox.com/\nx", "wv0010.wol\u212avox.com", "wv001\u0660",
        "https://wv0010.wolkvox.com:x", "wv{server}", "wv../x",
    ],
)  # fmt: skip
def test_what_is_no_spelling_of_a_server_stays_as_it_is_to_be_refused(odd: str) -> None:
    assert normalise_server(odd) == odd


@given(st.text(st.sampled_from("0123456789abcXYZ-"), min_size=1, max_size=12))
def test_every_spelling_of_a_name_gives_that_name(name: str) -> None:
    assert normalise_server(f"wv{name}") == normalise_server(f"https://WV{name}.wolkvox.com/") == name


def test_an_operation_is_addressed_by_tenant_and_name(operation: Operation) -> None:
    assert operation.path == "acme/bogota"


def test_a_call_can_stand_in_a_set(call: Call) -> None:
    assert len({call, dataclasses.replace(call), dataclasses.replace(call, id="01L")}) == 2


def test_the_error_kinds_are_those_of_the_records() -> None:
    assert " ".join(ErrorKind) == (
        "unauthorized forbidden quota token_busy maintenance bad_request unknown_api rate_limited server_error "
        "server_down timeout connect disconnected tls redirect malformed too_large protocol held not_due stopping"
    )


@given(st.lists(st.booleans(), min_size=24, max_size=24))
def test_a_token_is_found_in_an_answer_whichever_of_its_characters_are_escaped(escaped: list[bool]) -> None:
    text = "8ca21dc854394f59\"/\\<&'x"[:23] + "z"
    token = Token(text)
    written = "".join(f"\\u{ord(c):04X}" if e or c in '"\\' else c for c, e in zip(text, escaped, strict=True))
    answer = token.redact(b'{"msg":"' + written.encode() + b'","n":"\\\\u0041"}')
    assert orjson.loads(answer) == {"msg": token.id, "n": "\\u0041"}


@given(st.integers(0, 4_102_444_800_000))
def test_a_slot_is_written_as_records_write_moments(due: int) -> None:
    assert Slot(due, due).text == timestamp(Slot(due, due).at)
