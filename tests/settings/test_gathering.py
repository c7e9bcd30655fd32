"""A whole pass at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from wolkvox_async import Parts, UsageError, fetch_all, load_tenants
from wolkvox_async.errors import ConfigurationError, SelectionError
from wolkvox_async.testing import FAULTS, Profile, Simulator


async def test_a_whole_pass_is_gathered_with_what_is_missing(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=4, rows=2, faults={"1": FAULTS["html"]})) as vendor:
        tenants = vendor.write_tenants(secret_store)
        found = await fetch_all(tenants, apis=["interactions"], base_url=vendor.base_url)
        assert vendor.verdict().ok
    assert len(found.rows) == 3 * 2
    assert [call["outcome"] for call in found.calls].count("ok") == 3
    assert [f"{call['tenant']}/{call['operation']}" for call in found.missing] == [vendor.operations[1].path]
    assert (found.summary.counters.ok, found.summary.counters.failed) == (3, 1)


async def test_an_empty_answer_is_not_missing() -> None:
    async with Simulator(Profile(servers=1, operations=1, rows=0)) as vendor:
        parts = Parts(environment=vendor.environment())
        tenants = load_tenants(vendor.tenants_document())
        found = await fetch_all(tenants, base_url=vendor.base_url, parts=parts)
    assert {call["outcome"] for call in found.calls} == {"empty"}
    assert (found.rows, found.missing) == ([], [])


async def test_asked_again_a_moment_later_it_says_what_is_not_due(secret_store: Path, tmp_path: Path) -> None:
    async with Simulator(Profile(servers=1, operations=2)) as vendor:
        tenants, state = vendor.write_tenants(secret_store), str(tmp_path / "state")
        assert (await fetch_all(tenants, base_url=vendor.base_url, state=state)).missing == []
        again = await fetch_all(tenants, base_url=vendor.base_url, state=state)
        assert vendor.verdict().ok
    assert again.rows == []
    assert {call["error"]["kind"] for call in again.missing if call["error"]} == {"not_due"}
    assert len(again.missing) == 4


async def test_more_rows_than_there_is_room_for_are_a_mistake_that_says_what_to_do(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=3, rows=5, interval=0)) as vendor:
        tenants = vendor.write_tenants(secret_store)
        with pytest.raises(UsageError, match=r"more than 29 rows: go through them with engine.fetch"):
            await fetch_all(tenants, base_url=vendor.base_url, most=29)
        assert len((await fetch_all(tenants, base_url=vendor.base_url, most=30)).rows) == 30


async def test_mistakes_are_raised_before_anything_is_called(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=1)) as vendor:
        tenants = vendor.write_tenants(secret_store)
        with pytest.raises(SelectionError, match="nobody"):
            await fetch_all(tenants, only=["nobody"], base_url=vendor.base_url)
        with pytest.raises(ConfigurationError):
            await fetch_all(secret_store / "none.json")
        assert vendor.verdict().requests == 0


async def test_a_mapping_will_do_and_a_lone_text_is_no_list() -> None:
    async with Simulator(Profile(servers=1, operations=1)) as vendor:
        parts, described = Parts(environment=vendor.environment()), vendor.tenants_document()
        found = await fetch_all(described, apis=["interactions"], base_url=vendor.base_url, parts=parts)
        assert len(found.rows) == 1
        with pytest.raises(UsageError, match="are lists"):
            await fetch_all(described, apis="interactions", base_url=vendor.base_url, parts=parts)
        with pytest.raises(UsageError, match="are lists"):
            await fetch_all(described, only="acme", base_url=vendor.base_url, parts=parts)
