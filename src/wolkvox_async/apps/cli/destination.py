"""What is wrong with the name of an output, before anything is opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wolkvox_async.errors import Mistake


def output_mistakes(values: Mapping[str, Any], *, rotates: bool) -> list[Mistake]:
    """Say what is wrong with `--output`, which may stand for one file after the other if it `rotates`."""
    output = values["output"]
    if output is None:
        return []
    if _is_same_file(output, values["tenants"]):
        return [Mistake("--output: this is the tenants file, which records would destroy")]
    if "{" in output:
        only_watch = "--output: only watch writes one file after the other ({date}, {month}): name one file"
        return [] if rotates else [Mistake(only_watch)]
    if output.endswith(".zst"):
        return [
            Mistake("--output: only files that are finished one after the other are compressed: put {date} into it")
        ]
    return []


def _is_same_file(output: str, tenants: str | None) -> bool:
    try:
        return tenants is not None and Path(output).samefile(tenants)
    except OSError:
        return False
