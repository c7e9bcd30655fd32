from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.catalog import Catalog
from wolkvox_async.errors import SelectionError
from wolkvox_async.planning import Wanted
from wolkvox_async.selection import restrict, select, subscribed

CATALOG = Catalog()
WANTED = {endpoint.name: Wanted(endpoint) for endpoint in CATALOG}


@dataclass(frozen=True, slots=True)
class Entry:
    tenant: str
    name: str
    labels: tuple[tuple[str, str], ...] = ()
    wanted: tuple[Wanted, ...] = ()

    @property
    def path(self) -> str:
        return f"{self.tenant}/{self.name}"


def asking(tenant: str, *apis: str) -> Entry:
    return Entry(tenant, "main", wanted=tuple(WANTED[api] for api in apis))


ENTRIES = (
    Entry("acme", "bogota", (("segment", "retail"), ("tier", "1"))),
    Entry("acme", "quito", (("segment", "retail"), ("tier", "1"))),
    Entry("acorn", "main", (("segment", "finance"),)),
    Entry("globex", "main", (("segment", "a=b"),)),
    Entry("odd [1]", "a*b"),
)


def chosen(*only: str) -> list[str]:
    return [entry.path for entry in select(ENTRIES, only)]


@pytest.mark.parametrize(
    ("only", "paths"),
    [
        ((), ["acme/bogota", "acme/quito", "acorn/main", "globex/main", "odd [1]/a*b"]),
        (("acme",), ["acme/bogota", "acme/quito"]),
        (("acme/quito",), ["acme/quito"]),
        (("ac*",), ["acme/bogota", "acme/quito", "acorn/main"]),
        (("*/main",), ["acorn/main", "globex/main"]),
        (("acm?/[bq]*",), ["acme/bogota", "acme/quito"]),
        (("segment=retail",), ["acme/bogota", "acme/quito"]),
        (("segment=a=b",), ["globex/main"]),
        (("globex", "acme/quito", "acme"), ["acme/bogota", "acme/quito", "globex/main"]),
        (("odd [1]",), ["odd [1]/a*b"]),
        (("odd [1]/a*b",), ["odd [1]/a*b"]),
        (("*",), ["acme/bogota", "acme/quito", "acorn/main", "globex/main", "odd [1]/a*b"]),
    ],
)
def test_a_selector_is_a_tenant_an_operation_a_pattern_or_a_label(only: tuple[str, ...], paths: list[str]) -> None:
    assert chosen(*only) == paths


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("acne", "'acne' selects no operation: did you mean 'acme'?"),
        ("acme/bogotá", "'acme/bogotá' selects no operation: did you mean 'acme/bogota'?"),
        ("acmo/quito", "'acmo/quito' selects no operation: did you mean 'acme/quito'?"),
        ("segment=retial", "'segment=retial' selects no operation: did you mean 'segment=retail'?"),
        ("segment=ret*", "'segment=ret*' selects no operation: did you mean 'segment=retail'?"),
        ("x*", "'x*' selects no operation"),
        ("ACME", "'ACME' selects no operation: did you mean 'acme'?"),
        ("acme/*/x", "'acme/*/x' selects no operation"),
        ("", "'' selects no operation"),
        ("\x1b[2J", "'\\x1b[2J' selects no operation"),
    ],
)
def test_what_selects_nothing_is_a_mistake(selector: str, message: str) -> None:
    with pytest.raises(SelectionError) as caught:
        chosen("acme", selector)
    assert str(caught.value) == message


def test_every_selector_that_fits_nothing_is_named() -> None:
    with pytest.raises(SelectionError) as caught:
        chosen("nobody", "acme", "tier=7")
    assert [mistake.message.split()[0] for mistake in caught.value.mistakes] == ["'nobody'", "'tier=7'"]


@given(st.lists(st.sampled_from(["acme", "a*", "*/main", "segment=retail", "globex/m*"]), max_size=4))
def test_selections_add_up_in_the_order_of_the_file(only: list[str]) -> None:
    together = chosen(*only)
    assert set(together) == {path for one in only or ["*"] for path in chosen(one)}
    assert together == [entry.path for entry in ENTRIES if entry.path in together]


def test_restricting_keeps_what_is_wanted_and_adds_nothing() -> None:
    wanted = (WANTED["interactions"], WANTED["vision"])
    assert restrict(wanted, [], CATALOG) is wanted
    assert restrict(wanted, ["billing/vision", "ivr_calls"], CATALOG) == (WANTED["vision"],)
    assert restrict(wanted, ["ivr_calls"], CATALOG) == ()


def test_operations_left_without_endpoints_are_left_out() -> None:
    entries = [asking("a", "vision", "ivr_calls"), asking("b", "interactions"), asking("c", "vision")]
    left = subscribed(entries, ["vision"], CATALOG)
    assert [(entry.tenant, [w.endpoint.name for w in entry.wanted]) for entry in left] == [
        ("a", ["vision"]),
        ("c", ["vision"]),
    ]
    assert subscribed(entries, [], CATALOG) == tuple(entries)


def test_operations_that_shared_a_list_still_share_one() -> None:
    wanted = (WANTED["vision"], WANTED["ivr_calls"])
    one, two = subscribed([Entry("a", "x", wanted=wanted), Entry("b", "x", wanted=wanted)], ["vision"], CATALOG)
    assert one.wanted is two.wanted


def test_an_unknown_endpoint_is_a_mistake_each() -> None:
    unknown = ["visio", "nope", "vision"]
    with pytest.raises(SelectionError) as caught:
        restrict((), unknown, CATALOG)
    assert [mistake.message for mistake in caught.value.mistakes] == [
        "no endpoint is called 'visio': did you mean 'vision'?",
        "no endpoint is called 'nope'",
    ]
    with pytest.raises(SelectionError, match="'visio'"):
        subscribed([asking("a", "vision")], unknown, CATALOG)


def test_a_restriction_that_leaves_nothing_is_a_mistake_that_says_why() -> None:
    with pytest.raises(SelectionError, match="no selected operation asks for ivr_calls or vision: --api leaves"):
        subscribed([asking("a", "interactions")], ["vision", "ivr_calls"], CATALOG)
