"""The faults by name: what the service is known to do, and what a server can do at worst.

`FAULTS` is what `--fault NAME` and `Profile.faults` choose from. For a variation of one,
use `dataclasses.replace`; for a script in text, `parse_script`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from .answers import FOUND, SIMULTANEOUS, envelope
from .faults import (
    LATER,
    ROW,
    TRAP,
    USUAL,
    Bomb,
    Cut,
    Drip,
    Effect,
    Ending,
    Endless,
    Fault,
    Huge,
    Raw,
    Script,
    Silence,
    Unasked,
    Whole,
)

_GRANTED: Final = Effect.GRANTED
_REFUSED: Final = Effect.REFUSED
_STRANGER: Final = (
    b'{"code":200,"error":null,"msg":"Information found for the current month","data":'
    b'[{"operation":"SOMEBODY ELSE","description":"Unasked","items":"666","date":"1999-12-31"}]}'
)
_UNASKED: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(_STRANGER),
    _STRANGER,
)
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_CHUNKED: Final = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_HTML: Final = (
    b"<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>"
)


def _refusals() -> Iterator[Fault]:
    def said(name: str, status: int, error: str, msg: str, effect: Effect = Effect.NEITHER) -> Fault:
        return Fault(name, f"{status} {msg}", status, envelope(status, error, msg), effect=effect)

    yield said("no-token", 401, "UNAUTHORIZED", "PLEASE ENTER THE WOLKVOX-TOKEN", _REFUSED)
    yield said("refused", 403, "FORBIDDEN", "PLEASE VALIDATE TOKEN", _REFUSED)
    yield said("expired", 403, "FORBIDDEN", "TOKEN EXPIRED", _REFUSED)
    yield said("incorrect", 403, "FORBIDDEN", "TOKEN INCORRECT", _REFUSED)
    yield said("quota", 403, "FORBIDDEN", "TOKEN LIMIT EXCEEDED")
    yield said("busy", 403, "FORBIDDEN", SIMULTANEOUS)
    yield said("maintenance", 403, "FORBIDDEN", "BACKUP WINDOW, PLEASE COME BACK LATER")
    yield said("bad-request", 400, "BAD REQUEST", "SOME PARAMETERS ARE REQUIRED")
    yield said("unknown-api", 400, "BAD REQUEST", "THE API INTERACTIONS DOES NOT EXIST")
    yield said("not-found", 404, "NOT FOUND", "Validate dates entered", _GRANTED)
    yield Fault("not-found-html", "404 with a web page", 404, _HTML)
    yield Fault("refused-html", "403 with a web page, as a firewall answers", 403, _HTML)


def _overloads() -> Iterator[Fault]:
    slow_down = envelope(429, "TOO MANY REQUESTS", "SLOW DOWN")

    def limited(name: str, about: str, *headers: tuple[str, str]) -> Fault:
        return Fault(name, f"429 {about}", 429, slow_down, headers)

    yield limited("rate-limited", "without Retry-After")
    yield limited("retry-after-seconds", "with Retry-After: 1", ("Retry-After", "1"))
    yield limited("retry-after-date", "with an HTTP date two seconds ahead", ("Retry-After", LATER))
    yield limited("retry-after-past", "with a date long gone", ("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"))
    yield limited("retry-after-absurd", "with 31,000 years", ("Retry-After", "999999999999"))
    yield limited("retry-after-words", "with words", ("Retry-After", "in a while"))
    yield Fault("server-error", "500 with the vendor's wrapping", 500, envelope(500, "INTERNAL ERROR", "TRY AGAIN"))
    yield Fault("bad-gateway", "502 with a web page", 502, _HTML)
    yield Fault("unavailable", "503 with a web page", 503, _HTML)
    yield Fault("gateway-timeout", "504 with a web page", 504, _HTML)


def _codes() -> Iterator[Fault]:
    for code, error, msg, effect in (
        (401, "UNAUTHORIZED", "PLEASE ENTER THE WOLKVOX-TOKEN", _REFUSED),
        (403, "FORBIDDEN", "PLEASE VALIDATE TOKEN", _REFUSED),
        (404, "NOT FOUND", "Validate dates entered", _GRANTED),
        (500, "INTERNAL ERROR", "TRY AGAIN", Effect.NEITHER),
    ):
        body = envelope(code, error, msg)
        yield Fault(f"code-{code}", f"200 outside, the number {code} inside", body=body, effect=effect)
        body = envelope(str(code), error, msg)
        yield Fault(f"code-{code}-text", f'200 outside, the text "{code}" inside', body=body, effect=effect)
    yield Fault(
        "code-busy", "200 outside, 403 used twice at once inside", body=envelope(403, "FORBIDDEN", SIMULTANEOUS)
    )
    yield Fault("code-quota", "200 outside, 403 quota inside", body=envelope(403, "FORBIDDEN", "TOKEN LIMIT EXCEEDED"))
    yield _rows("code-200-text", "the code is text", b'{"code":"200","error":null,"msg":"","data":[@ROW@]}')
    yield _rows("code-0", "the code is 0", b'{"code":0,"error":null,"msg":"","data":[@ROW@]}')
    yield _rows("error-null-text", 'the error is "null"', b'{"code":200,"error":"null","msg":"","data":[@ROW@]}')


def _rows(name: str, about: str, body: bytes, rows: int = 1) -> Fault:
    return Fault(name, about, body=body, effect=_GRANTED, rows=rows)


def _data(name: str, about: str, data: Any, effect: Effect = Effect.NEITHER) -> Fault:
    return Fault(name, about, body=envelope(200, None, FOUND, data), effect=effect)


def _shapes() -> Iterator[Fault]:
    yield _data("data-null", "success, data null", None, _GRANTED)
    yield _data("data-empty-text", 'success, data ""', "", _GRANTED)
    yield _data("data-empty-list", "success, data []", [], _GRANTED)
    yield _data("data-empty-object", "success, data {}", {}, _GRANTED)
    yield _data("data-text", "success, data is text", "NO INFORMATION")
    yield _data("data-number", "success, data is a number", 12)
    yield _data("data-true", "success, data is true", True)
    yield Fault("data-missing", "success without data", body=b'{"code":200,"error":null,"msg":""}')
    yield Fault(
        "data-null-complaint", "success by its code, an error by its text", body=envelope(200, "DATABASE IS GONE", "")
    )
    yield _rows("data-object", "data is one row", b'{"code":200,"error":null,"msg":"","data":@ROW@}')
    yield _rows(
        "rows-odd",
        "rows that are no objects",
        b'{"code":200,"error":null,"msg":"","data":[@ROW@,1,"x",null,[],true]}',
        6,
    )
    yield _rows("total-row", "a TOTAL row among the rows", _with_rows(ROW, b'{"operation":"TOTAL","items":"99"}'), 2)
    yield _rows("keys-odd", "rows with more and with fewer keys", _with_rows(ROW, b'{"extra":{"a":[1]}}', b"{}"), 3)
    items = (b'"1,234"', b"12.5", b"null", b"true", b'" 12"', b'"1e5"', b'"34.64 %"', b'"00:10:00"', b'"-7"', b"{}")
    odd = [b'{"operation":"@OPERATION@","description":"Odd","items":%b,"date":""}' % item for item in items]
    yield _rows("items-odd", "items that are no plain numbers", _with_rows(*odd), len(odd))
    yield _rows("bom", "a byte order mark before the JSON", b"\xef\xbb\xbf" + _with_rows(ROW))
    yield _rows("duplicate-keys", "a row that says items twice", _with_rows(b'{"items":"1","items":"2"}'))


def _with_rows(*rows: bytes) -> bytes:
    return b'{"code":200,"error":null,"msg":"","data":[%b]}' % b",".join(rows)


def _contents() -> Iterator[Fault]:
    def sent(name: str, about: str, body: bytes, kind: str = "application/json") -> Fault:
        return Fault(name, about, body=body, headers=(("Content-Type", kind),))

    yield sent("html", "200 with a web page", _HTML, "text/html")
    yield sent(
        "csv", "200 with CSV", b"operation,description,items,date\r\n@OPERATION@,Interactions,12,\r\n", "text/csv"
    )
    yield sent("text", "200 with plain text", b"Service temporarily busy", "text/plain")
    yield sent("no-body", "200 without a body", b"")
    yield sent("json-list", "JSON, but a list", b"[@ROW@]")
    yield sent("json-null", "JSON, but null", b"null")
    yield sent("torn-json", "JSON that stops in the middle", b'{"code":200,"error":null,"msg":"","data":[{"oper')
    yield sent("invalid-utf8", "a row that is not UTF-8", _with_rows(b'{"operation":"BOGOT\xc1","items":"1"}'))
    yield sent("nan", "a row with NaN", _with_rows(b'{"operation":"@OPERATION@","items":NaN}'))
    yield sent("big-integer", "an integer beyond 64 bits", _with_rows(b'{"items":123456789012345678901234567890}'))
    yield sent("deep", "100,000 levels of nesting", _with_rows(b"[" * 100_000 + b"]" * 100_000))
    yield sent("garbage", "random bytes as a body", bytes((n * 167 + 13) % 256 for n in range(4_096)))


def _codings() -> Iterator[Fault]:
    yield Fault("gzip", "packed with gzip", coding="gzip", effect=_GRANTED, rows=None)
    yield Fault("deflate", "packed with deflate", coding="deflate", effect=_GRANTED, rows=None)
    yield Fault("zstd", "packed with zstd", coding="zstd", effect=_GRANTED, rows=None)
    yield Fault("not-gzip", "says gzip, is not", headers=(("Content-Encoding", "gzip"),))
    yield Fault("unknown-coding", "a coding that nobody knows", headers=(("Content-Encoding", "rot13"),))
    yield Fault("gzip-bomb", "a little gzip that unpacks to 300 MB", wire=Bomb("gzip"))
    yield Fault("zstd-bomb", "a little zstd that unpacks to 300 MB", wire=Bomb("zstd"))
    yield Fault("huge", "300 MB of rows", wire=Huge())


def _redirects() -> Iterator[Fault]:
    for status in (301, 302, 303, 307, 308):
        headers = (("Location", TRAP),)
        yield Fault(f"redirect-{status}", f"{status} to another host", status, b"", headers)
    yield Fault("redirect-home", "302 to the same host", 302, b"", (("Location", "/_trap"),))


def _timings() -> Iterator[Fault]:
    yield Fault("hang", "no answer, ever", wire=Silence())
    yield Fault("slow-head", "the answer comes a byte a second", wire=Drip("head"), effect=_GRANTED, rows=None)
    yield Fault("slow-body", "a quick head, the body a byte a second", wire=Drip("body"), effect=_GRANTED, rows=None)
    yield Fault("endless-head", "headers without end", wire=Endless("head"))
    yield Fault("endless-head-slow", "headers without end, one a second", wire=Endless("head", 1.0))
    yield Fault("endless-body", "a body without end", wire=Endless("body"))
    yield Fault("endless-body-slow", "a body without end, a piece a second", wire=Endless("body", 1.0))


def _endings() -> Iterator[Fault]:
    for name, ending in (("close", Ending.CLOSE), ("reset", Ending.RESET)):
        yield Fault(name, f"{name} before the answer", wire=Cut(0, ending))
        yield Fault(f"{name}-in-head", f"{name} amid the head", wire=Cut(20, ending))
        yield Fault(f"{name}-in-body", f"{name} amid the body", wire=Cut(0.7, ending))
    yield Fault(
        "close-after", "close after a good answer, unannounced", wire=Whole(Ending.CLOSE), effect=_GRANTED, rows=None
    )


def _framings() -> Iterator[Fault]:
    def raw(name: str, about: str, answer: bytes, ending: Ending = Ending.KEEP, *, whole: bool = True) -> Fault:
        return Fault(name, about, wire=Raw(answer, ending, whole))

    chunk = b"%x\r\n%b\r\n" % (len(_STRANGER), _STRANGER)
    yield raw("length-too-long", "fewer bytes than promised, then close",
              _HEAD + b"Content-Length: 100000\r\n\r\n" + USUAL, Ending.CLOSE, whole=False)  # fmt: skip
    yield raw("length-too-short", "more bytes than promised", _HEAD + b"Content-Length: 10\r\n\r\n" + USUAL)
    yield raw("length-odd", "a length that is no number", _HEAD + b"Content-Length: many\r\n\r\n" + USUAL)
    yield raw("lengths", "two lengths", _HEAD + b"Content-Length: 10\r\nContent-Length: @LENGTH@\r\n\r\n" + USUAL)
    yield raw("chunk-odd", "a chunk size that is no number", _CHUNKED + b"zz\r\n" + USUAL + b"\r\n0\r\n\r\n")
    yield raw("chunk-short", "a chunk longer than it says", _CHUNKED + b"5\r\n" + USUAL + b"\r\n0\r\n\r\n")
    yield raw("chunk-torn", "chunks without an end, then close", _CHUNKED + chunk, Ending.CLOSE, whole=False)
    yield raw("status-odd", "a status that is none", b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n")
    yield raw("not-http", "bytes that are no HTTP", b"220 mail.example ESMTP ready\r\n")
    yield raw("header-odd", "a header that is none", _HEAD + b"nonsense\r\nContent-Length: @LENGTH@\r\n\r\n" + USUAL)
    yield raw("trailing", "bytes after the answer", _HEAD + b"Content-Length: @LENGTH@\r\n\r\n" + USUAL + b"}}\r\n")
    yield Fault("unasked", "a second answer at once", wire=Unasked(_UNASKED), rows=None)
    yield Fault("unasked-later", "a second answer 20 ms later", wire=Unasked(_UNASKED, 0.02), rows=None)


def _variants() -> Iterator[Fault]:
    """Uncommon answers that are right."""

    def good(name: str, about: str, answer: bytes, ending: Ending = Ending.KEEP) -> Fault:
        return Fault(name, about, wire=Raw(answer, ending), effect=_GRANTED, rows=None)

    yield good("until-close", "no length, the body ends with the connection", _HEAD + b"\r\n" + USUAL, Ending.CLOSE)
    yield good("early-hints", "103 before the answer", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + _HEAD
               + b"Content-Length: @LENGTH@\r\n\r\n" + USUAL)  # fmt: skip
    yield Fault("created", "201", 201, effect=_GRANTED, rows=None)


# fmt: off
_FAMILIES: Final = (
    _refusals, _overloads, _codes, _shapes, _contents, _codings, _redirects, _timings, _endings, _framings, _variants,
)
# fmt: on

FAULTS: Final[Mapping[str, Fault]] = MappingProxyType({fault.name: fault for family in _FAMILIES for fault in family()})
"""Every fault by its name."""

_STEP: Final = re.compile(r"([a-z0-9-]+)(?:\*(\d{1,4}))?")
_FINE: Final = "ok"


def parse_script(text: str) -> Script:
    """Read `hang` (all calls) or a script such as `unavailable*2,ok,reset` (by call, then fine).

    A single step is a script when it says how often: `reset*1`. Raises `ValueError` for
    names that are not in `FAULTS`.
    """
    steps = [_STEP.fullmatch(part.strip()) for part in text.split(",")]
    if any(step is None or (step[1] != _FINE and step[1] not in FAULTS) for step in steps):
        raise ValueError(
            f"{text!r} is no fault: write one of {', '.join(FAULTS)}, or a script such as unavailable*2,ok"
        )
    found = [(FAULTS.get(step[1]), step[2]) for step in steps if step is not None]
    if len(found) == 1 and found[0][1] is None:
        return found[0][0] or ()
    return tuple(fault for fault, times in found for _ in range(int(times or 1)))
