"""What stands beside a finished file, so that a reader can tell that it has all of it.

    {"file":"usage-2026-11-21.jsonl.zst","from":"2026-11-21T00:00:00.000Z","to":"2026-11-22T00:00:00.000Z",
     "rows":5,"calls":4,"gaps":1,"bytes":812,"sha256":"..."}

`bytes` and `sha256` are those of the file as it is, compressed or not. `from` and `to` are the
period in which its records were written, `to` not included. Some files are cut off and
still read without a complaint: only this tells.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from wolkvox_async.fields import timestamp

from .counts import Counts
from .rotation import PART, Period

MANIFEST: Final = ".manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A finished file, and what it holds: `size` in bytes, `sha256` in hexadecimal digits."""

    file: str
    period: Period
    counts: Counts
    size: int
    sha256: str

    def line(self) -> bytes:
        """Return it as a line of JSON."""
        found = {
            "file": self.file,
            "from": timestamp(self.period.start),
            "to": timestamp(self.period.end),
            "rows": self.counts.rows,
            "calls": self.counts.calls,
            "gaps": self.counts.gaps,
            "bytes": self.size,
            "sha256": self.sha256,
        }
        return orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE)


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Put it into `folder` beside its file, whole or not at all; raises `OSError`."""
    path = folder / (manifest.file + MANIFEST)
    unfinished = path.with_name(path.name + PART)
    with unfinished.open("wb") as file:
        file.write(manifest.line())
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
