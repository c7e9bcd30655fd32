"""A tenants file in the making: whole or not at all, and never at the cost of one that is there."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.apps.drafts import Draft, create, extend, extended, free_secret
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.model import Token
from wolkvox_async.settings.tenants import survey_tenants

QUITO = Draft("acme", "quito", "0042", {"env": "Q"})
GLOBEX = Draft("globex", "main", "0010", {"command": ["pass", "show", "wolkvox/globex"]})

LINES = """{
  "tenants": [
    {"name": "acme", "operations": [
      {"name": "bogota", "server": "0010", "token": {"env": "B"}}
    ]}
  ],
  "defaults": {"apis": ["interactions"]}
}
"""
ONE_LINE = '{"tenants":[{"name":"acme","operations":[{"name":"bogota","server":"0010","token":{"env":"B"}}]}]}'


def test_what_is_added_stands_below_what_is_there_and_nothing_else_changes() -> None:
    assert extended(LINES, QUITO) == LINES.replace(
        '{"env": "B"}}\n', '{"env": "B"}},\n      {"name": "quito", "server": "0042", "token": {"env": "Q"}}\n'
    )
    assert extended(LINES, GLOBEX) == LINES.replace(
        "    ]}\n",
        '    ]},\n    {"name": "globex", "operations": [{"name": "main", "server": "0010", '
        '"token": {"command": ["pass", "show", "wolkvox/globex"]}}]}\n',
    )


def test_a_file_of_one_line_stays_one_line() -> None:
    assert extended("\ufeff" + ONE_LINE, QUITO).count("\n") == 0
    assert orjson.loads(extended(ONE_LINE, QUITO))["tenants"][0]["operations"][1]["name"] == "quito"


NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/"), min_size=1, max_size=12)


@given(
    tenants=st.dictionaries(NAMES, st.lists(NAMES, min_size=1, unique=True), min_size=1, max_size=4),
    name=NAMES,
    indented=st.booleans(),
)
def test_whatever_the_file_looks_like_it_holds_one_operation_more(
    tenants: dict[str, list[str]], name: str, *, indented: bool
) -> None:
    def operation(path: str) -> dict[str, Any]:
        return {"name": path, "server": "0010", "token": {"env": "X"}}

    document = {"tenants": [{"name": t, "operations": list(map(operation, ops))} for t, ops in tenants.items()]}
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2 if indented else None).decode()
    found = orjson.loads(extended(text, Draft(name, "new", "0010", {"env": "X"})))
    tenants.setdefault(name, []).append("new")
    assert {t["name"]: [o["name"] for o in t["operations"]] for t in found["tenants"]} == tenants


def test_a_new_file_is_one_without_mistakes(tmp_path: Path) -> None:
    create(tmp_path / "tenants.json", GLOBEX)
    survey = survey_tenants(tmp_path / "tenants.json")
    assert not survey.mistakes
    assert [entry.path for entry in survey.tenants.entries] == ["globex/main"]
    assert [path.name for path in tmp_path.iterdir()] == ["tenants.json"]


def test_where_a_file_came_to_be_meanwhile_nothing_is_written(secret_store: Path, canary: Token) -> None:
    path = secret_store / "tenants.json"
    path.write_text("mine")
    draft = Draft("acme", "main", "0010", {"file": free_secret(path, "acme", "main")}, canary)
    with pytest.raises(ConfigurationError, match="there already"):
        create(path, draft)
    assert [(one.name, one.read_text()) for one in secret_store.iterdir()] == [("tenants.json", "mine")]


def test_a_folder_that_takes_nothing_is_said_in_our_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written: no such file"):
        create(tmp_path / "none" / "tenants.json", GLOBEX)


def test_a_token_goes_into_a_file_of_its_own_that_only_the_owner_reads(secret_store: Path, canary: Token) -> None:
    path = secret_store / "tenants.json"
    for number in (1, 2):
        name = free_secret(path, "ac me", f"../{number}")
        assert name == f"secrets/ac-me-..-{number}"
        (create if number == 1 else extend)(path, Draft("ac me", str(number), "0010", {"file": name}, canary))
        secret = secret_store / name
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
        assert Token(secret.read_text().removesuffix("\n")) == canary
    assert free_secret(path, "ac me", "../1") == "secrets/ac-me-..-1-2"


def test_an_addition_keeps_the_mode_of_the_file_and_follows_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "tenants.json"
    real.write_text(LINES)
    real.chmod(0o640)
    link.symlink_to(real)
    extend(link, QUITO)
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert len(survey_tenants(link).tenants.entries) == 2


def test_without_links_a_new_file_appears_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", _no_links)
    create(tmp_path / "tenants.json", GLOBEX)
    assert [entry.path for entry in survey_tenants(tmp_path / "tenants.json").tenants.entries] == ["globex/main"]
    assert [path.name for path in tmp_path.iterdir()] == ["tenants.json"]


def test_without_links_no_file_is_replaced_that_nobody_saw_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tenants.json"
    path.write_text("mine")
    monkeypatch.setattr(os, "link", _no_links)
    monkeypatch.setattr(os.path, "lexists", lambda _path: False)
    with pytest.raises(ConfigurationError, match="there already"):
        create(path, GLOBEX)
    assert path.read_text() == "mine"


def _no_links(*_paths: Path) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")
