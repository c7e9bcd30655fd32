from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wolkvox_async.errors import ConfigurationError
from wolkvox_async.settings.tenants import load_tenants

from .samples import NOW, TOKEN, messages_in, mistakes_in, operation, tenants, write

GAMIFICATION = {"api": "gamification"}


def endpoint(**changes: Any) -> dict[str, Any]:
    return tenants(endpoints=[{"file": "information", "api": "token_info", **changes}])


BAD_OPERATIONS: list[tuple[dict[str, Any], str]] = [
    ({"server": "10"}, "a server has four digits: write 0010 instead of 10"),
    ({"server": "WV7"}, "a server has four digits: write 0007 instead of 7"),
    ({"server": 10}, 'server must be text in double quotes, not a number: write "0010"'),
    ({"server": "00100"}, "a server has four digits, for example 0010: '00100' has not"),
    ({"server": "a.b"}, "'a.b' is no name of a server: write its four digits, for example 0010"),
    ({"server": "0010\n"}, "'0010\\n' is no name of a server: write its four digits, for example 0010"),
    ({"server": ""}, "'' is no name of a server: write its four digits, for example 0010"),
    ({"server": "x" * 64}, "is no name of a server"),
    ({"server": TOKEN + "."}, "(not shown: it looks like a token) is no name of a server"),
    ({"name": ""}, "the name is empty"),
    ({"name": "a/b"}, "the name 'a/b' has a slash: selectors write tenant/operation"),
    ({"name": "a\x1b[31m"}, "the name 'a\\x1b[31m' has characters that cannot be printed"),
    ({"name": "a\u202eb"}, "the name 'a\\u202eb' has characters that cannot be printed"),
    ({"name": "n" * 201}, "the name has 201 characters: at most 200 are allowed"),
    ({"name": " a"}, "the name ' a' begins or ends with a space"),
    ({"name": True}, "name must be text in double quotes, not true or false"),
    ({"name": None}, "name must be text in double quotes, not null"),
    ({"licences": 0}, "licences must be at least 1, not 0"),
    ({"licences": -4}, "licences must be at least 1, not -4"),
    ({"licences": 40.5}, "licences must be a whole number, not 40.5"),
    ({"licences": "40"}, "licences must be a whole number, not text"),
    ({"licences": True}, "licences must be a whole number, not true or false"),
    ({"timezone": "America/Bogta"}, "no timezone is called 'America/Bogta': did you mean 'America/Bogota'?"),
    ({"timezone": "america/lima"}, "no timezone is called 'america/lima': did you mean 'America/Lima'?"),
    ({"timezone": "../../etc/passwd"}, "no timezone is called '../../etc/passwd'"),
    ({"timezone": ""}, "no timezone is called ''"),
    ({"timezone": 5}, "timezone must be text in double quotes, not a number"),
    ({"tokn": 1}, "unknown key 'tokn': did you mean 'token'?"),
    ({"zzz": 1}, "unknown key 'zzz': the operation knows name, server, token, licences, apis, timezone"),
    ({"apis": "interactions"}, "apis must be a list in [ ], not text"),
    ({"apis": []}, "apis is empty: name at least one endpoint, or leave apis out"),
    ({"apis": ["interacciones"]}, "no endpoint is called 'interacciones': did you mean 'interactions'?"),
    ({"apis": ["billing/vison"]}, "no endpoint is called 'billing/vison': did you mean 'vision'?"),
    ({"apis": [7]}, "the entry of apis must be text in double quotes or an object in { }, not a number"),
    ({"apis": [{}]}, "the entry of apis has no api"),
    ({"apis": [{**GAMIFICATION, "form": "2026-11-01"}]}, "unknown key 'form': did you mean 'from'?"),
    ({"apis": [{**GAMIFICATION, "window": "last-month"}]}, "window must be current-month or previous-month"),
    ({"apis": [{"api": "interactions", "from": "2026-11-01"}]}, "the endpoint 'interactions' takes no dates"),
    ({"apis": [{**GAMIFICATION, "to": "2026-11-01"}]}, "to needs a from"),
    ({"apis": [{**GAMIFICATION, "from": "2026-12-01"}]}, "from 2026-12-01 lies in the future"),
    ({"apis": [{**GAMIFICATION, "from": "2026-11-02", "to": "2026-11-01"}]}, "to 2026-11-01 lies before from"),
    ({"apis": [{**GAMIFICATION, "from": "2026-11-31"}]}, "'2026-11-31' is not a date: write 2026-11-30"),
    ({"apis": [{**GAMIFICATION, "from": "2026-11-01", "to": "x" * 99}]}, "is not a date: write 2026-11-30"),
    ({"apis": [{**GAMIFICATION, "from": "previous_month"}]}, "did you mean 'previous-month'?"),
    ({"apis": [{**GAMIFICATION, "from": "9999-12-31"}]}, "lies outside the years"),
    ({"apis": [{**GAMIFICATION, "from": 20261101}]}, "from must be text in double quotes, not a number"),
    (
        {"apis": [{**GAMIFICATION, "from": "previous-month", "to": "2026-11-01"}]},
        "from is the whole month previous-month: it stands without to",
    ),
    (
        {"apis": [{**GAMIFICATION, "window": "previous-month", "from": "2026-10-01"}]},
        "window is a whole month: it stands without from and to",
    ),
    ({"token": None}, "token must be text in double quotes or an object in { }, not null"),
    ({"token": 12345678}, "token must be text in double quotes or an object in { }, not a number"),
    ({"token": {}}, "a token's reference names one of env, file, secret, command, keyring"),
    ({"token": {"env": "A", "file": "b"}}, "a token is found in one way: this names env and file"),
    ({"token": {"enviroment": "A"}}, "unknown key 'enviroment': the token's reference knows env, file, secret, "),
    ({"token": {"evn": "A"}}, "unknown key 'evn': did you mean 'env'?"),
    ({"token": {"env": ""}}, "the name of the variable is empty"),
    ({"token": {"env": "A=B"}}, "the name of an environment variable has no equals sign"),
    ({"token": {"env": TOKEN}}, "the name of the variable is not shown, because it looks like a token itself"),
    ({"token": {"file": ""}}, "the path of the token's file is empty"),
    ({"token": {"file": "a\x00b"}}, "the path of the token's file is too long or has characters"),
    ({"token": {"file": TOKEN}}, "the path of the token's file is not shown"),
    ({"token": {"command": []}}, "a command is a list of words"),
    ({"token": {"command": "pass show x"}}, "command must be a list in [ ], not text"),
    ({"token": {"command": ["pass", 1]}}, "each word of a command must be text in double quotes, not a number"),
    ({"token": {"command": ["pass", "\x00"]}}, "a command's words have no NUL character"),
    ({"token": {"command": [""]}}, "the command's program is empty"),
    ({"token": {"keyring": "acme"}}, 'a keyring entry is written "service/name"'),
    ({"token": {"keyring": "/acme"}}, "the keyring's service is empty"),
    ({"token": {"keyring": {"service": "x"}}}, "the keyring entry has no username"),
    ({"token": {"keyring": 4}}, "keyring must be text in double quotes or an object in { }, not a number"),
    ({"token": "short"}, "a token has 8 to 512 characters, this one has 5"),
    ({"token": "x" * 513}, "a token has 8 to 512 characters, this one has 513"),
    ({"token": "with a space"}, "a token has visible ASCII characters only"),
    ({"token": "tab\tinside"}, "a token has visible ASCII characters only"),
    ({"token": "año-nuevo-2026"}, "a token has visible ASCII characters only"),
]

