"""What is in a wheel and a source distribution, and what they say of themselves; each complaint is a sentence.

A wheel holds the package as the source distribution has it, and what describes it; nothing
else. Neither names a path of the machine that built it, or the address of a registry.
"""

from __future__ import annotations

import json
import re
import tarfile
import tomllib
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from packaging.metadata import Metadata

from .bill import STATED, as_named

PACKAGE: Final = "wolkvox_async"
_DESCRIBING: Final = ("METADATA", "RECORD", "WHEEL", "entry_points.txt")
_SEMANTIC: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)((a|b|rc)\d+)?")


@dataclass(frozen=True, slots=True)
class Distribution:
    """The files in one, by their path below its topmost folder (of a wheel: as they are)."""

    name: str
    files: Mapping[str, bytes]

    def text(self, path: str) -> str:
        """Return one as text, empty when it is not there."""
        return self.files.get(path, b"").decode()


def read_wheel(path: Path) -> Distribution:
    """Read a wheel."""
    with zipfile.ZipFile(path) as wheel:
        return Distribution(path.name, {name: wheel.read(name) for name in wheel.namelist()})


def read_source(path: Path) -> Distribution:
    """Read a source distribution."""
    files = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if (opened := archive.extractfile(member)) is not None:
                files[PurePosixPath(*PurePosixPath(member.name).parts[1:]).as_posix()] = opened.read()
    return Distribution(path.name, files)


def of_contents(wheel: Distribution, source: Distribution) -> Iterator[str]:
    """Yield what is in the wheel and should not be, or the other way round."""
    folder = _described_in(wheel)
    package = {name for name in source.files if name.startswith(f"src/{PACKAGE}/")}
    wanted = {name.removeprefix("src/") for name in package} | {f"{folder}/{name}" for name in _DESCRIBING}
    wanted |= {f"{folder}/licenses/LICENSE", f"{folder}/sboms/wolkvox-async.cdx.json", f"{PACKAGE}/py.typed"}
    yield from (f"the wheel lacks {name}" for name in sorted(wanted - wheel.files.keys()))
    yield from (f"the wheel should not hold {name}" for name in sorted(wheel.files.keys() - wanted))
    altered = [name for name in package if wheel.files.get(name.removeprefix("src/")) != source.files[name]]
    yield from (f"{name} is another one in the wheel" for name in sorted(altered))


def of_source(source: Distribution, tracked: Collection[str]) -> Iterator[str]:
    """Yield what the source distribution lacks of what git has, and what it has beyond that."""
    made = {"PKG-INFO", ".gitignore"}
    wanted = {name for name in tracked if not name.startswith(".")}
    yield from (f"the source distribution lacks {name}" for name in sorted(wanted - source.files.keys()))
    beyond = source.files.keys() - wanted - made
    yield from (f"the source distribution should not hold {name}" for name in sorted(beyond))


def of_secrets(distribution: Distribution, private: Iterable[str]) -> Iterator[str]:
    """Yield where a path of this machine or an address of a registry stands: `private` are those."""
    sought = [(text, re.compile(rb"(?<![\w.-])" + re.escape(text.encode()) + rb"(?![\w-])")) for text in private]
    for name, content in sorted(distribution.files.items()):
        yield from (f"{name} in {distribution.name} names {text}" for text, found in sought if found.search(content))


def of_metadata(wheel: Distribution, source: Distribution) -> Iterator[str]:
    """Yield what the metadata say wrongly; `packaging` judges their form."""
    folder = _described_in(wheel)
    project: dict[str, Any] = tomllib.loads(source.text("pyproject.toml"))["project"]
    try:
        metadata = Metadata.from_email(wheel.files[f"{folder}/METADATA"], validate=True)
    except ExceptionGroup as wrong:
        yield from (f"METADATA: {one}" for one in wrong.exceptions)
        return
    if metadata.description != source.text(project["readme"]) or metadata.description_content_type != "text/markdown":
        yield "METADATA: the description is not the README, as Markdown"
    if set(metadata.provides_extra or ()) != set(project["optional-dependencies"]):
        yield "METADATA: the extras are not those of pyproject.toml"
    for licence in metadata.license_files or ():
        if wheel.files.get(f"{folder}/licenses/{licence}") != source.files.get(licence):
            yield f"METADATA: {licence} is not the one in the tree"
    points = dict(re.findall(r"^(\S+) = (\S+)$", wheel.text(f"{folder}/entry_points.txt"), re.MULTILINE))
    if points != project["scripts"]:
        yield f"entry_points.txt: {points} are not the scripts of pyproject.toml"
    if "Tag: py3-none-any" not in wheel.text(f"{folder}/WHEEL").splitlines():
        yield "WHEEL: it is not for every platform"


def of_versions(wheel: Distribution, notes: Collection[str], log: str) -> Iterator[str]:
    """Yield where versions differ, and what the change log lacks; `notes` are those not yet in it."""
    version = version_of(wheel)
    if not _SEMANTIC.fullmatch(version):
        yield f"{version} is no semantic version"
    stated = STATED.findall(wheel.text(f"{PACKAGE}/__init__.py"))
    if stated != [version]:
        yield f"METADATA says version {version}, and the package {stated}"
    has_section = re.search(rf"^## {re.escape(version)} ", log, re.MULTILINE) is not None
    if has_section and notes:
        yield f"CHANGELOG.md has a section on {version} already, and lacks {', '.join(sorted(notes))}"
    if not has_section and not notes:
        yield f"there is no section on {version} in CHANGELOG.md, and no note in changes/ to make one of"


def of_bill(wheel: Distribution, pins: str) -> Iterator[str]:
    """Yield where the bill of materials is not of this wheel, or not of the pins: `./dev pin` writes it anew."""
    (path,) = [name for name in wheel.files if name.endswith(".cdx.json")] or [""]
    bill = json.loads(wheel.text(path) or "{}")
    if bill.get("metadata", {}).get("component", {}).get("version") != version_of(wheel):
        yield f"the bill of materials is not of version {version_of(wheel)}: ./dev pin"
    proved = {as_named(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", pins, re.MULTILINE)}
    billed = {one["name"]: one for one in bill.get("components", ())}
    for name, one in billed.items():
        if proved.get(name) != one["version"]:
            yield f"the bill of materials has {name} {one['version']}, and the pins {proved.get(name)}: ./dev pin"
    for name, taken in _required(wheel).items():
        stated = [pair["value"] for pair in billed.get(name, {}).get("properties", ()) if "requirement" in pair["name"]]
        if sorted("".join(stated).split(",")) != sorted(taken.split(",")):
            yield f"the bill of materials does not say {name}{taken}: ./dev pin"


def version_of(wheel: Distribution) -> str:
    """Return the version that a wheel's metadata state."""
    (version,) = re.findall(r"(?m)^Version: (.+)$", wheel.text(f"{_described_in(wheel)}/METADATA"))
    return str(version)


def _required(wheel: Distribution) -> dict[str, str]:
    lines = re.findall(r"(?m)^Requires-Dist: ([\w.-]+)([^;\n]*)", wheel.text(f"{_described_in(wheel)}/METADATA"))
    return {as_named(name): taken.strip() for name, taken in lines}


def _described_in(wheel: Distribution) -> str:
    return next(name.partition("/")[0] for name in wheel.files if ".dist-info/" in name)
