"""Whatever stands in a tenants file: tenants or mistakes, and no token in any message."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.errors import ConfigurationError
from wolkvox_async.settings.tenants import Tenants, load_tenants

from .samples import NOW, VENDOR

CANARY = "c0ffee5f4dcc3b5aa765d61d8327deb882cf99"

KEYS = st.sampled_from(
    [
        *("$schema", "defaults", "tenants", "endpoints", "name", "labels", "operations", "server", "token"),
        *("licences", "apis", "timezone", "env", "file", "command", "keyring", "service", "username", "api"),
        *("from", "to", "window", "interval", "params", "dates", "counts", "kind", "nmae", CANARY, "", "\x00", "ñ"),
    ]
)
WORDS = st.sampled_from(
    [
        *("interactions", "gamification", "0010", "wv0042", "10", "America/Bogota", "2026-11-01", "2027-01-01"),
        *("previous-month", "level", "optional", "A_TOKEN", "acme", "x/y", "\x1b[31m", "", CANARY),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=12
)


def near(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects with the right keys and mostly the right values, or none of that."""
    return st.fixed_dictionaries({}, optional={name: value | JSON for name, value in fields.items()}) | JSON


TOKENS = WORDS | near(
    env=WORDS, file=WORDS, command=st.lists(WORDS, max_size=3), keyring=near(service=WORDS, username=WORDS)
)
APIS = st.lists(WORDS | near(api=WORDS, **{"from": WORDS, "to": WORDS}, window=WORDS), max_size=3)
OPERATIONS = near(name=WORDS, server=WORDS, token=TOKENS, licences=st.integers(), apis=APIS, timezone=WORDS)
FILES = near(
    defaults=near(apis=APIS, timezone=WORDS),
    tenants=st.lists(
        near(name=WORDS, labels=st.dictionaries(WORDS, WORDS, max_size=2), operations=st.lists(OPERATIONS, max_size=3)),
        max_size=3,
    ),
    endpoints=st.lists(near(api=WORDS, file=WORDS, interval=SCALARS, params=JSON, dates=WORDS, kind=WORDS), max_size=2),
)


def read(source: Any) -> Tenants | ConfigurationError:
    try:
        return load_tenants(source, base_url=VENDOR, now=NOW)
    except ConfigurationError as error:
        return error


def written(content: bytes) -> Tenants | ConfigurationError:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(content)
        file.flush()
        return read(file.name)


def holds_no_canary(found: Tenants | ConfigurationError) -> bool:
    if isinstance(found, ConfigurationError):
        return CANARY not in f"{found} {found!r}"
    return CANARY not in " ".join(map(str, found.warnings))


@given(FILES)
def test_any_description_gives_tenants_or_mistakes_and_shows_no_token(value: Any) -> None:
    assert holds_no_canary(written(json.dumps(value).encode()))
    if isinstance(value, dict):
        assert holds_no_canary(read(value))


@given(FILES)
def test_a_mapping_and_a_file_with_the_same_content_have_the_same_mistakes(value: Any) -> None:
    if isinstance(value, dict):
        one, two = read(value), written(json.dumps(value).encode())
        assert type(one) is type(two)
        if isinstance(one, ConfigurationError) and isinstance(two, ConfigurationError):
            assert len(one.mistakes) == len(two.mistakes)


@given(FILES)
def test_every_mistake_in_a_file_has_a_place_within_it(value: Any) -> None:
    content = json.dumps(value, indent=1, ensure_ascii=False)
    found = written(content.encode())
    lines = content.split("\n")
    for mistake in found.mistakes if isinstance(found, ConfigurationError) else found.warnings:
        assert mistake.line is not None
        assert mistake.column is not None
        assert 1 <= mistake.column <= len(lines[mistake.line - 1])


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_any_bytes_give_tenants_or_mistakes(before: bytes, after: bytes) -> None:
    assert isinstance(written(before + after), Tenants | ConfigurationError)


@given(FILES, st.data())
def test_a_damaged_file_shows_no_token(value: Any, data: st.DataObject) -> None:
    content = json.dumps(value)
    at = data.draw(st.integers(0, len(content)))
    damage = data.draw(st.sampled_from(["", ",", '"', "}", "]", "'", "0", "\n", "//", "\\"]))
    assert holds_no_canary(written((content[:at] + damage + content[at + 1 :]).encode()))


def test_the_sample_of_the_fuzzer_is_refused_for_good_reasons(tmp_path: Path) -> None:
    path = tmp_path / "tenants.json"
    path.write_text(json.dumps({"tenants": [{"name": "acme", "operations": [{"name": "x", "token": CANARY}]}]}))
    found = read(path)
    assert isinstance(found, ConfigurationError)
    assert "has no server" in str(found)
