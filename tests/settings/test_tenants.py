from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wolkvox_async.errors import ConfigurationError
from wolkvox_async.model import Token
from wolkvox_async.planning import DateRange
from wolkvox_async.references import (
    CommandReference,
    EnvReference,
    FileReference,
    KeyringReference,
    LiteralReference,
    TokenReference,
)
from wolkvox_async.settings.tenants import Entry, load_tenants, server_mistakes, survey_tenants

from .samples import NOW, TOKEN, VENDOR, operation, tenants, write

EXAMPLE = Path(__file__).parents[2] / "tenants.example.json"


def entry(source: Any = None, **changes: Any) -> Entry:
    return load_tenants(source or tenants(operation(**changes)), now=NOW).entries[0]


def test_the_example_is_read_as_it_stands() -> None:
    read = load_tenants(EXAMPLE, base_url=VENDOR, now=NOW)
    assert [(e.path, e.server, e.timezone, e.licences) for e in read.entries] == [
        ("acme/bogota", "0010", "America/Bogota", 40),
        ("acme/quito", "0042", "America/Bogota", None),
        ("globex/main", "0010", "America/Lima", None),
    ]
    assert read.entries[0].labels == (("segment", "retail"),)
    assert read.catalog.get("information/token_info") is not None
    assert read.path == EXAMPLE
    assert read.folder == EXAMPLE.parent
    assert read.warnings == ()


def test_without_defaults_an_operation_is_asked_for_interactions_and_gamification_in_bogota() -> None:
    found = entry()
    assert [wanted.endpoint.name for wanted in found.wanted] == ["interactions", "gamification"]
    assert found.timezone == "America/Bogota"


def test_an_operation_overrides_the_defaults_of_the_file() -> None:
    defaults = {"apis": ["ivr_calls"], "timezone": "America/Lima"}
    plain, own = load_tenants(
        tenants(operation(), operation(name="own", apis=["vision"], timezone="UTC"), defaults=defaults), now=NOW
    ).entries
    assert ([w.endpoint.name for w in plain.wanted], plain.timezone) == (["ivr_calls"], "America/Lima")
    assert ([w.endpoint.name for w in own.wanted], own.timezone) == (["vision"], "UTC")


@pytest.mark.parametrize("written", ["0010", "wv0010", "WV0010", "https://wv0010.wolkvox.com/", "wv0010.wolkvox.com"])
def test_every_spelling_of_a_server_becomes_its_four_digits(written: str) -> None:
    assert load_tenants(tenants(operation(server=written)), base_url=VENDOR).entries[0].server == "0010"


def test_a_base_url_of_ones_own_takes_other_names_of_servers() -> None:
    read = load_tenants(tenants(operation(server="wvtest-1")), base_url="http://127.0.0.1:8080/{server}")
    assert read.entries[0].server == "test-1"


def test_servers_are_judged_later_when_the_base_url_is_not_known_yet(tmp_path: Path) -> None:
    read = load_tenants(write(tmp_path, tenants(operation(server="test-1"), operation(name="b", server="wv10"))))
    assert server_mistakes(read, "https://proxy.example/{server}") == []
    mistakes = server_mistakes(read, VENDOR)
    assert [(m.line, m.message.partition(":")[0]) for m in mistakes] == [
        (8, "a server has four digits, for example 0010"),
        (15, "a server has four digits"),
    ]
    assert "write 0010 instead of 10" in mistakes[1].message


@pytest.mark.parametrize(
    ("written", "reference"),
    [
        ({"env": "ACME_TOKEN"}, EnvReference("ACME_TOKEN")),
        ({"file": "secrets/acme"}, FileReference("secrets/acme")),
        ({"command": ["pass", "show", "acme"]}, CommandReference(("pass", "show", "acme"))),
        ({"keyring": "wolkvox/acme/bogota"}, KeyringReference("wolkvox/acme", "bogota")),
        ({"keyring": {"service": "wolkvox", "username": "a/b"}}, KeyringReference("wolkvox", "a/b")),
        (TOKEN, LiteralReference(Token(TOKEN))),
        (Token(TOKEN), LiteralReference(Token(TOKEN))),
    ],
)
def test_a_token_is_a_reference(written: Any, reference: TokenReference) -> None:
    assert entry(token=written).reference == reference


def test_a_literal_token_in_a_private_file_is_a_warning_that_does_not_show_it(tmp_path: Path) -> None:
    path = write(tmp_path, tenants(operation(token=TOKEN), operation(name="b", token=TOKEN)))
    read = load_tenants(path, now=NOW)
    [warning] = read.warnings
    assert (warning.line, warning.column) == (9, 20)
    assert warning.message.startswith("2 tokens stand in this file")
    assert TOKEN not in f"{warning} {read!r} {read.entries!r} {read.source!r}"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666])
def test_a_literal_token_in_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path, tenants(operation(token=TOKEN)), mode)
    with pytest.raises(ConfigurationError, match=r"tenants.json:9:20: .* others may read") as caught:
        load_tenants(path)
    assert TOKEN not in str(caught.value)


def test_a_mapping_brings_tokens_along_without_a_warning() -> None:
    assert load_tenants(tenants(operation(token=Token(TOKEN)))).warnings == ()


