"""A made-up token that must turn up nowhere: a pytest plugin.

Each run has one, random, the fixtures `canary` (a `Token`) and `canary_text`. Searched for it are

- after each test: what was captured of standard output, standard error and the log; the
  exceptions that ended the test or that it expected (`pytest.raises`), with their repr, arguments, notes,
  causes, contexts and the local variables of every frame that is not a test's own; the files in its `tmp_path`;
- after the last test: every file below the run's temporary folder, and what the run
  changed in the project's own folder.

A find fails the run; it says where the token was found, and never shows it. What a test
keeps the token in on purpose it declares by putting it into the folder `secret_store`; what
only a test can see (what another process printed, a repr), it hands to `assert_no_canary`.

A part of a token is a find as well: both ends are looked for, not the whole.
"""

from __future__ import annotations

import os
import secrets
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, BinaryIO, Final

import pytest

from wolkvox_async.model import Token

SHOWN: Final = "<the canary>"

_END: Final = 10
_BLOCK: Final = 1 << 20
_NOT_OURS: Final = frozenset(
    {".git", ".mypy_cache", ".ruff_cache", ".import_linter_cache", "__pycache__", "node_modules"}
)
# Frames whose local variables may hold the token: tests, and the simulator that plays the vendor.
_MAY_KNOW: Final = tuple(
    f"{os.sep}{part}{os.sep}"
    for part in (
        "tests",
        "_pytest",
        "pluggy",
        "pytest_asyncio",
        "looptime",
        "xdist",
        f"wolkvox_async{os.sep}testing",
    )
)


def holds(thing: object, text: str) -> bool:
    """Tell whether an end of `text` is in `thing`: in its characters, its bytes or its repr."""
    if isinstance(thing, bytes | bytearray | memoryview):
        return any(end.encode() in bytes(thing) for end in _ends(text))
    if not isinstance(thing, str):
        thing = _repr(thing)
    return any(end in thing for end in _ends(text))


def _ends(text: str) -> tuple[str, str]:
    return text[:_END], text[-_END:]


def _repr(thing: object) -> str:
    # A half-made object may have no repr.
    try:
        return repr(thing)
    except Exception as error:  # noqa: BLE001 - whatever it raises, it shows nothing
        return f"<no repr: {type(error).__name__}>"


def leaks_in_exception(error: BaseException, text: str) -> list[str]:
    """Return the places in `error`, and in whatever hangs on it, that hold `text`."""
    return [place for one in _family(error) for place in _leaks_in_one(one, text)]


def _family(error: BaseException) -> Iterable[BaseException]:
    seen: dict[int, BaseException] = {}
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen[id(one)] = one
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return seen.values()


def _leaks_in_one(error: BaseException, text: str) -> Iterator[str]:
    name = type(error).__name__
    # A failed assertion shows what the test compared; that it failed is said anyway.
    if not isinstance(error, AssertionError | pytest.fail.Exception):
        shown = {"repr": repr(error), "text": str(error), "arguments": error.args, "attributes": vars(error)}
        yield from (f"{what} of {name}" for what, thing in shown.items() if holds(thing, text))
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield from _leaks_in_frame(frame, line, name, text)


def _leaks_in_frame(frame: FrameType, line: int, error: str, text: str) -> Iterator[str]:
    file = frame.f_code.co_filename
    if not any(part in file for part in _MAY_KNOW):
        for variable, value in frame.f_locals.items():
            if holds(value, text):
                yield f"local variable {variable} at {file}:{line} in the traceback of {error}"


def leaks_in_files(folder: Path, text: str, *, except_in: Iterable[Path] = (), since: float = 0.0) -> list[str]:
    """Return the files below `folder`, changed `since` (Unix time), that hold `text` or are named by it."""
    exempt = {path.resolve() for path in except_in}
    leaks = []
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        folders[:] = [f for f in folders if _is_searched(here / f, exempt)]
        leaks += [f"file {here / f}" for f in files if holds(f, text) or _file_holds(here / f, text, since)]
    return leaks


def _is_searched(folder: Path, exempt: set[Path]) -> bool:
    return folder.name not in _NOT_OURS and not folder.name.startswith(".venv") and folder.resolve() not in exempt


def _file_holds(path: Path, text: str, since: float) -> bool:
    # Other tests may still be at work in the project's folder: files come and go.
    try:
        if not path.is_file() or path.stat().st_mtime < since:
            return False
        with path.open("rb") as file:
            return _stream_holds(file, text)
    except OSError:
        return False


