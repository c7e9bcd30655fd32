"""Packages with plug-ins, laid out in a folder as an installer would: a module, and a distribution's metadata."""

from __future__ import annotations

from pathlib import Path

from wolkvox_async.adapters.secrets import GROUP


def install(folder: Path, name: str, source: str, *, points: dict[str, str]) -> None:
    """Write the distribution `name` with the module `source`; `points` are its entry points in our group."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(source)
    information = folder / f"{module}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"[{GROUP}]", *(f"{point} = {module}:{function}" for point, function in points.items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (information / "RECORD").write_text(f"{module}.py,,\n")
