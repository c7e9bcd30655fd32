"""What pages show, where it takes more than a command to see that it is so."""

from __future__ import annotations

import re
from typing import Final

import pytest

from wolkvox_async.apps.overseeing.picture import LeaseSeen, Picture, Standing, WorkerSeen
from wolkvox_async.apps.overseeing.sheet import sheet
from wolkvox_async.clustering.terms import ClusterTerms

from .blocks import ROOT, blocks_of
from .rules import shape

SOURCES: Final = ROOT / "src" / "wolkvox_async"


def shown(page: str, begins: str) -> str:
    (found,) = [one.text for one in blocks_of(ROOT / "docs" / page) if one.text.startswith(begins)]
    return found


def test_a_cluster_is_shown_as_the_page_has_it() -> None:
    facts = {"version": "0.1.0", "calls": 4120, "backlog": 0}
    workers = [
        WorkerSeen(name, name, able=True, seen_ago=0.4, partitions=2, facts=facts) for name in ("lab-1", "lab-2")
    ]
    leases = [LeaseSeen(n, Standing.RENEWED, "lab-1", epoch=n, ends_in=111.0 + n) for n in (1, 3)]
    seen = Picture(9.2, ClusterTerms(256, 120.0, 2.0, 10.0), workers, leases, (), 71024)
    printed = {shape(line) for line, _ in sheet(seen, 0.0)}
    lines = shown("many-machines.md", "256 partitions").splitlines()
    assert [line for line in lines if line and shape(line) not in printed] == []


@pytest.mark.tree
def test_every_file_and_folder_of_the_tree_of_sources_is_there() -> None:
    there = {path.name for path in SOURCES.rglob("*")}
    named = re.findall(r"(?m)^ *([\w, ]+?\.py|\w+/)(?=[ ,\n])", shown("architecture.md", "src/wolkvox_async/\n"))
    names = {name.strip(" /") for entry in named for name in entry.split(",")}
    assert len(names) > 80
    assert names - there == set()
