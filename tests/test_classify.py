"""What each known answer means, that nothing unknown passes for success, and that no answer can hurt."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.classify import MEANINGS, RETRYABLE, classify, error, retry_after
from wolkvox_async.lines import call_lines
from wolkvox_async.model import (
    Answer,
    AttemptOutcome,
    Breakdown,
    Call,
    Empty,
    ErrorKind,
    Failed,
    Ok,
    Operation,
    Token,
)
from wolkvox_async.settlements import Settlement

NOW = datetime(2026, 11, 21, 21, 43, 47, tzinfo=UTC)
ROW = {"operation": "ACME BOG", "description": "Interacciones", "items": "12", "date": "2026-11-21"}
FOUND = "Information found for the current month"
CALL = Call("01K", Operation("acme", "bogota", "0010", Token("made-up-token")), "interactions", "billing", ())

MISSING = object()


def body(code: object = 200, error: object = None, msg: object = FOUND, data: object = None) -> bytes:
    fields = {"code": code, "error": error, "msg": msg, "data": [ROW] if data is None else data}
    return orjson.dumps({name: value for name, value in fields.items() if value is not MISSING})


def outcome(status: int, sent: bytes, **headers: Any) -> AttemptOutcome:
    return classify(Answer(status, sent, **headers), now=NOW)


def failure(status: int, sent: bytes, **headers: Any) -> Failed:
    result = outcome(status, sent, **headers)
    assert isinstance(result, Failed)
    return result


def kind(status: int, sent: bytes) -> str:
    result = outcome(status, sent)
    return result.error.kind.value if isinstance(result, Failed) else type(result).__name__.lower()


# --- success and emptiness


@pytest.mark.parametrize("status", [200, 201, 202, 299])
@pytest.mark.parametrize("code", [200, "200", 201, "202", 200.0, " 200 ", 0, "0", None, MISSING])
@pytest.mark.parametrize("complaint", [None, "null", MISSING, ""])
def test_an_answer_with_rows_is_ok(status: int, code: object, complaint: object) -> None:
    result = outcome(status, body(code, complaint))
    assert isinstance(result, Ok)
    assert (result.rows, result.status, result.msg) == ([ROW], status, FOUND)


def test_an_ok_answer_keeps_status_code_and_message_as_sent() -> None:
    assert outcome(201, body("0", msg=["a", 1])) == Ok([ROW], 201, 0, ["a", 1])


@pytest.mark.parametrize(
    "rows", [[ROW, ROW], [None], [[]], [0, "x", True, {}], [{}], [""], [{"operation": "TOTAL", "items": "1,234"}]]
)
def test_a_list_gives_its_elements_as_they_are(rows: list[Any]) -> None:
    assert outcome(200, body(data=rows)) == Ok(rows, 200, 200, FOUND)


def test_an_object_gives_one_row() -> None:
    assert outcome(200, body(data=ROW)) == Ok([ROW], 200, 200, FOUND)


@pytest.mark.parametrize("nothing", [b"null", b'""', b"[]", b"{}", b"[ ]"])
@pytest.mark.parametrize("code", [b"200", b'"200"', b"0", b'"0"', b"null"])
def test_success_without_data_is_empty(nothing: bytes, code: bytes) -> None:
    result = outcome(200, b'{"code":%b,"error":"null","msg":"x","data":%b}' % (code, nothing))
    assert isinstance(result, Empty)
    assert (result.status, result.msg) == (200, "x")


@pytest.mark.parametrize("data", ["No data", " ", "[]", 0, 12, 1.5, True, False])
def test_data_that_is_neither_list_nor_object_is_malformed_and_quoted(data: object) -> None:
    result = failure(200, body(data=data))
    assert result.error.kind is ErrorKind.MALFORMED
    assert result.error.message.startswith("data is neither a list nor an object but '")


def test_success_without_a_data_field_is_malformed() -> None:
    result = failure(200, body(data=MISSING))
    assert result.error.message == "the answer reports success but has no data field"
    assert (result.status, result.code, result.msg) == (200, 200, FOUND)


@pytest.mark.parametrize("nothing", [b"null", b'""', b"[]", b"{}"])
@pytest.mark.parametrize("complaint", ["SOMETHING FAILED", "none", True, ["x"], {"a": 1}, 5])
def test_an_empty_answer_that_complains_is_a_failure(nothing: bytes, complaint: object) -> None:
    result = failure(200, b'{"code":200,"error":%b,"msg":"x","data":%b}' % (orjson.dumps(complaint), nothing))
    assert result.error.kind is ErrorKind.MALFORMED
    assert "error says" in result.error.message


def test_rows_beside_a_complaint_are_kept() -> None:
    assert outcome(200, body(error="SOMETHING ODD")) == Ok([ROW], 200, 200, FOUND)


@pytest.mark.parametrize("status", [404, 200])
@pytest.mark.parametrize("code", [404, "404", 404.0])
@pytest.mark.parametrize("data", [None, "", [], [ROW], MISSING])
def test_404_in_the_vendors_envelope_is_empty(status: int, code: object, data: object) -> None:
    sent = {"code": code, "error": "NOT FOUND", "msg": "Validate dates entered", "data": data}
    result = outcome(status, orjson.dumps({name: value for name, value in sent.items() if value is not MISSING}))
    assert isinstance(result, Empty)
    assert (result.status, result.msg) == (status, "Validate dates entered")


@pytest.mark.parametrize("code", [200, "200", 0, None])
def test_404_outside_counts_more_than_success_inside(code: object) -> None:
    assert kind(404, body(code)) == "empty"


@pytest.mark.parametrize(
    "sent",
    [b"", b"<html>404 Not Found</html>", b"404 page not found", b"[]", b"null", b"{}", b'{"detail":"Not Found"}',
     b'{"code":404', b'{"msg":"\xff","code":404}', b'{"code":"NOT_FOUND","msg":"x"}', b'{"code":true}',
     b'{"code":302}', b'{"code":"","msg":"x"}'],
)  # fmt: skip
def test_404_without_the_vendors_envelope_is_malformed(sent: bytes) -> None:
    assert kind(404, sent) == "malformed"


# --- status against code

# Worst first, as the contract orders them; 418 stands for what it does not name, 302 and 600 for what says nothing.
WORST_FIRST = [401, 403, 429, 500, 503, 400, 418, 600, 404, 200, 201]
KINDS = {
    401: "unauthorized", 403: "maintenance", 429: "rate_limited", 500: "server_error", 503: "server_error",
    400: "bad_request", 418: "bad_request", 600: "malformed", 404: "empty", 200: "ok", 201: "ok",
}  # fmt: skip


@pytest.mark.parametrize("write", [int, str, float, "{}.0".format, " {} ".format])
@pytest.mark.parametrize("status", WORST_FIRST)
def test_the_worse_of_status_and_code_counts(status: int, write: Any) -> None:
    seen = {code: kind(status, body(write(code), msg="x")) for code in WORST_FIRST}
    assert seen == {code: KINDS[min(status, code, key=WORST_FIRST.index)] for code in WORST_FIRST}


@pytest.mark.parametrize("status", WORST_FIRST)
@pytest.mark.parametrize("code", [None, 0, "0", 0.0, "0.0", 200])
def test_a_body_without_a_status_of_its_own_leaves_the_http_status(status: int, code: object) -> None:
    assert kind(status, body(code, msg="x")) == KINDS[status]


def test_a_400_inside_counts_more_than_another_4xx_outside() -> None:
    assert kind(405, body(400, "BAD REQUEST", "THE API DOES NOT EXIST")) == "unknown_api"


def test_a_missing_code_leaves_the_http_status_but_404_needs_one_to_be_the_vendors() -> None:
    seen = {status: kind(status, body(MISSING, msg="x")) for status in WORST_FIRST}
    assert seen == {**KINDS, 404: "malformed"}


@pytest.mark.parametrize(
    "code", ["OK", "", "200 OK", "abc" * 100_000, True, False, [200], {"code": 200}, -1, 1, 7, 99, 199, 200.5, 300, 302,
             "399", 600, 1000, 1e300, 2**64 - 1, "9" * 15, "\x1b[2J\n"]
)  # fmt: skip
def test_a_code_that_says_nothing_never_passes_for_success_or_emptiness(code: object) -> None:
    for status in (200, 201, 404):
        result = failure(status, body(code))
        assert result.error.kind is ErrorKind.MALFORMED
        assert_one_line(result.error.message)
    assert kind(401, body(code)) == "unauthorized"
    assert kind(503, body(code)) == "server_error"


@pytest.mark.parametrize("status", [600, 999, 100, 101, 199])
def test_an_http_status_that_says_nothing_is_malformed_unless_the_body_says_worse(status: int) -> None:
    assert kind(status, body(200)) == kind(status, b"") == kind(status, b"<html>") == "malformed"
    assert kind(status, body(401)) == "unauthorized"


# --- the vendor's refusals

SPACINGS = [str, str.lower, str.title, lambda text: text.replace(" ", "   "), lambda text: text.replace(" ", "\r\n\t"),
            lambda text: f"\u00a0 {text.swapcase()} ", lambda text: f"Error: {text}!!"]  # fmt: skip


@pytest.mark.parametrize("spaced", SPACINGS)
@pytest.mark.parametrize("envelope", [lambda m: m, lambda m: [m], lambda m: {"text": m}, lambda m: [[{"a": [m]}]]])
@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (400, "API INTERACTIONZ DOES NOT EXIST", "unknown_api"),
        (400, "THE API DOES NOT EXIST", "unknown_api"),
        (400, "SOME PARAMETERS ARE REQUIRED", "bad_request"),
        (401, "PLEASE ENTER THE WOLKVOX-TOKEN", "unauthorized"),
        (403, "PLEASE VALIDATE TOKEN", "forbidden"),
        (403, "TOKEN INCORRECT", "forbidden"),
        (403, "THE TOKEN HAS EXPIRED", "forbidden"),
        (403, "TOKEN MALFORMED", "forbidden"),
        (403, "TOKEN LIMIT EXCEEDED", "quota"),
        (403, "EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN", "token_busy"),
        (403, "BACKUP IN PROGRESS", "maintenance"),
        (403, "ÁREA EN MANTENIMIENTO", "maintenance"),
    ],
)
def test_a_refusal_is_known_by_a_fragment_in_any_case_and_spacing(
    status: int, said: str, expected: str, spaced: Any, envelope: Any
) -> None:
    msg = envelope(spaced(said))
    assert kind(status, body(status, "FORBIDDEN", msg, "")) == expected
    assert kind(200, body(str(status), "null", msg, "")) == expected


@pytest.mark.parametrize("msg", [None, "", 0, False, [], {}, 5, True, ["x", None], {"a": None}, MISSING])
def test_a_403_without_words_is_a_maintenance_window(msg: object) -> None:
    assert kind(403, body(403, MISSING, msg)) == "maintenance"


def test_a_refusal_that_stands_under_error_is_seen_too() -> None:
    assert kind(403, body(403, "PLEASE VALIDATE TOKEN", None)) == "forbidden"
    assert kind(403, body(403, ["TOKEN LIMIT EXCEEDED"], None)) == "quota"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"PLEASE VALIDATE TOKEN", "forbidden"),
        (b"\xef\xbb\xbf  please\r\nvalidate  token \xff\xfe", "forbidden"),
        (b'{"code":403,"msg":"PLEASE VALIDATE TOKEN \xff"}', "forbidden"),
        (b'["TOKEN LIMIT EXCEEDED"]', "quota"),
        (
            b"<html><head><title>403 Forbidden</title></head><body><h1>Forbidden</h1><p>Please validate token",
            "forbidden",
        ),
        (b"", "maintenance"),
        (b"<html>back soon</html>", "maintenance"),
        (b"\x00\xff\x80", "maintenance"),
        (b" " * 5_000_000, "maintenance"),
    ],
)
def test_a_403_that_is_no_json_is_judged_by_its_beginning(sent: bytes, expected: str) -> None:
    assert kind(403, sent) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, "bad_request"), (401, "unauthorized"), (402, "bad_request"), (405, "bad_request"), (407, "bad_request"),
     (429, "rate_limited"), (499, "bad_request"), (500, "server_error"), (502, "server_error"), (503, "server_error"),
     (599, "server_error")],
)  # fmt: skip
@pytest.mark.parametrize("sent", [b"", b"<html>oops</html>", b"[]", b"oops", b"{}", b'{"a":[NaN]}'])
def test_an_error_status_counts_whatever_the_body_is(status: int, expected: str, sent: bytes) -> None:
    assert kind(status, sent) == expected


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "no body"),
        (b"<!DOCTYPE html><title>Wolkvox</title>", "web page"),
        (b"operation;items\nACME;12", "is not JSON ("),
        (b'{"code":200,"data":[{"items":NaN}]}', "is not JSON"),
        (b'{"code":200,"data":[{"items":1e999}]}', "is not JSON"),
        (b'{"code":200,"data":[{"items":18446744073709551616}]}', "integer beyond 64 bits"),
        (b'{"code":18446744073709551616,"data":[]}', "integer beyond 64 bits"),
        (b'{"code":200,"data":["\xff"]}', "is not JSON"),
        (b'{"code":200,"data":' + b"[" * 300 + b"]" * 300 + b"}", "nested deeper"),
        (b'{"code":200,"data":' + b"[" * 2000 + b"]" * 2000 + b"}", "is not JSON"),
        (b"[]", "no object: list"),
    ],
)
def test_a_success_that_cannot_be_read_is_malformed_with_the_reason(sent: bytes, reason: str) -> None:
    result = failure(200, sent)
    assert result.error.kind is ErrorKind.MALFORMED
    assert reason in result.error.message
    assert_one_line(result.error.message)
    assert (result.status, result.code) == (200, None)


def test_a_message_quotes_how_the_body_begins() -> None:
    assert failure(200, b"Service\r\n  down").error.message.endswith(": it begins 'Service down'")


# --- redirects and attempts without an answer


@pytest.mark.parametrize("status", range(300, 400))
def test_every_3xx_is_a_redirect_that_is_not_followed(status: int) -> None:
    assert kind(status, body()) == kind(status, b"") == "redirect"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://evil.example/steal?token=1", " to evil.example,"),
        ("//evil.example", " to evil.example,"),
        ("/login", "redirects,"),
        ("", "redirects,"),
        ("http://[::1", "redirects,"),
        ("https://user:password@evil.example:99999/", " to evil.example,"),
        ("https://\udcff\x1b\n.example", r" to \udcff\x1b.example,"),
    ],
)
def test_a_redirect_names_the_host_it_pointed_to_and_no_more(location: str, target: str) -> None:
    message = failure(302, b"", location=location).error.message
    assert target in message
    assert "check the base URL" in message
    assert "password" not in message
    assert "token" not in message
    assert_one_line(message)


@pytest.mark.parametrize("breakdown", ErrorKind)
def test_an_attempt_without_an_answer_keeps_its_kind_and_message(breakdown: ErrorKind) -> None:
    result = classify(Breakdown(breakdown, "no route: is your address allow-listed?", None), now=NOW)
    assert result == Failed(error(breakdown, "no route: is your address allow-listed?"))


@pytest.mark.parametrize(
    ("message", "shown"), [("", "tls"), (" \n", "tls"), ("a\r\nb\x1b[2J\udcff", r"a b\x1b[2J\udcff")]
)
def test_a_breakdowns_message_becomes_one_line_and_never_nothing(message: str, shown: str) -> None:
    result = classify(Breakdown(ErrorKind.TLS, message, 1.0), now=NOW)
    assert isinstance(result, Failed)
    assert result.error.message == shown


# --- what is said about it


def assert_one_line(message: str) -> None:
    assert message.strip()
    assert message.isprintable()
    assert len(message) < 1_000


@pytest.mark.parametrize(
    ("status", "said", "advice"),
    [
        (400, "API X DOES NOT EXIST", "check its spelling"),
        (400, "SOME PARAMETERS ARE REQUIRED", "check them"),
        (401, "PLEASE ENTER THE WOLKVOX-TOKEN", "check the token's reference"),
        (403, "PLEASE VALIDATE TOKEN", "generate a new one in wolkvox Manager"),
        (403, "TOKEN LIMIT EXCEEDED", "tomorrow"),
        (403, "EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN", "look for another program or person"),
        (403, "x", "call again later"),
        (429, "x", "call again later"),
        (503, "x", "call again later"),
        (405, "x", "check the base URL"),
    ],
)
def test_a_failure_says_what_to_do_and_what_the_vendor_said(status: int, said: str, advice: str) -> None:
    message = failure(status, body(status, "OOPS", f"{said}\n\x1b[2J")).error.message
    assert message.startswith(f"{status}: ")
    assert advice in message
    assert f"(it said: OOPS {said} " in message
    assert_one_line(message)


@pytest.mark.parametrize("sent", [body(503, None, None), body(503, "null", ""), b"", b" \n", b"\xef\xbb\xbf"])
def test_nothing_is_quoted_where_nothing_was_said(sent: bytes) -> None:
    assert failure(503, sent).error.message == "503: the server could not answer: call again later"


def test_nothing_is_quoted_of_an_answer_without_a_body() -> None:
    assert failure(200, b"").error.message == "the answer has no body"


def test_what_the_vendor_said_is_quoted_up_to_a_length() -> None:
    assert len(failure(503, body(503, msg="very long " * 100_000)).error.message) < 400


def test_status_and_code_are_reported_apart() -> None:
    result = failure(200, body("403", "FORBIDDEN", ["PLEASE VALIDATE TOKEN"]))
    assert (result.status, result.code, result.msg) == (200, 403, ["PLEASE VALIDATE TOKEN"])


def test_some_line_of_the_table_covers_every_error_status() -> None:
    covered = [status for status in range(400, 600) if any(meaning.covers(status, "") for meaning in MEANINGS)]
    assert covered == list(range(400, 600))
    assert not any(meaning.covers(status, "") for meaning in MEANINGS for status in range(200, 400))


def test_no_line_of_the_table_is_dead() -> None:
    said = [fragment for meaning in MEANINGS for fragment in meaning.fragments] + [""]
    answers = itertools.product(range(400, 600), said)
    first = {next(n for n, meaning in enumerate(MEANINGS) if meaning.covers(*answer)) for answer in answers}
    assert first == set(range(len(MEANINGS)))


def test_only_what_may_pass_by_itself_is_tried_again() -> None:
    assert sorted(RETRYABLE) == [
        "connect", "disconnected", "maintenance", "protocol", "rate_limited", "server_down", "server_error", "timeout",
        "token_busy",
    ]  # fmt: skip
    assert all(error(kind, "x").retryable is (kind in RETRYABLE) for kind in ErrorKind)


# --- Retry-After


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("0", 0.0), ("5", 5.0), (" 5 ", 5.0), ("120", 120.0), ("0" * 30 + "5", 5.0), ("3600", 3600.0),
        ("Sat, 21 Nov 2026 21:44:17 GMT", 30.0),
        ("Sat, 21 Nov 2026 21:44:17", 30.0),
        ("Sat, 21 Nov 2026 21:44:17 -0000", 30.0),
        ("Sat, 21 Nov 2026 16:44:17 -0500", 30.0),
        ("21 Nov 2026 21:44:17 UT", 30.0),
        ("Saturday, 21-Nov-26 21:44:17 GMT", 30.0),
        ("Sat, 21 Nov 2026 21:43:46 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
    ],
)  # fmt: skip
def test_a_pause_is_read_from_seconds_or_a_date(header: str, pause: float) -> None:
    assert retry_after(header, NOW) == pause
    for status in (429, 503, 403):
        assert failure(status, body(status), retry_after=header).retry_after == pause
        assert failure(status, b"busy", retry_after=header).retry_after == pause


@pytest.mark.parametrize(
    "header",
    ["", " ", "-5", "-0", "+5", "5.5", "1e3", "five", "5 s", "0x5", "\u0663", "²", "\uff15", "NaN", "inf",
     "-Infinity", "null",
     "Sat, 21 Nov 10000 21:44:17 GMT", "Sat, 31 Feb 2026 21:44:17 GMT", "Sat, 21 Nov 2026 25:61:61 GMT",
     "Sat, 21 Nov 2026 21:44:17 +9999", "Sat, 21 Nov 2026", "2026-11-21T21:44:17Z",
     "\udcff", "\x00", ",", "5, 10", "1" * 5000 + " Nov 2026 21:44:17 GMT"],
)  # fmt: skip
def test_a_pause_that_cannot_be_read_is_none(header: str) -> None:
    assert retry_after(header, NOW) is None


@pytest.mark.parametrize("header", ["1" + "0" * 30, "9" * 5000, "99999999999", "Fri, 31 Dec 9999 23:59:59 -2359"])
def test_an_absurd_pause_is_a_year_so_that_nobody_calls_back_early(header: str) -> None:
    assert retry_after(header, NOW) == timedelta(days=366).total_seconds()


def test_without_the_header_there_is_no_pause() -> None:
    assert retry_after(None, NOW) is None
    assert failure(429, body(429)).retry_after is None


@given(
    st.text(st.characters(), max_size=40) | st.from_regex(r"[A-Za-z]{3}, [0-9]{1,5} Nov [0-9]{1,7} [0-9:]{0,12} .{0,6}")
)
def test_any_text_gives_a_pause_within_bounds_or_none(header: str) -> None:
    pause = retry_after(header, NOW)
    assert pause is None or 0.0 <= pause <= timedelta(days=366).total_seconds()


# --- nothing can hurt

texts = st.text(max_size=20) | st.sampled_from(["PLEASE VALIDATE TOKEN", "200", "403", "\n\x1b[2J", "null", ""])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)
codes = st.sampled_from([200, 0, 400, 401, 403, 404, 429, 500, 503, "200", "403", 200.0, 1e300]) | values
envelopes = st.fixed_dictionaries({}, optional={"code": codes, "error": values, "msg": values, "data": values})
bodies = st.binary(max_size=60) | (envelopes | values).map(lambda sent: json.dumps(sent).encode("utf-8", "replace"))
headers = st.none() | st.text(st.characters(), max_size=30)
answers = st.builds(Answer, st.sampled_from([200, 404, 403, 503]) | st.integers(100, 999), bodies, headers, headers)
breakdowns = st.builds(Breakdown, st.sampled_from(ErrorKind), st.text(st.characters(), max_size=30), st.none())


@given(answers | breakdowns)
def test_whatever_comes_back_is_rows_nothing_or_a_named_error_with_one_line(met: Answer | Breakdown) -> None:
    result = classify(met, now=NOW)
    assert isinstance(result, Ok | Empty | Failed)
    if isinstance(result, Failed):
        assert_one_line(result.error.message)
        assert result.error.retryable is (result.error.kind in RETRYABLE)


@given(answers | breakdowns)
def test_every_outcome_can_be_written_and_read_back(met: Answer | Breakdown) -> None:
    result = classify(met, now=NOW)
    *rows, commit = map(json.loads, call_lines("01K", Settlement(CALL, result, 1, NOW, 0.1)).splitlines())
    assert commit["msg"] == getattr(result, "msg", None)
    assert [row["row"] for row in rows] == (result.rows if isinstance(result, Ok) else [])


@given(answers)
def test_ok_has_rows_and_success_on_both_sides(met: Answer) -> None:
    result = classify(met, now=NOW)
    if isinstance(result, Ok):
        assert result.rows
        assert 200 <= result.status <= 299
        assert result.code is None or result.code == 0 or 200 <= float(result.code) <= 299
    elif isinstance(result, Empty):
        assert met.status == 404 or 200 <= met.status <= 299


@pytest.mark.parametrize(("status", "kind"), [(401, "unauthorized"), (403, "maintenance")])
@pytest.mark.parametrize("cause", [ErrorKind.DISCONNECTED, ErrorKind.TIMEOUT, ErrorKind.MALFORMED, ErrorKind.TOO_LARGE])
def test_a_refusal_counts_though_its_body_cannot_be_read(status: int, kind: str, cause: ErrorKind) -> None:
    result = classify(Breakdown(cause, "made up", None, status), now=NOW)
    assert isinstance(result, Failed)
    assert (result.error.kind, result.status) == (kind, status)


def test_an_answer_that_could_not_be_read_keeps_its_status() -> None:
    result = classify(Breakdown(ErrorKind.DISCONNECTED, "made up", 1.0, 200), now=NOW)
    assert isinstance(result, Failed)
    assert (result.error.kind, result.status) == ("disconnected", 200)


def test_a_refusal_inside_a_redirect_is_a_refusal() -> None:
    assert kind(302, body(401, "UNAUTHORIZED", "PLEASE ENTER THE WOLKVOX-TOKEN")) == "unauthorized"
    assert kind(302, body(200)) == "redirect"
