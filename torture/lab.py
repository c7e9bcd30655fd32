"""The lab: a vendor, a tenants file, a state folder, outputs, and the judgement over them."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from tests.judging.evidence import Terms, judge
from tests.judging.facts import Asked, Fact, Halted
from tests.judging.manners import Plan
from tests.judging.outputs import Output, Record, read_output
from tests.judging.rules import Violation
from tests.judging.vendor import Setting

from .figures import Figures
from .population import Population
from .processes import Client, VendorProcess

# What a request may be under way: the client counts from its last byte, the vendor from its arrival.
ON_THE_WAY: Final = 0.75


@dataclass(frozen=True, slots=True)
class Pace:
    """The client's options that have to do with time, in seconds."""

    timeout: float = 2.0
    connect_timeout: float = 1.0
    server_limit: float = 2.0
    interval: float = 0.0
    backoff: float = 0.1
    patience: float = 60.0

    def options(self) -> list[str]:
        """Return them as they are written on a command line."""
        return [
            f"--timeout={self.timeout:g}",
            f"--connect-timeout={self.connect_timeout:g}",
            f"--server-limit={self.server_limit:g}",
            f"--interval={self.interval:g}",
            f"--backoff={self.backoff:g}",
            f"--patience={self.patience:g}",
        ]


class Lab:
    """A folder with everything in it, for the length of a block.

    The folder is gone afterwards, unless something was broken: then it stays, and is named.
    """

    def __init__(
        self, figures: Figures, population: Population, *, plan: Plan | None = None, pace: Pace | None = None
    ) -> None:
        self.figures: Final = figures
        self.population: Final = population
        self.pace: Final = pace or Pace()
        self.folder: Final = Path(tempfile.mkdtemp(prefix="torture-"))
        self.state = self.folder / "state"
        self._outputs: Final[dict[str, Path]] = {}
        self._logs = 0
        limit = max(0.0, self.pace.server_limit - ON_THE_WAY)
        setting = Setting(population.tokens, population.servers, limit=limit, plan=plan or Plan())
        self.limit: Final = limit
        self._journal: Final = self.folder / "journal.jsonl"
        self.vendor: Final = VendorProcess(setting, self._journal)
        self._is_open = True
        self.broken = False
        self.lost = 0  # attempts that may be unrecorded, because their process could not record them
        population.write(self.folder / "tenants.json", self.vendor.servers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        if kind is None and self.figures.kept and not self.broken:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            self.figures.note("kept for inspection", self.folder)

    def close(self) -> None:
        """Have the vendor end: the journal is complete then."""
        if self._is_open:
            self._is_open = False
            self.vendor.stop()

    # --- clients ----------------------------------------------------------------------

    def output(self, name: str, folder: Path | None = None) -> Path:
        """Return the path of an output, which from now on is judged."""
        return self._outputs.setdefault(name, (folder or self.folder) / f"{name}.jsonl")

    def start(self, output: Path | str, *options: str, stdout: int | None = None, **conditions: Any) -> Client:
        """Start a `fetch` into `output`; `conditions` are the saboteur's."""
        self._logs += 1
        arguments = ["fetch", f"--tenants={self.folder / 'tenants.json'}", f"--output={output}"]
        arguments += [f"--base-url={BASE_URL}", f"--state={self.state}", "--no-progress", "--log-level=error"]
        log = self.folder / f"client-{self._logs:04}.log"
        return Client([*arguments, *self.pace.options(), *options], log, stdout=stdout, **conditions)

    # --- what happened ----------------------------------------------------------------

    def journal(self) -> list[Fact]:
        """Return what the vendor saw so far; the list grows with every look."""
        return self.vendor.facts()

    def await_requests(self, client: Client, many: int = 1, *, since: int = 0) -> None:
        """Wait until the journal has so many requests behind its first `since` facts, or the client has ended."""
        # Counted are requests alone: the vendor also notes when it stood still itself.
        while client.is_running and sum(isinstance(fact, Asked) for fact in self.journal()[since:]) < many:
            time.sleep(0.002)

    def await_halt(self, client: Client) -> Halted | None:
        """Wait until an answer is halfway out; None when the client ended before."""
        while not self.vendor.halts.empty():
            self.vendor.halts.get()
        while client.is_running:
            if not self.vendor.halts.empty():
                halt = self.vendor.halts.get()
                return halt if isinstance(halt, Halted) else None
            time.sleep(0.001)
        return None

    def outputs(self) -> list[Output]:
        """Return what stands in the outputs now."""
        return [read_output(path) for path in self._outputs.values()]

    def terms(self, **changes: Any) -> Terms:
        """Return what clients are measured by: every run in an output has settled everything."""
        runs = {record["run"] for output in self.outputs() for record in output.records("run", "call")}
        planned = dict.fromkeys(runs, self.population.planned)
        owners = self.population.owners(self.vendor.servers)
        terms = Terms(self.limit, owners, interval=self.pace.interval, planned=planned, repeats=self.lost)
        return replace(terms, **changes)

    def judge(self, **changes: Any) -> list[Violation]:
        """Return everything that was broken; the vendor has ended then."""
        self.close()
        found = judge(self.journal(), self.outputs(), self.terms(**changes))
        empty = [output.name for output in self.outputs() if not any(output.records("call"))]
        return [*found, *(Violation("unsettled", name, "there is no call in it") for name in empty), *self.damaged()]

    def damaged(self) -> list[Violation]:
        """Return what is wrong with the databases of the state folder; looks at a copy, which mends nothing."""
        if not self.state.is_dir():
            return []
        with tempfile.TemporaryDirectory() as copy:
            shutil.copytree(self.state, copy, dirs_exist_ok=True)
            paths = [path for path in sorted(Path(copy).rglob("*")) if path.is_file()]
            databases = [path for path in paths if path.read_bytes()[:15] == _SQLITE]
            return [found for path in databases for found in _integrity(path)]

    def calls(self, name: str) -> list[Record]:
        """Return the `call` records of one output."""
        return list(read_output(self._outputs[name]).records("call"))


BASE_URL: Final = "http://127.0.0.1:{server}"
_SQLITE: Final = b"SQLite format 3"


def _integrity(path: Path) -> Iterator[Violation]:
    with closing(sqlite3.connect(path)) as database:
        said = [str(row[0]) for row in database.execute("PRAGMA integrity_check")]
    if said != ["ok"]:
        yield Violation("damaged state", path.name, "; ".join(said))


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path | None]:
    """Have a file system of that size at `folder` for the length of the block; None where nobody lets us."""
    folder.mkdir()
    if not _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)):
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)  # noqa: S607 - wherever this system has it


def remount(folder: Path, options: str) -> None:
    """Change the options of a mounted file system."""
    if not _mount("-o", f"remount,{options}", str(folder)):
        raise OSError(f"{folder} cannot be remounted with {options}")


def _mount(*arguments: str) -> bool:
    if shutil.which("mount") is None:
        return False
    return subprocess.run(["mount", *arguments], check=False, stderr=subprocess.DEVNULL).returncode == 0  # noqa: S607
