"""Machines of one host have names of their own, which are free again when they are gone."""

from __future__ import annotations

import re
import sys

import pytest

from wolkvox_async.apps.joined.naming import own_name


def test_each_has_its_own() -> None:
    with own_name("db-7.example.org") as first, own_name("db-7.example.org") as second:
        assert re.fullmatch("db-7-[0-9a-f]+", first)
        assert second != first


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are made of chance")
def test_a_name_is_free_again_when_its_machine_is_gone() -> None:
    for _ in range(1_100):
        with own_name("db-7") as name:
            assert int(name.rpartition("-")[2]) < 1_000


def test_a_host_without_a_usable_name_has_one_all_the_same() -> None:
    with own_name("über host") as name:
        assert re.fullmatch("[A-Za-z0-9_-]+", name)
    with own_name("") as name:
        assert name.startswith("host-")
