"""A folder of secrets as Kubernetes fills it."""

from __future__ import annotations

from pathlib import Path


class Volume:
    """A folder that is filled as Kubernetes does it: names are links into `..data`, which is exchanged as a whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.versions = 0
        folder.mkdir()

    def show(self, secrets: dict[str, str], mode: int = 0o400) -> None:
        """Have the volume hold these secrets, and what it held before no more."""
        self.versions += 1
        version = self.folder / f"..2026_11_21_{self.versions}"
        version.mkdir()
        for name, text in secrets.items():
            (version / name).write_text(text)
            (version / name).chmod(mode)
        before = (self.folder / "..data").resolve()
        link = self.folder / "..data_tmp"
        link.symlink_to(version.name)
        link.rename(self.folder / "..data")
        for name in secrets:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        if before.name.startswith("..2026"):
            for file in before.iterdir():
                file.unlink()
            before.rmdir()
