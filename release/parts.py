"""The parts of the check: each raises `Failed` where something is not as it should be, which it has said then."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from . import distributions
from .bill import ROOT
from .environments import PINS, Environment, Failed, Python, call, empty, said, say, without_hashes

BUILT: Final = ROOT / "dist"
WITHOUT_TREE: Final = ("-m", "not tree")
EXTRAS: Final = {  # what is there only with the extra
    "speed": "import uvloop",
    "keyring": "import keyring, wolkvox_async.adapters.secrets.keyrings",
    "br": "import wolkvox_async.adapters.http.bodies as bodies; bodies.brotli.Decompressor",
    "metrics": "import wolkvox_async.apps.serving.families",
    "otel": "from wolkvox_async import TracingHook, testing; TracingHook(testing.ManualClock())",
    "cluster": "from wolkvox_async.adapters.nats import NatsStore",
    "report": "import wolkvox_async.apps.reporting.page",
}
REGISTRIES: Final = "from pip._internal.models.index import PyPI; print(PyPI.netloc, PyPI.file_storage_domain)"
WHERE: Final = "import wolkvox_async; print(wolkvox_async.__file__)"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is to be released: a wheel, a source distribution, and the latter unpacked."""

    wheel: Path
    source: Path
    tree: Path


def build(folder: Path) -> Candidate:
    """Build both, once, and the wheel once more from the source distribution: it is to be the same."""
    for old in [*BUILT.glob("wolkvox_async-*.whl"), *BUILT.glob("wolkvox_async-*.tar.gz")]:
        old.unlink()
    hatchling = [sys.executable, "-m", "hatchling", "build"]
    call([*hatchling, "-d", str(BUILT)])
    (wheel,), (source,) = BUILT.glob("wolkvox_async-*.whl"), BUILT.glob("wolkvox_async-*.tar.gz")
    shutil.unpack_archive(source, folder)
    (tree,) = folder.iterdir()
    again = folder / "again"
    call([*hatchling, "-t", "wheel", "-d", str(again)], tree)
    if (again / wheel.name).read_bytes() != wheel.read_bytes():
        raise Failed("the wheel is another one when it is built from the source distribution")
    return Candidate(wheel, source, tree)


def judge(candidate: Candidate) -> None:
    """Look into both."""
    wheel, source = distributions.read_wheel(candidate.wheel), distributions.read_source(candidate.source)
    private = [str(ROOT), *registries()]
    notes = [path.name for path in (ROOT / "changes").glob("*.md")]
    complaints = [
        *distributions.of_contents(wheel, source),
        *distributions.of_source(source, tracked() or source.files.keys()),
        *distributions.of_secrets(wheel, private),
        *distributions.of_secrets(source, private),
        *distributions.of_metadata(wheel, source),
        *distributions.of_versions(wheel, notes, (ROOT / "CHANGELOG.md").read_text()),
        *distributions.of_bill(wheel, PINS.read_text()),
    ]
    for built in (candidate.wheel, candidate.source):
        say(f"{built.name}: {built.stat().st_size} bytes")
    if complaints:
        say("\n".join(complaints))
        raise Failed(f"{len(complaints)} complaints (see above)")


def show_notes(candidate: Candidate) -> None:
    """Show what the change log will say."""
    version = distributions.version_of(distributions.read_wheel(candidate.wheel))
    call([sys.executable, "-m", "towncrier", "build", "--draft", "--version", version])


def show_demo(candidate: Candidate, python: Python) -> None:
    """Have the wheel work where nothing else is, in an empty folder."""
    with empty(python, has_pip=True) as environment:
        folder, pins = environment.path.parent / "folder", environment.path.parent / "pins.txt"
        folder.mkdir()
        pins.write_text(without_hashes(PINS.read_text()))
        call([environment.python, "-m", "pip", "install", "--quiet", "--constraint", str(pins), str(candidate.wheel)])
        call([environment.python, "-m", "pip", "check"])
        variables = environment.variables(HOME=str(folder.parent))
        program = str(environment.path / "bin" / "wolkvox-async")
        version = said([program, "--version"], folder, variables)
        if candidate.wheel.name.split("-")[1] not in version:
            raise Failed(f"--version says {version.strip()}")
        call([program, "demo"], folder, variables)
        if not any(path.stat().st_size for path in folder.rglob("*.jsonl")):
            raise Failed("the demo left no records")


def try_extras(candidate: Candidate, python: Python) -> None:
    """Install each extra by itself, and use what needs it."""
    for extra, program in EXTRAS.items():
        with empty(python) as environment:
            environment.install("--constraint", str(PINS), f"{candidate.wheel}[{extra}]")
            call([environment.python, "-W", "error", "-c", program], environment.path, environment.variables())
            say(f"{extra}: ok")


def run_tests(candidate: Candidate, environment: Environment, tests: Sequence[str]) -> None:
    """Run the tests beside the installed wheel, in a tree that has no source."""
    environment.install("--no-deps", "--reinstall", str(candidate.wheel))
    tree = without_source(candidate.tree, environment)
    variables = environment.variables()
    where = Path(said([environment.python, "-c", WHERE], tree, variables).strip())
    if not where.is_relative_to(environment.path):
        raise Failed(f"the tests would be of {where}")
    call([environment.python, "-m", "pytest", *WITHOUT_TREE, *tests], tree, variables)


# --- what they need ----------------------------------------------------------


def without_source(tree: Path, environment: Environment) -> Path:
    """Have what the source distribution holds, but for `src/`, and the Singer targets where tests look for them."""
    source, hidden = tree / "src", tree.parent / "src"
    if source.exists():
        source.rename(hidden)
    beside = tree / environment.path.name.replace(".venv", ".venv-targets", 1)
    if not beside.is_symlink():
        beside.symlink_to(ROOT / ".venv-targets")
    return tree


def tracked() -> set[str]:
    """Return what is in git, or could be; nothing where this is no checkout."""
    if not (ROOT / ".git").exists():
        return set()
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return {name for name in said(command).splitlines() if (ROOT / name).exists()}


def registries() -> set[str]:
    """Return the hosts of the registries that pip and uv know of."""
    known = said([sys.executable, "-c", REGISTRIES]).split()
    configured = " ".join(value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_")))
    return {*known, *re.findall(r"://(?:[^/@\s]*@)?([^/\s]+)", configured)}
