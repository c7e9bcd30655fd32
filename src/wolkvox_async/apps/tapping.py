"""A pass as a Singer tap: what a target has not confirmed is handed on again, and not asked for again.

A target takes its time, and says with a STATE what it has for good. Until then records stand in
a file of the state folder, one for each run: a *batch*. A tap that starts

- hands on what stands in the batch that its STATE names behind the place that it names, and all
  later ones; what the target has is deleted;
- with a STATE of a batch that is not here (the target had all of it, or it is another machine's)
  hands on the later ones as well, and in any case, as without a STATE, the newest batch as a whole
  and the newest in which something was read: keys make that no duplicate;
- goes on with the run of the newest batch if that never ended, and else begins another one.

Two taps over one tenants file that are not the same (other endpoints, another target) have
different names.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from wolkvox_async.adapters.jsonlines import Batch, Relay
from wolkvox_async.adapters.state.folder import Folder, unusable
from wolkvox_async.errors import RunError
from wolkvox_async.identity import moment, ulid
from wolkvox_async.singer import EVERYTHING, Selection, Translator

from .passing import Ending, Order

_FOLDER: Final = "singer"
_SUFFIX: Final = ".jsonl"
_NAME: Final = re.compile(r"[0-9A-Z]{26}\.jsonl")
_CHANCE_BITS: Final = 80
_TAIL: Final = 4096  # bytes: a record that ends a run is shorter

_Ends: TypeAlias = Mapping[Path, Mapping[str, Any] | None]
"""Batches, oldest first, each with the record that it ends with; None: its run did not go to its end."""


@dataclass(frozen=True, slots=True)
class Tap:
    """What a tap is told beside its options; `state` is the value of a STATE message, empty if there is none."""

    name: str = ""
    state: Mapping[str, Any] | None = None
    selection: Selection = field(default_factory=lambda: EVERYTHING)

    def run(self, order: Order, fetch: Callable[[Order], Ending]) -> Ending:
        """Make the pass of `order` by `fetch`, with standard output for messages; raises what that raises."""
        folder = self._folder(order)
        try:
            ends = {path: _end(path) for path in sorted(folder.glob(f"*{_SUFFIX}"))}
            batches = _batches(ends, self.state or {})
        except OSError as error:
            raise unusable(folder, error) from error
        is_open = bool(batches) and ends[batches[-1].path] is None
        path = batches[-1].path if is_open else folder / _new_name(batches, self.state or {})
        translator = Translator(self.selection)

        def opened(durable: bool) -> Relay:
            return Relay(path, translator, batches, durable=durable)

        tapped = replace(order, output=str(path), run=None, resume=is_open, opens=opened)
        try:
            return fetch(tapped)
        except RunError:
            if not is_open:
                raise
        return fetch(replace(tapped, resume=False))  # the folder does not know it: it was killed before it began

    def _folder(self, order: Order) -> Path:
        root = Folder(Path(order.options.state or ""))
        root.make()
        tenants = "" if order.tenants.path is None else str(order.tenants.path.resolve())
        key = hashlib.blake2b(f"{self.name}\n{tenants}".encode(), digest_size=8).hexdigest()
        folder = root.root / _FOLDER / key
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise unusable(folder, error) from error
        return folder


def _batches(ends: _Ends, state: Mapping[str, Any]) -> list[Batch]:
    """Return what is to be handed on, oldest first, and delete what is not."""
    name, position = str(state.get("batch")), state.get("position")
    start = position if isinstance(position, int) and position > 0 else 0
    batches = [Batch(path, start if path.name == name else 0) for path in _owed(ends, name)]
    if batches and batches[0].start >= batches[0].path.stat().st_size and ends[batches[0].path] is not None:
        del batches[0]  # the target has all of it
    for path in set(ends) - {batch.path for batch in batches}:
        path.unlink()
    return batches


def _owed(ends: _Ends, name: str) -> list[Path]:
    """Return the batches that a target may lack which has, or had, part of the one that is called `name`."""
    paths = list(ends)
    names = [path.name for path in paths]
    if name in names:
        return paths[names.index(name) :]
    # Behind a batch that was handed on as a whole, and is gone, nothing was confirmed, however often it was handed on.
    later = [path for path in paths if path.name > name] if _NAME.fullmatch(name) else []
    read = next((path for path in reversed(paths) if _has_answers(ends[path])), None)
    return sorted({*later, *paths[-1:], *([read] if read else [])})


def _has_answers(end: Mapping[str, Any] | None) -> bool:
    """Tell whether a batch with this end may hold anything that the vendor answered."""
    return end is None or bool(end["ok"] or end["empty"])


def _end(path: Path) -> dict[str, Any] | None:
    """Return the record that a batch ends with, if its run went to its end."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        last = file.read().splitlines(keepends=True)[-1:]
    if not last or not last[0].endswith(b"\n") or not last[0].startswith(b'{"type":"run",'):
        return None
    record: dict[str, Any] = orjson.loads(last[0])
    return record if record["event"] == "finished" else None


def _new_name(batches: Sequence[Batch], state: Mapping[str, Any]) -> str:
    """Return a name that sorts behind all that are known, even if the clock was set back meanwhile."""
    now = datetime.now(UTC)  # noqa: TID251 - before there is a loop, which has our clock
    known = [_moment(name) for name in (*(batch.path.name for batch in batches), str(state.get("batch")))]
    milliseconds = max(int(now.timestamp() * 1000), *(one + 1 for one in known))
    return f"{ulid(milliseconds, secrets.randbits(_CHANCE_BITS))}{_SUFFIX}"


def _moment(name: str) -> int:
    try:
        return moment(name) if _NAME.fullmatch(name) else 0
    except ValueError:
        return 0
