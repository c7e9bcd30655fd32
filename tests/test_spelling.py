from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.spelling import (
    did_you_mean,
    is_a_token_by_looks,
    kind_of,
    looks_like_a_token,
    nearest,
    shown,
    without_tokens,
)

TOKEN = "5f4dcc3b5aa765d61d8327deb882cf99"


UUID = "3f1c2b9a-77aa-4c1e-9b1d-2f6f0a9e1c55"
MIXED = "k3J-x9_ZpQw7sT2vYb-LmN8cR_4hGdFe"
SHORT = "Qz7canaryTOKENtext91xW"


@pytest.mark.parametrize(
    "text", [TOKEN, f"x {TOKEN}", f"https://h/{TOKEN}?x", TOKEN.upper(), UUID, f"--{UUID}", MIXED, f"a/{MIXED}", SHORT]
)
def test_what_looks_like_a_token_is_not_shown(text: str) -> None:
    assert looks_like_a_token(text)
    assert shown(text) == "(not shown: it looks like a token)"


NAMES = [
    *("interactions", "America/Argentina/ComodRivadavia", "secrets/acme-quito-2026-11", "a" * 40, "1" * 40),
    *("ClaroColombiaVentas2024", "wolkvox_token_v2_3fa9c1", "acme-bogota-7f9c6d5b8-x2x4z", "ACME_BOGOTA_TOKEN_2026_V2"),
]


@pytest.mark.parametrize("text", NAMES)
def test_names_are_shown(text: str) -> None:
    assert shown(text) == repr(text)
    assert without_tokens(text) == text


@pytest.mark.parametrize("token", [TOKEN, UUID, MIXED, SHORT])
def test_a_path_with_a_digest_in_it_is_no_token(token: str) -> None:
    assert is_a_token_by_looks(token)
    assert not is_a_token_by_looks(f"/run/secrets/{token}")
    assert without_tokens(f"no '{token}'") == "no '(not shown: it looks like a token)'"


@pytest.mark.parametrize("text", ["a" * 200_000, "1" * 200_000, "a " * 100_000])
def test_a_long_text_is_looked_through_at_once(text: str) -> None:
    assert not looks_like_a_token(text)  # it took minutes, and the time for one test is limited
    assert not is_a_token_by_looks(text)


@given(st.text())
def test_what_is_shown_is_short_and_printable(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 10 * 63 + 2


@pytest.mark.parametrize(
    ("word", "meant"),
    [("interactons", "interactions"), ("INTERACTIONS", "interactions"), ("vison", "vision"), ("xyz", None), ("", None)],
)
def test_the_nearest_choice_is_found_whatever_the_case(word: str, meant: str | None) -> None:
    assert nearest(word, ["interactions", "vision", "gamification"]) == meant


def test_a_proposal_ends_a_message_or_says_nothing() -> None:
    assert did_you_mean("vison", ["vision"]) == ": did you mean 'vision'?"
    assert did_you_mean("vison", []) == ""


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *((None, "null"), (True, "true or false"), (1, "a number"), (1.5, "a number")),
        *(("", "text"), ([], "a list"), ({}, "an object"), ((), "a tuple")),
    ],
)
def test_values_have_the_names_that_json_gives_them(value: object, kind: str) -> None:
    assert kind_of(value) == kind
