"""The vendor's 27 billing endpoints, and those that a user adds."""

import re

import pytest

from wolkvox_async.catalog import BILLING, Catalog, Dates, Endpoint, Kind

IN_THE_VENDORS_ORDER = [
    "agent_script", "intelligent_dial", "gamification", "ivr_minutes", "rec_minutes", "amazon_s3", "rsync",
    "rsync_s3_mp3", "rec_screen", "interactions", "rec_screen_on_demand", "speech_analytics", "wp_connectors",
    "sentiment_analysis", "chat_licenses", "interaction_licenses", "video_call", "pbx_licenses", "ivr_calls",
    "asr_calls", "vision", "tts_chars", "wp_connectors_official", "contact_center_licenses", "amd_ai", "stereo_rec",
    "nlp_ai",
]  # fmt: skip

LEVELS = {
    "agent_script", "intelligent_dial", "gamification", "amazon_s3", "rsync", "wp_connectors", "chat_licenses",
    "interaction_licenses", "video_call", "pbx_licenses", "wp_connectors_official", "contact_center_licenses",
}  # fmt: skip


def test_the_27_endpoints_stand_in_the_vendors_order() -> None:
    assert [endpoint.api for endpoint in BILLING] == IN_THE_VENDORS_ORDER
    assert list(Catalog().names()) == IN_THE_VENDORS_ORDER
    assert len(Catalog()) == 27


def test_a_licence_or_connector_is_a_level_and_everything_else_a_usage() -> None:
    kinds = {endpoint.api: endpoint.kind for endpoint in BILLING}
    assert kinds == {api: Kind.LEVEL if api in LEVELS else Kind.USAGE for api in IN_THE_VENDORS_ORDER}


def test_only_gamification_takes_dates_and_it_need_not() -> None:
    dated = {endpoint.api: endpoint.dates for endpoint in BILLING if endpoint.dates is not Dates.NEVER}
    assert dated == {"gamification": Dates.OPTIONAL}


def test_every_endpoint_says_what_it_counts_and_has_no_pause_of_its_own() -> None:
    assert all(endpoint.counts and endpoint.interval is None for endpoint in BILLING)
    assert all(endpoint.file == "billing" and not endpoint.params for endpoint in BILLING)
    assert all(re.fullmatch(r"[a-z0-9_]+", endpoint.api) for endpoint in BILLING)


def test_the_longer_pause_counts_and_none_at_all_switches_off_every_one() -> None:
    hourly = Endpoint("token_info", file="information", interval=3600)
    assert [hourly.pause(least) for least in (300, 7200, 0)] == [3600, 7200, 0]
    assert [Endpoint("interactions").pause(least) for least in (300, 0)] == [300, 0]


def test_an_endpoint_of_another_file_is_written_with_its_file() -> None:
    assert Endpoint("token_info", file="information").name == "information/token_info"
    assert Endpoint("interactions").name == "interactions"


@pytest.mark.parametrize("spelling", ["interactions", "billing/interactions"])
def test_the_billing_family_may_be_written_with_or_without_its_file(spelling: str) -> None:
    found = Catalog().get(spelling)
    assert found is not None
    assert found.name == "interactions"


def test_one_api_of_two_files_is_two_endpoints() -> None:
    catalog = Catalog([Endpoint("interactions", file="real_time")])
    names = [endpoint.name for name in ("interactions", "real_time/interactions") if (endpoint := catalog.get(name))]
    assert names == ["interactions", "real_time/interactions"]
    assert list(catalog)[-1].name == "real_time/interactions"
    assert len(catalog) == 28


@pytest.mark.parametrize(
    "name", ["", "/", "interaction", "INTERACTIONS", "real_time/interactions", "billing/billing/interactions",
             "billing/information/token_info", " interactions", "billing/", "information/"]
)  # fmt: skip
def test_a_name_that_is_not_there_gives_nothing(name: str) -> None:
    assert Catalog([Endpoint("token_info", file="information")]).get(name) is None


@pytest.mark.parametrize(
    "twice", [[Endpoint("interactions")], [Endpoint("a", file="x"), Endpoint("a", file="x", interval=1.0)]]
)
def test_the_same_endpoint_twice_is_a_mistake(twice: list[Endpoint]) -> None:
    with pytest.raises(ValueError, match=re.escape(twice[-1].name)):
        Catalog(twice)
