"""Options that are given one by one, `open_engine(..., max_in_flight=200)`, as editors and type checkers know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:  # as in `Options`
    from wolkvox_async.scheduling.decisions import AfterFailure


class Changes(TypedDict, total=False):
    """Any of the fields of `Options`."""

    base_url: str
    ca_file: str | None
    max_in_flight: int | Literal["auto"]
    per_server: int
    connections: Literal["token", "shared"]
    timeout: float
    connect_timeout: float
    server_limit: float
    interval: float
    wait: float
    token_gap: float
    max_attempts: int
    backoff: float
    patience: float
    after_failure: AfterFailure
    max_body: int
    proxy: str | None
    state: str | None
    durability: Literal["process", "power"]
    retry_refused: bool
