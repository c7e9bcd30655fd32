"""The last message of many subjects, in pages.

A server answers for 1,024 subjects at once, and cuts a page that grows too large. So the
leader lists the subjects, with how far the stream is; then their last messages are asked for,
page by page, until each subject was answered for by a copy that was as far as that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeAlias

from wolkvox_async.errors import StoreUnavailableError

from .dialling import Connection
from .pages import MOST_SUBJECTS, Found, TooMany, read
from .requests import Refused, ask

_AGAIN: Final = 0.02
"""Seconds until a copy that was behind is asked again."""

Within: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]
"""A deadline, and the connection for it."""


async def last_of(within: Within, stream: str, filtered: str) -> AsyncIterator[Sequence[Found]]:
    """Yield pages with the last messages of all subjects that `filtered` matches; raises `StoreUnavailableError`."""
    async with within() as connection:
        subjects, at_least = await _listed(connection, stream, filtered)
    for first in range(0, len(subjects), MOST_SUBJECTS):
        missing = dict.fromkeys(subjects[first : first + MOST_SUBJECTS])
        while missing:
            async with within() as connection:
                found = await _some_of(connection, stream, list(missing), at_least)
            for message in found:
                missing.pop(message.subject, None)
            yield found


async def _some_of(connection: Connection, stream: str, subjects: Sequence[str], at_least: int) -> Sequence[Found]:
    """Return the last messages of some of `subjects`, at least of one."""
    while True:
        page = await read(connection, stream, {"multi_last": subjects})
        if isinstance(page, TooMany):
            raise StoreUnavailableError(f"the broker answers for fewer than {len(subjects)} subjects at once")
        if page.messages and page.up_to >= at_least:
            return page.messages
        await asyncio.sleep(_AGAIN)


async def _listed(connection: Connection, stream: str, filtered: str) -> tuple[list[str], int]:
    """Return the subjects, and the last sequence of the stream from before they were listed."""
    subjects: list[str] = []
    last = None
    while True:
        body = {"subjects_filter": filtered, "offset": len(subjects)}
        answer = await ask(connection, f"STREAM.INFO.{stream}", body)
        if isinstance(answer, Refused):
            raise answer.error()
        state: Mapping[str, Any] = answer["state"]
        last = state["last_seq"] if last is None else last
        listed = state.get("subjects") or {}
        subjects.extend(listed)
        if not listed or len(subjects) >= answer.get("total", 0):
            return subjects, last
