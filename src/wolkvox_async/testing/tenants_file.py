"""The simulated tenants as the tenants file that a client reads."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import orjson

from wolkvox_async.catalog import Catalog
from wolkvox_async.windows import DEFAULT_TIMEZONE

from .population import SimulatedOperation
from .reports import Report, endpoint

_SEGMENTS: Final = ("retail", "bank", "health", "travel")


def tenants_document(
    operations: Iterable[SimulatedOperation], apis: Sequence[str], reports: Sequence[Report] = ()
) -> dict[str, Any]:
    """Return the document with a variable of the environment for each token."""
    return _document(operations, apis, reports, lambda operation: {"env": _variable(operation)})


def environment(operations: Iterable[SimulatedOperation]) -> dict[str, str]:
    """Return those variables with their values."""
    return {_variable(operation): operation.token.reveal() for operation in operations}


def write_tenants(
    directory: Path, operations: Sequence[SimulatedOperation], apis: Sequence[str], reports: Sequence[Report] = ()
) -> Path:
    """Write `tenants.json`, and each token into a file of `secrets` that only the owner reads."""
    secrets = directory / "secrets"
    directory.mkdir(parents=True, exist_ok=True)
    secrets.mkdir(mode=0o700, exist_ok=True)
    secrets.chmod(0o700)
    for operation in operations:
        _write_secret(secrets / _file_name(operation), operation.token.reveal())
    document = _document(operations, apis, reports, lambda operation: {"file": f"secrets/{_file_name(operation)}"})
    path = directory / "tenants.json"
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return path


def _document(
    operations: Iterable[SimulatedOperation],
    apis: Sequence[str],
    reports: Sequence[Report],
    reference: Callable[[SimulatedOperation], dict[str, str]],
) -> dict[str, Any]:
    tenants = [
        {
            "name": name,
            "labels": {"segment": _SEGMENTS[n % len(_SEGMENTS)]},
            "operations": [
                {"name": one.name, "server": one.server, "token": reference(one), "licences": one.licences}
                for one in own
            ],
        }
        for n, (name, own) in enumerate(groupby(operations, key=lambda operation: operation.tenant))
    ]
    document: dict[str, Any] = {"defaults": {"apis": list(apis), "timezone": DEFAULT_TIMEZONE}, "tenants": tenants}
    catalog = Catalog()
    known = {report.name: endpoint(report) for report in reports}
    added = [known.get(api) or _plain(api) for api in apis if catalog.get(api) is None]
    if added:
        document["endpoints"] = added
    return document


def _plain(name: str) -> dict[str, Any]:
    file, _, api = name.rpartition("/")
    return {"file": file or "billing", "api": api}


def _variable(operation: SimulatedOperation) -> str:
    return "SIMULATED_" + re.sub(r"[^A-Z0-9]", "_", operation.path.upper()) + "_TOKEN"


def _file_name(operation: SimulatedOperation) -> str:
    return f"{operation.tenant}-{operation.name}"


def _write_secret(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text + "\n")
