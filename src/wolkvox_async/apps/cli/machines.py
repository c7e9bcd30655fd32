"""`fetch` and `watch` as one of many machines: what `--join` brings along, and what it rules out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from wolkvox_async.errors import Mistake
from wolkvox_async.settings.options import Option, one_of, some_seconds

from .joining import JOINING, join_settings
from .options import Read

if TYPE_CHECKING:
    from wolkvox_async.apps.joined.errand import Joining
    from wolkvox_async.settings.options import Options

_MOST_PARTITIONS: Final = 16_384


def _partitions(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= _MOST_PARTITIONS:
        raise ValueError(f"write a whole number from 1 to {_MOST_PARTITIONS}")
    return int(text)


def _replicas(text: str) -> int:
    return int(one_of("1", "3", "5")(text))


REPLICAS: Final = Option("replicas", 1, _replicas, "1|3|5", "with --join: copies that brokers keep; the first start")
PARTITIONS: Final = Option(
    "partitions",
    None,
    _partitions,
    "N",
    "with --join: how finely tokens are dealt out; the first start  [default: 256]",
)
LEASE: Final = Option(
    "lease",
    None,
    some_seconds,
    "SECONDS",
    "with --join: how long a lease lasts; the first start  [default: by --timeout]",
)
FIRST_START: Final = (REPLICAS, PARTITIONS, LEASE)
MACHINES: Final = (*JOINING, *FIRST_START)

FAST_HELP: Final = "with --join: tokens of a machine that is gone move sooner; wants a short --timeout"
_NOT_JOINED: Final = {
    "output": "records go to the broker: read them with `records --join`",
    "format": "records go to the broker as JSON lines: read them with `records --join`",
    "state": "what is known of tokens is kept in the broker",
    "durability": "what is known of tokens is kept in the broker",
}


def joining(said: Read, given: Mapping[str, Any], *ruled_out: str) -> Joining | None:
    """Return how a cluster is to be joined; None when none is, or something is wrong, which is then said.

    `ruled_out` are further options that make no sense with it.
    """
    found = join_settings(said)
    if given["join"] is None:
        said.mistakes.extend(_without_join(given))
        return None
    said.mistakes.extend(_with_join(given, ruled_out))
    if found is None or said.mistakes:
        return None
    from wolkvox_async.apps.joined.errand import Joining  # noqa: PLC0415 - `--help` needs none of it

    values = said.values
    store = replace(found, replicas=values["replicas"])
    return Joining(store, values["partitions"], values["lease"], fast=given["fast_failover"])


def options_of(said: Read, join: Joining | None, *, retry_refused: bool) -> Options:
    """Return the engine's options; a machine of a cluster has no state folder. Raises `StateError`."""
    if join is None:
        return said.engine_with_state(retry_refused=retry_refused)
    return replace(said.engine(), retry_refused=retry_refused)


def _without_join(given: Mapping[str, Any]) -> Iterator[Mistake]:
    named = [option.name for option in FIRST_START if given[option.field] is not None]
    for name in (*named, *(["fast-failover"] if given["fast_failover"] else [])):
        yield Mistake(f"--{name} is for --join: say where the broker is")


def _with_join(given: Mapping[str, Any], ruled_out: tuple[str, ...]) -> Iterator[Mistake]:
    for name, why in _NOT_JOINED.items():
        if given.get(name) is not None:
            yield Mistake(f"--{name} does not go with --join: {why}")
    for name in ruled_out:
        if given.get(name.replace("-", "_")):
            yield Mistake(f"--{name} does not go with --join")
    if given["fast_failover"] and given["lease"] is not None:
        yield Mistake("--lease says how long leases last, --fast-failover lets the program choose: use one of them")
