"""The pure parts: reading requests, made-up figures, latencies, and what is public."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async import testing
from wolkvox_async.catalog import BILLING, Kind
from wolkvox_async.testing import Fixed, LogNormal, Uniform, parse_latency
from wolkvox_async.testing.population import populate
from wolkvox_async.testing.readings import MonthProgress, reading
from wolkvox_async.testing.requests import Aim, Request, looks_like_credential, read_head, read_target
from wolkvox_async.testing.vendor import Vendor

ZONE = ZoneInfo("America/Bogota")
TOKEN = "0123456789abcdef" * 4

names = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)


# requests


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_raise(data: bytes) -> None:
    assert read_head(data) is None or isinstance(read_head(data), Request)


@given(st.dictionaries(names, values, max_size=8), st.lists(values.map(str.strip), max_size=3))
def test_a_head_is_read_whatever_else_stands_in_it(others: dict[str, str], tokens: list[str]) -> None:
    telling = {"wolkvox-token", "content-length", "transfer-encoding", "connection", "host"}
    lines = ["Host: a", *(f"{name}: {value}" for name, value in others.items() if name.lower() not in telling)]
    lines += [f"Wolkvox-Token: {token}" for token in tokens]
    head = ("GET /x HTTP/1.1\r\n" + "".join(f"{line}\r\n" for line in lines)).encode()
    assert read_head(head) == Request("GET", "/x", tuple(tokens))


def test_whether_the_connection_ends_is_read_from_version_and_header() -> None:
    for text, close in (
        ("GET / HTTP/1.0\r\n", True),
        ("GET / HTTP/1.1\r\nHost: a\r\n", False),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Close\r\n", True),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: a\r\nConnection: close\r\n", True),
    ):
        request = read_head(text.encode())
        assert request is not None
        assert request.close is close


def test_a_request_does_not_show_its_token() -> None:
    assert TOKEN not in repr(Request("GET", f"/{TOKEN}", (TOKEN,)))


@pytest.mark.parametrize(
    ("text", "aim", "api", "query"),
    [
        ("/api/v2/billing.php?api=vision", Aim.API, "vision", "billing?api=vision"),
        ("/p/q/api/v2/billing.php?api=vision", Aim.API, "vision", "billing?api=vision"),
        ("/api/v2/information.php?b=2&api=x&a=1", Aim.API, "information/x", "information?a=1&api=x&b=2"),
        ("http://127.0.0.1:1/api/v2/billing.php?api=vision", Aim.API, "vision", "billing?api=vision"),
        ("/api/v2/billing.php", Aim.API, "", "billing?"),
        ("/api/v3/billing.php?api=vision", Aim.ELSEWHERE, "", "/api/v3/billing.php"),
        ("/_simulator", Aim.VERDICT, "", ""),
        ("/_trap/deeper", Aim.TRAP, "", ""),
    ],
)
def test_a_target_says_what_is_asked_for(text: str, aim: Aim, api: str, query: str) -> None:
    target = read_target(text)
    assert (target.aim, target.api, target.query) == (aim, api, query)
    assert not target.credential


@pytest.mark.parametrize("text", [f"/?t={TOKEN}", f"/?t=%30{TOKEN[1:]}", "/?wolkvox-token=a", f"/{TOKEN.upper()}/x"])
def test_a_token_in_an_address_is_seen_in_any_disguise(text: str) -> None:
    assert looks_like_credential(text)
    assert read_target(text).credential


# figures


@given(st.integers(0, 2**32 - 1), st.integers(0, 44_000), st.integers(0, 2_000))
def test_usage_grows_within_the_month_and_is_the_same_again(salt: int, begin: int, more: int) -> None:
    start = datetime(2026, 1, 1, tzinfo=ZONE) + timedelta(minutes=begin)
    later = min(start + timedelta(minutes=more), datetime(2026, 1, 31, 23, 59, 59, tzinfo=ZONE))
    progress, found = MonthProgress(), []
    for moment in (start, later, start):
        progress.move(moment.timestamp())
        found.append(reading(Kind.USAGE, b"ivr_calls", salt, progress))
    assert 0 <= found[0] <= found[1]
    assert found[0] == found[2]


def test_usage_starts_at_nothing_when_the_month_turns_in_the_vendors_timezone() -> None:
    progress, found = MonthProgress(), []
    turn = datetime(2026, 12, 1, tzinfo=ZONE).timestamp()
    for moment in (turn - 1, turn, turn + 3 * 86_400):
        progress.move(moment)
        found.append(reading(Kind.USAGE, b"ivr_calls", 12, progress))
    assert found[0] > 0
    assert found[1] == 0
    assert found[2] > 0


def test_levels_move_little_and_are_never_nothing() -> None:
    progress, found = MonthProgress(), []
    for day in range(365):
        progress.move(datetime(2026, 1, 1, tzinfo=ZONE).timestamp() + day * 86_400)
        found.append(reading(Kind.LEVEL, b"vision", 12, progress))
    assert min(found) >= 1
    assert max(found) - min(found) <= 2
    assert len(set(found)) > 1


def test_a_window_that_is_over_is_read_as_it_ended() -> None:
    (operation,) = populate(seed=1, operations=1, tenants=1, servers=["1"])
    vendor = Vendor([operation])
    now = datetime(2026, 11, 20, 12, tzinfo=ZONE).timestamp()
    past = datetime(2026, 11, 9, 23, 59, 59, tzinfo=ZONE).timestamp()
    undated = "/api/v2/billing.php?api=ivr_calls"
    dated = f"{undated}&date_ini=20261101000000&date_end=20261109235959"
    assert vendor.reply(operation, read_target(dated), now) == vendor.reply(operation, read_target(undated), past)


def test_the_month_is_the_date_of_nlp_and_the_day_of_the_others() -> None:
    (operation,) = populate(seed=1, operations=1, tenants=1, servers=["1"])
    now = datetime(2026, 11, 20, 12, tzinfo=ZONE).timestamp()
    dates = {
        endpoint.api: json.loads(
            Vendor([operation]).reply(operation, read_target(f"/api/v2/billing.php?api={endpoint.api}"), now).body
        )["data"][0]["date"]
        for endpoint in BILLING
    }
    assert dates.pop("nlp_ai") == "2026-11"
    assert set(dates.values()) == {"2026-11-20"}


# latencies


def test_latencies_are_drawn_from_their_distribution_and_the_same_again() -> None:
    for latency, least, most in (
        (Fixed(0.2), 0.2, 0.2),
        (Uniform(0.1, 0.3), 0.1, 0.3),
        (LogNormal(0.2, 0.5, most=1.0), 0.0, 1.0),
    ):
        drawn, again = ([latency.draw(chance) for _ in range(2_000)] for chance in (Random(5), Random(5)))
        assert drawn == again
        assert least <= min(drawn) <= max(drawn) <= most
        assert math.isclose(sorted(drawn)[1_000], 0.2, rel_tol=0.1)


def test_latencies_are_read_from_text() -> None:
    assert parse_latency("0.2") == parse_latency("200ms") == parse_latency("0.2s") == Fixed(0.2)
    assert parse_latency("50ms-0.3") == Uniform(0.05, 0.3)
    assert parse_latency("lognormal:200ms") == LogNormal(0.2, 0.5)
    assert parse_latency("lognormal:2,0.8") == LogNormal(2.0, 0.8)


@pytest.mark.parametrize("text", ["", "fast", "-1", "1-", "3-2", "lognormal:", "lognormal:0", "nan", "inf", "1h"])
def test_text_that_is_no_latency_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"latency|before it begins"):
        parse_latency(text)


# what is public


def test_the_public_names_are_sorted_and_all_there() -> None:
    shouted = sorted(name for name in testing.__all__ if name.isupper())
    titled = sorted(name for name in testing.__all__ if name[0].isupper() and not name.isupper())
    lowered = sorted(name for name in testing.__all__ if name[0].islower())
    assert testing.__all__ == [*shouted, *titled, *lowered]
    assert all(getattr(testing, name) is not None for name in testing.__all__)
    assert dir(testing) == sorted(testing.__all__)
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        getattr(testing, "nothing_of_this_name")  # noqa: B009 - the name is not there


def test_importing_the_kit_loads_nothing_heavy() -> None:
    program = "import sys, wolkvox_async.testing; print({'asyncio', 'aiohttp', 'ssl', 'orjson'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "set()\n"