BAD_FILES: list[tuple[Any, str]] = [
    ({}, "the file has no tenants"),
    ({"tenants": []}, "there are no tenants"),
    ({"tenants": {}}, "tenants must be a list in [ ]"),
    ({"tenants": [3]}, "the tenant must be an object in { }, not a number"),
    ({"tenants": [{"name": "acme", "operations": []}]}, "the tenant has no operations"),
    ({"tenants": [{"name": "acme", "operations": 3}]}, "operations must be a list in [ ]"),
    ({"tenants": [{"name": "acme"}]}, "the tenant has no operations"),
    ({"tenants": [{"operations": [operation()]}]}, "the tenant has no name"),
    ({"tenants": [{"name": "a", "operations": [[]]}]}, "the operation must be an object in { }, not a list"),
    (tenants(tennants=[]), "unknown key 'tennants': did you mean 'tenants'?"),
    (tenants(defaults=[]), "defaults must be an object in { }, not a list"),
    (tenants(defaults={"apis": ["nope"]}), "no endpoint is called 'nope'"),
    (tenants(defaults={"timezone": "Nowhere/Land"}), "no timezone is called 'Nowhere/Land'"),
    (tenants(defaults={"apis": 4}), "apis must be a list in [ ], not a number"),
    (tenants(**{"$schema": 4}), "$schema must be text in double quotes, not a number"),
    (endpoint(file="billing", api="interactions"), "the endpoint 'interactions' is built in"),
    (endpoint(api="Token Info"), "'Token Info' must be small letters, digits and underscores only"),
    (endpoint(file="information.php"), "'information.php' must be small letters, digits and underscores only"),
    (endpoint(file="../x"), "'../x' must be small letters, digits and underscores only"),
    (endpoint(method="POST"), "endpoints have no method: only GET is ever sent"),
    (endpoint(interval=-1), "interval must be a number of seconds, at least 0"),
    (endpoint(interval="1h"), "interval must be a number, not text"),
    (endpoint(interval=float("inf")), "interval must be a number of seconds, at least 0"),
    (endpoint(params={"api": "x"}), "the parameter api is set by the program"),
    (endpoint(params={"x": 1}), "the parameter 'x' must be text in double quotes or a list in [ ], not a number"),
    (endpoint(params={"x": "a\nb"}), "the parameter's value 'a\\nb' has characters that cannot be printed"),
    (endpoint(dates="sometimes"), "dates must be never or optional or required"),
    (endpoint(kind="stock"), "kind must be level or usage or other"),
    (endpoint(counts="a\x07"), "counts 'a\\x07' has characters that cannot be printed"),
    (tenants(endpoints={"api": "x"}), "endpoints must be a list in [ ]"),
    (tenants(endpoints=[{"file": "x"}]), "the endpoint has no api"),
]