def test_a_mapping_may_be_made_of_any_containers() -> None:
    source = {"tenants": ({"name": "acme", "operations": (operation(apis=("interactions",)),)},)}
    assert entry(source).wanted[0].endpoint.name == "interactions"


@pytest.mark.parametrize(
    ("written", "dates"),
    [
        ({"from": "2026-11-01", "to": "2026-11-30"}, DateRange("2026-11-01", "2026-11-30")),
        ({"from": "20261101000000"}, DateRange("20261101000000")),
        ({"window": "previous-month"}, "previous-month"),
        ({"from": "current-month"}, "current-month"),
        ({"from": "previous-month", "to": "previous-month"}, "previous-month"),
        ({}, None),
    ],
)
def test_a_dated_endpoint_has_a_range_a_month_or_nothing(written: dict[str, str], dates: object) -> None:
    assert entry(apis=[{"api": "gamification", **written}]).wanted[0].dates == dates


def test_from_is_judged_in_the_timezone_of_the_operation() -> None:
    # It is 21:43 of the 21st in UTC: the 22nd has begun in Tokyo, and not in Bogota.
    dated = [{"api": "gamification", "from": "2026-11-22"}]
    assert entry(apis=dated, timezone="Asia/Tokyo").wanted[0].dates == DateRange("2026-11-22")
    with pytest.raises(ConfigurationError, match="lies in the future"):
        entry(apis=dated, timezone="America/Bogota")


def test_an_endpoint_of_ones_own_can_be_asked_for() -> None:
    own = {
        "file": "reports_manager",
        "api": "agent_1",
        "interval": 0.5,
        "dates": "required",
        "params": {"skill": "7"},
        "counts": "agents",
        "kind": "level",
    }
    found = entry(tenants(operation(apis=["reports_manager/agent_1"]), endpoints=[own])).wanted[0].endpoint
    assert (found.name, found.interval, found.params) == ("reports_manager/agent_1", 0.5, (("skill", "7"),))
    assert (found.dates, found.kind, found.counts) == ("required", "level", "agents")


def test_a_subscription_carries_what_the_planner_needs() -> None:
    found = entry(timezone="America/Lima")
    subscription = found.subscription(Token(TOKEN))
    assert subscription.operation.path == "acme/bogota"
    assert subscription.operation.timezone == "America/Lima"
    assert subscription.operation.token == Token(TOKEN)
    assert subscription.wanted is found.wanted
    assert subscription.labels == found.labels


def test_operations_share_what_they_have_in_common() -> None:
    dated = {"api": "gamification", "from": "2026-10-01"}
    one, two, three, four = load_tenants(
        tenants(
            operation(timezone="UTC"),
            operation(name="b", timezone="UTC"),
            operation(name="c", apis=[dated]),
            operation(name="d", apis=[dict(dated)], timezone="UTC"),
        ),
        now=NOW,
    ).entries
    assert one.wanted is two.wanted
    assert three.wanted is four.wanted
    assert one.timezone is two.timezone
    assert one.server is two.server
    assert one.labels is four.labels


def test_a_survey_still_gives_the_references_of_a_file_with_mistakes() -> None:
    survey = survey_tenants(tenants(operation(server="?", timezone="Mars", licences="x"), operation(token={})), now=NOW)
    assert [e.reference for e in survey.tenants.entries] == [EnvReference("ACME_TOKEN")]
    assert len(survey.mistakes.listed) == 5


def test_messages_about_entries_are_placed_together_with_mistakes_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, tenants(operation(), operation(name="b", licences=0)))
    survey = survey_tenants(path, now=NOW)
    unresolved = survey.tenants.mistakes((entry, "is not set") for entry in survey.tenants.entries)
    error = (unresolved + survey.mistakes).error()
    assert [(m.line, m.message) for m in error.mistakes] == [
        (9, "is not set"),
        (16, "is not set"),
        (19, "licences must be at least 1, not 0"),
    ]


def test_importing_the_loader_does_not_import_pydantic() -> None:
    code = (
        "import sys, wolkvox_async.settings.tenants, wolkvox_async.settings.schema, wolkvox_async.adapters.secrets\n"
        "print([name for name in ('pydantic', 'aiohttp', 'structlog', 'keyring') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_thousands_of_operations_are_read_and_placed(tmp_path: Path) -> None:
    many = [
        {"name": f"t{t}", "operations": [operation(name=f"o{o}", server=f"{t % 20:04d}") for o in range(10)]}
        for t in range(500)
    ]
    path = write(tmp_path, {"tenants": many})
    read = load_tenants(path, base_url=VENDOR, now=NOW)
    assert len(read.entries) == 5_000
    assert len({id(e.wanted) for e in read.entries}) == 1
    assert len({id(e.server) for e in read.entries}) == 20
    found = read.mistakes((e, "is not set") for e in read.entries)
    assert (len(found.listed), found.unlisted) == (1_000, 4_000)
    tokens = [line for line, text in enumerate(path.read_text().splitlines(), 1) if '"token"' in text]
    assert [mistake.line for mistake in found.listed] == tokens[:1_000]
