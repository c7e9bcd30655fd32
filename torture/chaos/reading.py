"""The reader: it follows the records into a file, is killed, and goes on; and at the end reads all again."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from torture.processes import environment

_PATIENCE: Final = 120.0


class Reader:
    """`records --join` into a file; `codes` counts how it ended without having been told to."""

    def __init__(self, folder: Path, ports: Sequence[int], credentials: Path) -> None:
        self.output: Final = folder / "records.jsonl"
        self.again: Final = folder / "records-again.jsonl"
        self.codes: Final[Counter[int]] = Counter()
        self.kills = 0
        self.is_wanted = True
        self._log: Final = folder / "reader.log"
        join = ",".join(f"nats://127.0.0.1:{port}" for port in ports)
        self._options: Final = [f"--join={join}", f"--join-credentials=file:{credentials}"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Follow, from where it was left."""
        self._process = self._run(self.output, "--follow")
        self.is_wanted = True

    def tend(self) -> None:
        """Take note when it ended by itself, and start it again."""
        if self.is_wanted and self._process is not None and (code := self._process.poll()) is not None:
            self.codes[code] += 1
            self.start()

    def kill(self) -> None:
        """Kill it as nobody could prevent."""
        self.kills += 1
        self.close()

    def finish(self) -> tuple[int, int]:
        """Read the rest into the same file, and everything into another; return both exit codes."""
        self.close()
        return self._run(self.output).wait(_PATIENCE), self._run(self.again).wait(_PATIENCE)

    def close(self) -> None:
        """Leave nothing behind."""
        self.is_wanted = False
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _run(self, output: Path, *options: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "wolkvox_async", "records", *self._options, f"--output={output}", *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=environment(),
                cwd=output.parent,
            )