BAD_LABELS: list[tuple[Any, str]] = [
    ({"segment": 4}, "the label 'segment' must be text in double quotes, not a number"),
    ({"a=b": "x"}, "the label 'a=b' has an equals sign: selectors write label=value"),
    ({"": "x"}, "the label is empty"),
    ({"a": "x\x00"}, "a label's value has at most 200 characters, all of them printable"),
    ("retail", "labels must be an object in { }, not text"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_OPERATIONS)
def test_a_wrong_operation_is_one_clear_mistake(changes: dict[str, Any], message: str) -> None:
    [said] = messages_in(tenants(operation(**changes)))
    assert message in said


@pytest.mark.parametrize(("source", "message"), BAD_FILES)
def test_a_wrong_file_is_one_clear_mistake(source: Any, message: str) -> None:
    [said] = messages_in(source)
    assert message in said


@pytest.mark.parametrize(("labels", "message"), BAD_LABELS)
def test_wrong_labels_are_one_clear_mistake(labels: Any, message: str) -> None:
    [said] = messages_in({"tenants": [{"name": "acme", "labels": labels, "operations": [operation()]}]})
    assert message in said


def test_without_a_base_url_only_what_no_server_is_called_is_wrong() -> None:
    assert load_tenants(tenants(operation(server="10"))).entries[0].server == "10"
    assert messages_in(tenants(operation(server="a b")), base_url=None)


def test_names_that_stand_twice_say_where_they_stood_first(tmp_path: Path) -> None:
    twice = [{"name": "acme", "operations": [operation(), operation()]}, {"name": "acme", "operations": [operation()]}]
    found = [(m.line, m.message) for m in mistakes_in(write(tmp_path, {"tenants": twice}))]
    assert found == [
        (14, "two operations of the tenant are called 'bogota' (first on line 7)"),
        (23, "two tenants are called 'acme' (first on line 4)"),
    ]


def test_two_tenants_may_have_operations_of_one_name() -> None:
    two = [{"name": name, "operations": [operation()]} for name in ("acme", "globex")]
    assert len(load_tenants({"tenants": two}).entries) == 2


@pytest.mark.parametrize("second", ["interactions", "billing/interactions", {"api": "billing/interactions"}])
def test_the_same_endpoint_twice_is_a_mistake_however_it_is_written(second: Any) -> None:
    [said] = messages_in(tenants(operation(apis=["interactions", second])))
    assert "the endpoint 'interactions' stands twice in this list" in said


def test_an_added_endpoint_twice_is_a_mistake() -> None:
    own = {"file": "information", "api": "token_info"}
    [said] = messages_in(tenants(endpoints=[own, own]))
    assert said == "endpoints[1].api: the endpoint 'information/token_info' stands twice"


def test_every_mistake_is_found_in_one_reading_and_said_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """{
  "defaults": {"timezone": "Nowhere"},
  "tenants": [
    {"name": "acme", "operations": [
      {"name": "a", "server": "10", "token": {"env": "A"}, "licences": "x"},
      {"name": "a", "server": "0010", "token": {}, "apis": ["vision", "vison"], "x": 1}
    ]},
    {"nam": "b", "operations": []}
  ],
  "endpoints": [{"api": "NO"}]
}"""
    lines = text.splitlines()
    found = mistakes_in(write(tmp_path, text))
    assert [(m.line, lines[(m.line or 0) - 1][(m.column or 0) - 1 :][:9]) for m in found] == [
        (2, '"Nowhere"'),
        (5, '"10", "to'),
        (5, '"x"},'),
        (6, '"a", "ser'),
        (6, '{}, "apis'),
        (6, '"vison"],'),
        (6, '"x": 1}'),
        (8, '{"nam": "'),
        (8, '"nam": "b'),
        (8, "[]}"),
        (10, '"NO"}]'),
    ]


def test_places_are_the_path_as_written_line_and_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, '{"tenants": [\n  {"name": "ñandú", "tokens": 4, "operations": [{}]}]}')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        load_tenants("tenants.json")
    assert str(caught.value).splitlines()[0].startswith("tenants.json:2:21: unknown key 'tokens'")


