"""The bill of materials: what a wheel needs when it runs, as CycloneDX, which lies in the wheel (PEP 770).

It says what the project was proved with: the versions of `constraints.txt`, what each of them
needs in turn, and for which extra or on which platform. The wheel holds none of them, and
takes other versions too: of what it asks for itself, the requirement is stated beside.

It is a file of the tree, written by `./dev pin`, so that the wheel is built with nothing but
hatchling and is the same wherever it is built: no time, no random number, and no address.
Nor a hash, for a package has another one for each platform: those are in the pins.

    python -m release.bill UV    write it anew with this uv
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
FILE: Final = Path(__file__).with_name("wolkvox-async.cdx.json")
SPECIFICATION: Final = "1.6"
STATED: Final = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
"""Where the package's source says its version."""

_PINNED: Final = re.compile(r"^([\w.-]+)==(\S+)(?: ; (.+))?\n((?: +#.*\n)*)", re.MULTILINE)
_NEEDED_BY: Final = re.compile(r"# +(?:via +)?([\w.-]+)( \(pyproject\.toml\))?$", re.MULTILINE)
_REQUIREMENT: Final = re.compile(r"([\w.-]+)(?:\[.*\])? *([^;]*)")


@dataclass(frozen=True, slots=True)
class Pinned:
    """A package in the version that was proved; `marker` says where it is needed, `needed_by` by whom."""

    name: str
    version: str
    marker: str
    needed_by: frozenset[str]

    @property
    def url(self) -> str:
        """Its package URL, which names it everywhere."""
        return f"pkg:pypi/{self.name}@{self.version}"


def as_named(name: str) -> str:
    """Return the one spelling of a package's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(compiled: str) -> dict[str, Pinned]:
    """Read what `uv pip compile` wrote, with its annotations."""
    packages = {}
    for name, version, marker, annotated in _PINNED.findall(compiled):
        needed_by = frozenset(as_named(one) for one, _ in _NEEDED_BY.findall(annotated) if one != "via")
        packages[as_named(name)] = Pinned(as_named(name), version, marker, needed_by)
    return packages


def asked(requirements: Iterable[str]) -> dict[str, str]:
    """Return the versions that are taken, by name."""
    return {as_named(one[1]): one[2].strip() for text in requirements if (one := _REQUIREMENT.match(text))}


def bill(project: Mapping[str, Any], version: str, packages: Mapping[str, Pinned]) -> dict[str, Any]:
    """Return the document; `project` is the table of that name in `pyproject.toml`."""
    itself = Pinned(as_named(project["name"]), version, "", frozenset())
    known = [itself, *(packages[name] for name in sorted(packages))]
    described = {
        "type": "library",
        "bom-ref": itself.url,
        "name": project["name"],
        "version": version,
        "description": project["description"],
        "licenses": [{"expression": project["license"]}],
        "purl": itself.url,
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": {"component": described},
        "components": list(_components(project, packages)),
        "dependencies": [_needs(package, packages) for package in known],
    }


def reached(names: Iterable[str], packages: Mapping[str, Pinned]) -> set[str]:
    """Return what `names` need, themselves included."""
    found: set[str] = set()
    coming = [name for name in names if name in packages]
    while coming:
        name = coming.pop()
        if name not in found:
            found.add(name)
            coming.extend(one.name for one in packages.values() if name in one.needed_by)
    return found


def _components(project: Mapping[str, Any], packages: Mapping[str, Pinned]) -> Iterator[dict[str, Any]]:
    """Yield what is needed, always or for which extras."""
    always = asked(project["dependencies"])
    extras = {extra: asked(requirements) for extra, requirements in project["optional-dependencies"].items()}
    taken = {name: versions for one in (always, *extras.values()) for name, versions in one.items()}
    required = reached(always, packages)
    reasons = {extra: reached(names, packages) for extra, names in extras.items()}
    for name, package in sorted(packages.items()):
        why = [] if name in required else sorted(extra for extra, names in reasons.items() if name in names)
        facts = {"requirement": [taken.get(name, "")], "marker": [package.marker], "extra": why}
        yield _component(package, "required" if name in required else "optional", facts)


def _component(package: Pinned, scope: str, facts: Mapping[str, list[str]]) -> dict[str, Any]:
    named = {"type": "library", "bom-ref": package.url, "name": package.name, "version": package.version}
    pairs = [(fact, value) for fact, values in facts.items() for value in values if value]
    said = [{"name": f"wolkvox-async:{fact}", "value": value} for fact, value in pairs]
    return named | {"scope": scope, "purl": package.url} | ({"properties": said} if said else {})


def _needs(package: Pinned, packages: Mapping[str, Pinned]) -> dict[str, Any]:
    needs = sorted(one.url for one in packages.values() if package.name in one.needed_by)
    return {"ref": package.url} | ({"dependsOn": needs} if needs else {})


def stated_version() -> str:
    """Return the version that the package's source states."""
    source = (ROOT / "src" / "wolkvox_async" / "__init__.py").read_text()
    (stated,) = STATED.findall(source)
    return str(stated)


def write(uv: str) -> int:
    """Write the file anew, in the versions of the pins; returns the exit code of uv."""
    command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--no-header"]
    command += ["--all-extras", "--constraint", "constraints.txt", "pyproject.toml"]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if ran.returncode == 0:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        document = bill(project, stated_version(), pinned(ran.stdout))
        FILE.write_text(json.dumps(document, indent=2) + "\n")
    return ran.returncode


if __name__ == "__main__":
    sys.exit(write(sys.argv[1]))
