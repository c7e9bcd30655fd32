"""What is the caller's mistake, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from wolkvox_async.catalog import Catalog, Dates, Endpoint
from wolkvox_async.engine import Engine
from wolkvox_async.errors import ConfigurationError, SelectionError, UsageError
from wolkvox_async.planning import DateRange, Wanted

from .stage import Stage, many, settle_down, subscription

BOTH = ("interactions", "gamification")
NOVEMBER = DateRange("2026-11-01", "2026-11-05")
DETAIL = Endpoint(
    "detail",
    file="campaign",
    dates=Dates.REQUIRED,
    params=(("type", "predictive"),),
    choices=(("campaign_id", ("1", "2")),),
)
OTHER = Endpoint("cdr_1", file="reports_manager", dates=Dates.REQUIRED)


@pytest.mark.parametrize(
    ("operation", "api", "error", "says"),
    [
        ("acme/nowhere", "interactions", UsageError, "no operation is called 'acme/nowhere'"),
        ("acme", "interactions", UsageError, "tenant/operation"),
        ("", "interactions", UsageError, "no operation"),
        ("acme/bogota", "interaction", UsageError, "no endpoint is called 'interaction': did you mean 'interactions'"),
        ("acme/bogota", "none", UsageError, "no endpoint is called 'none': `wolkvox-async apis` lists them"),
        ("acme/bogota", "information/interactions", UsageError, "no endpoint"),
    ],
)
async def test_a_call_names_what_there_is(operation: str, api: str, error: type[Exception], says: str) -> None:
    stage = Stage([subscription("acme/bogota", BOTH)])
    async with stage.engine() as engine:
        with pytest.raises(error, match=says):
            await engine.call(operation, api)
        assert engine.snapshot().queued == 0
    assert not stage.scripted.calls


@pytest.mark.parametrize(
    ("api", "dates", "says"),
    [
        ("interactions", DateRange("2026-11-01", "2026-11-02"), "takes no dates"),
        ("gamification", DateRange("2026-10-31", "2026-11-02"), "one calendar month"),
        ("gamification", DateRange("yesterday"), "is not a date"),
        ("gamification", DateRange("2026-11-30"), "lies in the future"),
        ("gamification", DateRange("2026-11-10", "2026-11-01"), "lies before"),
    ],
)
async def test_a_call_has_dates_that_can_be(api: str, dates: DateRange, says: str) -> None:
    stage = Stage([subscription("acme/bogota", BOTH)])
    async with stage.engine() as engine:
        with pytest.raises(ValueError, match=says):
            await engine.call("acme/bogota", api, dates=dates)
    assert not stage.scripted.calls


@pytest.mark.parametrize(
    ("dates", "params", "says"),
    [
        (NOVEMBER, {"campain_id": "7"}, r"campaign/detail has no parameter 'campain_id': did you mean 'campaign_id'\?"),
        (NOVEMBER, {"api": "agents"}, "has no parameter 'api'"),
        (NOVEMBER, {"campaign_id": "a\nb"}, r"the parameter's value 'a\\nb' has characters that cannot be printed"),
        (NOVEMBER, {"campaign_id": 7}, "the parameter 'campaign_id' must be text, not a number"),
        (NOVEMBER, None, "is one call for each campaign_id: name one in params"),
        (None, {"campaign_id": "7"}, "campaign/detail needs dates"),
        ("last-month", {"campaign_id": "7"}, "dates are a DateRange, .*'previous-month', not 'last-month'"),
    ],
)
@pytest.mark.parametrize("ask", [Engine.call, Engine.read])
async def test_an_endpoint_beyond_billing_is_asked_with_what_it_takes(
    ask: Callable[..., Any], dates: Any, params: Any, says: str
) -> None:
    stage = Stage([subscription("acme/bogota")], catalog=Catalog((DETAIL,)))
    async with stage.engine() as engine:
        with pytest.raises(ValueError, match=says):
            await ask(engine, "acme/bogota", "campaign/detail", dates=dates, params=params)
    assert not stage.scripted.calls


async def test_an_endpoint_that_takes_no_parameters_gets_none() -> None:
    stage = Stage([subscription("acme/bogota")])
    async with stage.engine() as engine:
        with pytest.raises(ValueError, match="the endpoint interactions has no parameter 'x'"):
            await engine.call("acme/bogota", "interactions", params={"x": "1"})
        assert (await engine.call("acme/bogota", "interactions", params={})).ok


async def test_a_call_has_the_parameters_that_were_named_in_the_order_of_the_tenants_file() -> None:
    stage = Stage([subscription("acme/bogota")], catalog=Catalog((DETAIL,)))
    async with stage.engine() as engine:
        await engine.call("acme/bogota", "campaign/detail", dates=NOVEMBER, params={"campaign_id": "9"})
        await engine.call(
            "acme/bogota", "campaign/detail", dates=NOVEMBER, params={"campaign_id": "1", "type": "preview"}
        )
    assert [call.params for call in stage.scripted.calls] == [
        (("type", "predictive"), ("campaign_id", "9")),
        (("type", "preview"), ("campaign_id", "1")),
    ]


async def test_what_needs_dates_is_not_fetched_or_watched_without_any() -> None:
    wants = (Wanted(DETAIL), Wanted(OTHER), Wanted(OTHER, NOVEMBER))
    stage = Stage([replace(subscription("acme/bogota"), wanted=wants)], catalog=Catalog((DETAIL, OTHER)), interval=300)
    async with stage.engine() as engine:
        for begin in (engine.fetch, engine.watch):
            with pytest.raises(SelectionError) as caught:
                begin()
            said = [str(mistake) for mistake in caught.value.mistakes]
            assert [line.split()[2] for line in said] == ["campaign/detail", "reports_manager/cdr_1"]
            assert all("needs dates: name them with --from and --to" in line for line in said)
        engine.fetch(dates=NOVEMBER)
    stage = Stage([replace(subscription("acme/bogota"), wanted=wants[2:])], catalog=Catalog((OTHER,)), interval=300)
    async with stage.engine() as engine:
        engine.fetch()
    assert not stage.scripted.calls


async def test_a_call_takes_a_month_by_its_name() -> None:
    stage = Stage([subscription("acme/bogota", BOTH)])
    async with stage.engine() as engine:
        result = await engine.call("acme/bogota", "gamification", dates="previous-month")
    window = result.settlement.call.window
    assert window is not None
    assert (window.date_ini, window.date_end) == ("20261001000000", "20261031235959")


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        ({"apis": ["interaction"]}, "no endpoint is called"),
        ({"apis": ["vision"]}, "no selected operation asks for vision"),
        ({"only": ["globex"]}, "selects no operation"),
        ({"only": ["acme/lima"]}, "selects no operation"),
        ({"apis": ["interactions"], "dates": DateRange("2026-11-01")}, "none of the endpoints takes dates"),
    ],
)
async def test_a_selection_selects_something(selection: dict[str, Any], says: str) -> None:
    async with Stage([subscription("acme/bogota", BOTH)]).engine() as engine:
        with pytest.raises(SelectionError, match=says):
            engine.fetch(**selection)


@pytest.mark.parametrize("selection", [{"apis": "interactions"}, {"only": "acme"}])
@pytest.mark.parametrize("verb", ["fetch", "watch"])
async def test_a_text_is_no_list_of_names(verb: str, selection: dict[str, Any]) -> None:
    async with Stage([subscription("acme/bogota", BOTH)]).engine() as engine:
        with pytest.raises(UsageError, match="are lists"):
            getattr(engine, verb)(**selection)


@pytest.mark.parametrize("verb", ["call", "read"])
async def test_an_engine_is_asked_in_its_own_event_loop(verb: str) -> None:
    async with Stage([subscription("acme/bogota", BOTH)]).engine() as engine:

        def elsewhere() -> None:
            asyncio.run(getattr(engine, verb)("acme/bogota", "interactions"))

        with pytest.raises(UsageError, match="the event loop in which its block was entered"):
            await asyncio.to_thread(elsewhere)
        with pytest.raises(UsageError, match="run_coroutine_threadsafe"):
            await asyncio.to_thread(engine.fetch)


@pytest.mark.parametrize("dates", [DateRange("2026-11-30"), DateRange("x"), DateRange("2026-11-02", "2026-11-01")])
async def test_wrong_dates_are_said_when_the_pass_is_entered_and_nothing_is_called(dates: DateRange) -> None:
    stage = Stage(many(3, BOTH))
    async with stage.engine() as engine:
        with pytest.raises(SelectionError) as caught:
            async with engine.fetch(dates=dates):
                raise AssertionError("the block was entered")
        await settle_down()
        assert engine.snapshot().queued == 0
    assert isinstance(caught.value, ConfigurationError)
    assert len(caught.value.mistakes) == 1
    assert not stage.scripted.calls


async def _call(engine: Engine) -> None:
    await engine.call("t0/main", "interactions")


async def _fetch(engine: Engine) -> None:
    engine.fetch()


@pytest.mark.parametrize("use", [_call, _fetch])
async def test_an_engine_is_used_inside_its_block(use: Callable[[Engine], Any]) -> None:
    engine = Stage(many(1)).engine()
    with pytest.raises(UsageError, match="not open"):
        await use(engine)
    async with engine:
        await use(engine)
    with pytest.raises(UsageError, match="not open"):
        await use(engine)


async def test_a_pass_is_entered_inside_the_engines_block() -> None:
    stage = Stage(many(1))
    async with stage.engine() as engine:
        records = engine.fetch()
    with pytest.raises(UsageError, match="not open"):
        async with records:
            raise AssertionError("the block was entered")
    assert not stage.scripted.calls


async def test_an_engine_is_entered_once() -> None:
    engine = Stage(many(1)).engine()
    async with engine:
        with pytest.raises(UsageError, match="entered once"):
            await engine.__aenter__()
        assert (await engine.call("t0/main", "interactions")).ok
    with pytest.raises(UsageError, match="entered once"):
        async with engine:
            raise AssertionError("the block was entered")


async def test_an_engine_that_was_never_entered_cannot_be_left() -> None:
    with pytest.raises(UsageError, match="never entered"):
        await Stage(many(1)).engine().__aexit__(None, None, None)
    await asyncio.sleep(0)
