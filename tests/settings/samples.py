"""Descriptions of tenants to vary, and what is said about wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from wolkvox_async.errors import ConfigurationError, Mistake
from wolkvox_async.settings.tenants import load_tenants

NOW = datetime(2026, 11, 21, 21, 43, 47, tzinfo=UTC)
VENDOR = "https://wv{server}.wolkvox.com"
TOKEN = "5f4dcc3b5aa765d61d8327deb882cf99"


def operation(**changes: Any) -> dict[str, Any]:
    return {"name": "bogota", "server": "0010", "token": {"env": "ACME_TOKEN"}, **changes}


def tenants(*operations: Any, **more: Any) -> dict[str, Any]:
    return {"tenants": [{"name": "acme", "operations": list(operations or [operation()])}], **more}


def write(folder: Path, content: Mapping[str, Any] | str | bytes, mode: int = 0o600) -> Path:
    path = folder / "tenants.json"
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content if isinstance(content, bytes) else orjson.dumps(content, option=orjson.OPT_INDENT_2))
    path.chmod(mode)
    return path


def mistakes_in(source: Mapping[str, Any] | Path, base_url: str | None = VENDOR) -> tuple[Mistake, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_tenants(source, base_url=base_url, now=NOW)
    return caught.value.mistakes


def messages_in(source: Mapping[str, Any] | Path, base_url: str | None = VENDOR) -> list[str]:
    return [mistake.message for mistake in mistakes_in(source, base_url)]
