"""From a parsed document to entries, collecting complaints on the way.

Types and keys are checked by the models of `shapes`, one tenant and one operation at a
time; what they cannot say is checked here and beside, value by value. Entries share
what they have in common: 100,000 of them take seconds and little memory.

This module imports pydantic, so it is imported only when a file is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path as FilePath
from typing import Any, Final

from wolkvox_async.catalog import Catalog
from wolkvox_async.references import SECRETS_DIR
from wolkvox_async.spelling import LONGEST, shown

from .complaints import Complaint, Complaints, place
from .documents import Document
from .endpoints import read_catalog
from .entries import Entry, Mistakes, Survey, Tenants
from .names import complain_about_label, complain_about_name
from .operations import Labels, OperationReader, Owner, Rules
from .places import Path
from .shapes import EndpointShape, FileShape, TenantShape
from .tokens import read_secrets_dir
from .wanted import WantedReader
from .wording import check


def read_survey(document: Document, *, now: datetime, four_digits: bool) -> Survey:
    """Return everything that `document` holds, and everything that is wrong with it.

    `now` is aware; `four_digits` asks for the vendor's names of servers.
    """
    complaints = Complaints()
    for path in document.doubled:
        complaints.add(path, f"the key {shown(str(path[-1]))} stands twice in its object", on_key=True)
    root = document.value
    check(FileShape, root, (), complaints)
    source = document.source
    rules = Rules(four_digits=four_digits, exposed=source.exposed, from_file=source.file is not None)
    reading = _Reader(root if isinstance(root, dict) else {}, rules, now, complaints)
    entries = tuple(reading.read_tenants())
    tenants = Tenants(
        entries=entries,
        catalog=reading.catalog,
        path=None if source.file is None else FilePath(source.file),
        warnings=tuple(place(source, reading.warnings())),
        source=source,
        secrets_dir=FilePath(read_secrets_dir(reading.root, complaints) or SECRETS_DIR),
    )
    return Survey(tenants, Mistakes(tuple(complaints.mistakes(source)), complaints.unlisted))


class _Reader:
    """One reading of one document, tenant by tenant."""

    def __init__(self, root: Mapping[str, Any], rules: Rules, now: datetime, complaints: Complaints) -> None:
        self.root: Final = root
        self._complaints: Final = complaints
        self.catalog: Final = self._read_catalog()
        wanted = WantedReader(self.catalog, now, complaints)
        self._from_file: Final = rules.from_file
        self._operations: Final = OperationReader(root, rules, wanted, complaints)
        self._labels: Final[dict[Labels, Labels]] = {}

    def _read_catalog(self) -> Catalog:
        items = self._list(self.root, (), "endpoints")
        for number, item in enumerate(items):
            check(EndpointShape, item, ("endpoints", number), self._complaints)
        return read_catalog(items, self._complaints)

    def read_tenants(self) -> list[Entry]:
        """Return the entries of all tenants."""
        tenants = self._list(self.root, (), "tenants")
        if not tenants and self.root.get("tenants") == []:
            self._complaints.add(("tenants",), "there are no tenants")
        names: dict[str, Path] = {}
        entries: list[Entry] = []
        for number, tenant in enumerate(tenants):
            path: Path = ("tenants", number)
            check(TenantShape, tenant, path, self._complaints)
            if isinstance(tenant, dict):
                owner = Owner(self._read_name(tenant, path, names), self._read_labels(tenant, path), number)
                entries += self._read_operations(tenant, path, owner)
        return entries

    def _read_operations(self, tenant: Mapping[str, Any], path: Path, owner: Owner) -> list[Entry]:
        items = self._list(tenant, path, "operations")
        if not items and tenant.get("operations") == []:
            self._complaints.add((*path, "operations"), "the tenant has no operations")
        entries = (self._operations.read(item, owner, n) for n, item in enumerate(items))
        return [entry for entry in entries if entry is not None]

    def _read_name(self, tenant: Mapping[str, Any], path: Path, names: dict[str, Path]) -> str:
        name = tenant.get("name")
        if not isinstance(name, str):
            return "?"
        place = (*path, "name")
        problem = complain_about_name(name)
        if problem:
            self._complaints.add(place, problem)
            return "?"
        first = names.setdefault(name, place)
        if first is not place:
            self._complaints.add(place, f"two tenants are called {shown(name)}", first=first)
        return name

    def _read_labels(self, tenant: Mapping[str, Any], path: Path) -> Labels:
        written = tenant.get("labels")
        if not isinstance(written, dict):
            return ()
        labels = tuple((label, value) for label, value in written.items() if isinstance(value, str))
        for label, value in labels:
            if problem := complain_about_label(label):
                self._complaints.add((*path, "labels", label), problem, on_key=True)
            if len(value) > LONGEST or not (value.isprintable() or not value):
                message = f"a label's value has at most {LONGEST} characters, all of them printable"
                self._complaints.add((*path, "labels", label), message)
        return self._labels.setdefault(labels, labels)

    def _list(self, holder: Mapping[str, Any], path: Path, key: str) -> list[Any]:
        value = holder.get(key, [])
        if isinstance(value, list):
            return value
        self._complaints.add((*path, key), f"{key} must be a list in [ ]")
        return []

    def warnings(self) -> list[Complaint]:
        """Return what is allowed but better changed: one line, however many tokens stand in the file."""
        literals = self._operations.literals
        if not literals or not self._from_file:
            return []
        many = "a token stands" if len(literals) == 1 else f"{len(literals)} tokens stand"
        return [Complaint(literals[0], f'{many} in this file as text: {{"env"}} or {{"file"}} would keep it elsewhere')]