def _stream_holds(file: BinaryIO, text: str) -> bool:
    carried = b""
    while block := file.read(_BLOCK):
        carried = carried[-_END:] + block
        if holds(carried, text):
            return True
    return False


class Watch:
    """What one process of the run knows of the canary and where it has found it."""

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self.started: Final = time.time()
        self.stores: list[Path] = []
        self.met: list[str] = []
        self.told: set[str] = set()

    def meet(self, error: BaseException) -> None:
        """Search an exception that a test met; the finds are told at its end."""
        self.met += leaks_in_exception(error, self.text)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report: pytest.TestReport = yield
        if call.excinfo is not None:
            self.meet(call.excinfo.value)
        if call.when == "teardown":
            leaks = [*self.met, *self._leaks_around(item, report)]
            self.met = []
            self.told.update(leaks)
            if leaks:
                report.outcome = "failed"
                report.longrepr = complaint(leaks)
        self._blacken(report)
        return report

    def _leaks_around(self, item: pytest.Item, report: pytest.TestReport) -> Iterator[str]:
        yield from (name for name, content in report.sections if holds(content, self.text))
        folder = getattr(item, "funcargs", {}).get("tmp_path")
        if folder is not None:
            yield from leaks_in_files(folder, self.text, except_in=self.stores)

    def _blacken(self, report: pytest.TestReport) -> None:
        report.sections = [(name, self._blackened(content)) for name, content in report.sections]
        if holds(report.longreprtext, self.text):
            report.longrepr = self._blackened(report.longreprtext)

    def _blackened(self, content: str) -> str:
        for part in (self.text, *_ends(self.text)):
            content = content.replace(part, SHOWN)
        return content


def complaint(leaks: Iterable[str]) -> str:
    """Say where the token was found, each place once."""
    return "\n".join(["the canary token was found in:", *(f"  {place}" for place in dict.fromkeys(leaks))])


WATCH: Final = pytest.StashKey[Watch]()


def pytest_configure(config: pytest.Config) -> None:
    """Choose the run's token; workers of pytest-xdist get it from the process that started them."""
    given = getattr(config, "workerinput", {})
    config.stash[WATCH] = Watch(given.get("canary") or secrets.token_hex(24))
    config.pluginmanager.register(config.stash[WATCH])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the run's token to a worker of pytest-xdist."""
    node.workerinput["canary"] = node.config.stash[WATCH].text


@contextmanager
def _expected_exceptions(see: Callable[[BaseException], None]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for expectation in (pytest.RaisesExc, pytest.RaisesGroup):
            patch.setattr(expectation, "__exit__", _seeing(expectation.__exit__, see))
        yield


def _seeing(leave: Callable[..., bool], see: Callable[[BaseException], None]) -> Callable[..., bool]:
    def seen(
        self: Any, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        __tracebackhide__ = True
        if error is not None:
            see(error)
        return leave(self, kind, error, trace)

    return seen


@pytest.fixture(scope="session", autouse=True)
def _canary_watch(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Search what the whole run left behind, once nothing runs any more."""
    watch = pytestconfig.stash[WATCH]
    with _expected_exceptions(watch.meet):
        yield
    own = tmp_path_factory.getbasetemp()
    # A worker's folder lies in that of the whole run, beside those of the other workers.
    everybodys = own.parent if hasattr(pytestconfig, "workerinput") else own
    leaks = leaks_in_files(own, watch.text, except_in=watch.stores)
    leaks += leaks_in_files(pytestconfig.rootpath, watch.text, except_in=[everybodys], since=watch.started)
    if untold := [leak for leak in leaks if leak not in watch.told]:
        pytest.fail(complaint(untold), pytrace=False)


@pytest.fixture(scope="session")
def canary_text(pytestconfig: pytest.Config) -> str:
    """The text of the run's canary: 48 random hexadecimal digits."""
    return pytestconfig.stash[WATCH].text


@pytest.fixture(scope="session")
def canary(canary_text: str) -> Token:
    """The run's canary."""
    return Token(canary_text)


@pytest.fixture
def secret_store(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the canary may stand: for tenants files with a literal token, token files, ..."""
    store = tmp_path_factory.mktemp("secrets")
    pytestconfig.stash[WATCH].stores.append(store)
    return store


@pytest.fixture(scope="session")
def assert_no_canary(canary_text: str) -> Callable[..., None]:
    """Return a function that fails when the canary is in one of the `things` (text, bytes, or by their repr)."""

    def search(place: str, *things: object) -> None:
        __tracebackhide__ = True
        if any(holds(thing, canary_text) for thing in things):
            pytest.fail(complaint([place]), pytrace=False)

    return search