def test_a_mapping_says_the_path_instead_of_the_line() -> None:
    assert messages_in(tenants(operation(licences=0))) == [
        "tenants[0].operations[0].licences: licences must be at least 1, not 0"
    ]


def test_keys_that_stand_twice_are_mistakes_at_the_second(tmp_path: Path) -> None:
    operation = '{"name": "a",\n"server": "0010", "token": {"env": "A"}, "name": "b"}'
    text = '{"tenants": [{"name": "a", "operations": [' + operation + "]}]}"
    [found] = mistakes_in(write(tmp_path, text))
    assert (found.line, found.column) == (2, 42)
    assert found.message == "the key 'name' stands twice in its object"


def test_beyond_a_thousand_mistakes_are_counted(tmp_path: Path) -> None:
    many = tenants(*(operation(name=f"o{n}", licences=0, timezone="Nowhere") for n in range(700)))
    with pytest.raises(ConfigurationError) as caught:
        load_tenants(write(tmp_path, many))
    assert len(caught.value.mistakes) == 1_000
    assert str(caught.value).endswith("... and 400 more mistakes")


def test_a_mistake_in_the_defaults_is_said_once_for_all_operations() -> None:
    many = tenants(*(operation(name=f"o{n}") for n in range(20)), defaults={"apis": ["visoin"]})
    assert len(messages_in(many)) == 1


def test_a_token_pasted_anywhere_is_not_shown(tmp_path: Path) -> None:
    pasted = {
        "tenants": [
            {
                "name": TOKEN,
                TOKEN: 1,
                "labels": {TOKEN: 4},
                "operations": [
                    operation(name=TOKEN, server=TOKEN, timezone=TOKEN, apis=[TOKEN, {"api": TOKEN, "from": TOKEN}]),
                    operation(name=TOKEN, token={TOKEN: TOKEN}),
                    operation(name="x", token={"command": [TOKEN]}),
                ],
            }
        ],
        "endpoints": [{"api": TOKEN, "file": TOKEN.upper()}],
    }
    for source in (pasted, write(tmp_path, pasted)):
        with pytest.raises(ConfigurationError) as caught:
            load_tenants(source, now=NOW)
        assert TOKEN not in f"{caught.value!s} {caught.value!r}".lower()


def test_what_holds_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["tenants"] = [endless]
    assert messages_in(endless) == ["the tenants are nested too deeply, or hold themselves"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"days": 31}, "days is for endpoints that take dates"),
        ({"date_names": ["a", "b"]}, "date_names is for endpoints that take dates"),
        ({"dates": "required", "days": 0}, "days must be at least 1, not 0"),
        ({"dates": "required", "days": 400}, "days must be at most 366, not 400"),
        ({"dates": "required", "days": "31"}, "days must be a whole number, not text"),
        ({"dates": "required", "day": 31}, "unknown key 'day': did you mean 'days'?"),
        (
            {"dates": "required", "date_names": ["a"]},
            'date_names must be two names, for example ["date_ini", "date_end"]',
        ),
        ({"dates": "required", "date_names": ["a", "a"]}, "date_names must be two names"),
        ({"dates": "required", "date_names": ["a", "api"]}, "date_names must be two names"),
        (
            {"dates": "required", "date_names": ["a", 7]},
            "each of date_names must be text in double quotes, not a number",
        ),
        ({"dates": "required", "date_names": "a"}, "date_names must be a list in [ ], not text"),
        (
            {"dates": "required", "date_names": ["a", "b"], "params": {"a": "1"}},
            "the parameter a is set by the program",
        ),
        ({"most_rows": 0}, "most_rows must be at least 1, not 0"),
        ({"most_rows": 0.5}, "most_rows must be a whole number, not 0.5"),
        ({"params": {"campaign_id": []}}, "the parameter 'campaign_id' has no values: name at least one"),
        ({"params": {"campaign_id": ["1", "2", "1"]}}, "the value '1' stands twice in this list"),
        ({"params": {"campaign_id": [7]}}, "each value of the parameter 'campaign_id' must be text in double quotes"),
        ({"params": {"campaign_id": 7}}, "the parameter 'campaign_id' must be text in double quotes or a list in [ ]"),
        (
            {"params": {"a": [str(n) for n in range(40)], "b": [str(n) for n in range(40)]}},
            "these lists come to 1600 calls",
        ),
    ],
)
def test_a_wrong_endpoint_beyond_billing_is_one_clear_mistake(changes: dict[str, Any], message: str) -> None:
    [said] = messages_in(endpoint(**changes))
    assert message in said
