from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NotRequired, get_origin, get_type_hints

import orjson
import pytest
from jsonschema import Draft202012Validator

from wolkvox_async.catalog import Catalog, Endpoint
from wolkvox_async.classify import error
from wolkvox_async.counters import Counters
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.fields import ErrorField, WindowField
from wolkvox_async.lines import call_lines
from wolkvox_async.model import Call, Empty, ErrorKind, Failed, Ok, Operation, Outcome, Skipped, Token
from wolkvox_async.planning import DateRange, call
from wolkvox_async.records import CallRecord, RowRecord, RunRecord, run_ended, run_started
from wolkvox_async.settings.schema import records_schema, tenants_schema
from wolkvox_async.settings.tenants import load_tenants
from wolkvox_async.settlements import Settlement

from .samples import NOW, TOKEN, operation, tenants
from .test_mistakes import BAD_FILES, BAD_OPERATIONS
from .test_tenants import EXAMPLE

TENANTS = Draft202012Validator(tenants_schema())
RECORDS = Draft202012Validator(records_schema())
OPERATION = Operation("acme", "bogota", "0010", Token(TOKEN))
OUTCOMES: list[Outcome] = [
    Ok([{"items": "12"}, [], None, "x"], 200, 200, "found"),
    Empty(404, "none", None),
    Failed(error(ErrorKind.TIMEOUT, "no answer within 65 s")),
    Failed(error(ErrorKind.FORBIDDEN, "refused"), 200, 403.0, {"a": 1}),
    Skipped(error(ErrorKind.HELD, "another call of the token failed")),
]


def a_call(*, dated: bool) -> Call:
    endpoint = Catalog().get("gamification")
    assert endpoint is not None
    window = DateRange("2026-11-01", "2026-11-30").window(NOW) if dated else None
    own = Endpoint("agents", file="reports_manager", params=(("skill", "7"),))
    return call(OPERATION, own if dated else endpoint, run="01K00000000000000000000000", window=window)


def test_both_schemas_are_schemas_with_a_dialect() -> None:
    for schema in (tenants_schema(), records_schema()):
        Draft202012Validator.check_schema(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert orjson.loads(orjson.dumps(schema)) == schema


def test_the_example_is_valid() -> None:
    assert list(TENANTS.iter_errors(orjson.loads(EXAMPLE.read_bytes()))) == []


def test_every_key_of_the_tenants_file_is_described() -> None:
    schema = tenants_schema()
    for shape in (schema, *schema["$defs"].values()):
        assert shape["description"]
        assert shape["additionalProperties"] is False
        assert all(field.get("description") or "$ref" in field for field in shape["properties"].values())


def test_names_of_the_implementation_are_not_shown() -> None:
    assert "Shape" not in orjson.dumps(tenants_schema()).decode()


@pytest.mark.parametrize(
    "source",
    [
        tenants(),
        tenants(operation(token=TOKEN)),
        tenants(operation(token={"keyring": "a/b"})),
        tenants(operation(token={"keyring": {"service": "a", "username": "b"}})),
        tenants(operation(apis=["vision", {"api": "gamification", "from": "2026-11-01", "to": "2026-11-02"}])),
        tenants(operation(apis=[{"api": "gamification", "window": "current-month"}])),
        tenants(endpoints=[{"api": "x", "params": {"a": "b"}, "dates": "optional", "kind": "usage", "interval": 1.5}]),
        tenants(
            endpoints=[
                {
                    "file": "campaign",
                    "api": "detail",
                    "params": {"type": "preview", "campaign_id": ["7", "8"]},
                    "dates": "required",
                    "days": 31,
                    "date_names": ["from", "until"],
                    "most_rows": 1000,
                }
            ]
        ),
    ],
)
def test_what_loads_is_valid(source: dict[str, Any]) -> None:
    assert load_tenants(source, now=NOW).entries
    assert list(TENANTS.iter_errors(source)) == []


@pytest.mark.parametrize(
    "source",
    [
        *(tenants(operation(**changes)) for changes, said in BAD_OPERATIONS if "must be" in said or "unknown" in said),
        *(source for source, said in BAD_FILES if "must be an" in said or "unknown key" in said or "has no" in said),
        tenants(operation(token={})),
        tenants(operation(token={"env": "a", "file": "b"})),
        tenants(operation(name="a/b")),
        tenants(operation(licences=0)),
        {"tenants": []},
    ],
)
def test_what_the_schema_refuses_does_not_load(source: Any) -> None:
    assert list(TENANTS.iter_errors(source))
    with pytest.raises(ConfigurationError):
        load_tenants(source, now=NOW)


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("dated", [True, False])
def test_every_line_that_is_written_is_valid(outcome: Outcome, dated: bool) -> None:
    lines = call_lines("01K00000000000000000000000", Settlement(a_call(dated=dated), outcome, 1, NOW, 0.25))
    records = [orjson.loads(line) for line in lines.splitlines()]
    assert [record["type"] for record in records][-1] == "call"
    for record in records:
        RECORDS.validate(record)


def test_the_records_of_a_run_are_valid() -> None:
    RECORDS.validate(run_started("01K", NOW, version="0.1.0", calls=4))
    RECORDS.validate(run_ended("01K", datetime(2026, 1, 1, tzinfo=UTC), "finished", Counters(), 9.1))


def test_fields_that_are_added_later_are_valid() -> None:
    RECORDS.validate({**run_started("01K", NOW, version="0.1.0", calls=4), "later": [1]})


@pytest.mark.parametrize(("field", "value"), [("type", "walk"), ("at", None), ("schema", 2), ("event", "paused")])
def test_a_record_that_is_none_is_not_valid(field: str, value: Any) -> None:
    record = {**run_started("01K", NOW, version="0.1.0", calls=4), field: value}
    assert not RECORDS.is_valid(record)


@pytest.mark.parametrize(
    ("name", "record"),
    [("run", RunRecord), ("row", RowRecord), ("call", CallRecord), ("error", ErrorField), ("window", WindowField)],
)
def test_the_schema_names_the_fields_that_are_written(name: str, record: type[Mapping[str, Any]]) -> None:
    described = records_schema()["$defs"][name]
    written = get_type_hints(record, include_extras=True)
    assert list(described["properties"]) == list(written)
    assert described["required"] == [field for field, kind in written.items() if get_origin(kind) is not NotRequired]
