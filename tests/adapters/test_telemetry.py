"""What the log says, and hooks that misbehave."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from wolkvox_async.adapters.telemetry import LOGGER, Hooks, LogHook, library_logger
from wolkvox_async.model import MOST_ROWS, Call, Empty, ErrorKind, Ok, Operation, Token
from wolkvox_async.ports import AttemptFailed, CallSettled, Event, TokenClosed


def call(operation: Operation) -> Call:
    return Call("01K", operation, "interactions", "billing", ())


def failed(operation: Operation, kind: ErrorKind, message: str = "made up") -> AttemptFailed:
    return AttemptFailed(call(operation), kind, message, 1, 2.5)


@pytest.fixture
def bogota(canary: Token) -> Operation:
    return Operation("acme", "bogota", "0010", canary)


@pytest.fixture
def quito() -> Operation:
    return Operation("acme", "quito", "0010", Token("made-up-token"))


class Log:
    """What was logged: level, text and facts."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    @property
    def lines(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (record.levelname.lower(), dict(record.msg))
            for record in self._caplog.records
            if record.name == LOGGER and isinstance(record.msg, dict)
        ]

    def at_least(self, level: str) -> list[dict[str, Any]]:
        floor = logging.getLevelNamesMapping()[level.upper()]
        return [facts for name, facts in self.lines if logging.getLevelNamesMapping()[name.upper()] >= floor]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


# --- the log ------------------------------------------------------------------------------


def test_there_is_no_line_for_a_call_that_ended(log: Log, bogota: Operation) -> None:
    hook = LogHook(library_logger())
    for outcome in (Ok([{}], 200, 200, ""), Empty(404, 404, "")):
        hook.observe(CallSettled(call(bogota), outcome, 1, 0.1))
    assert log.lines == []


def test_an_answer_at_the_vendors_limit_is_a_warning(log: Log, bogota: Operation) -> None:
    hook = LogHook(library_logger())
    for rows in (MOST_ROWS - 1, MOST_ROWS):
        hook.observe(CallSettled(call(bogota), Ok([{}] * rows, 200, 200, ""), 1, 0.1))
    ((level, facts),) = log.lines
    assert (level, facts["operation"], facts["api"]) == ("warning", "acme/bogota", "interactions")


def test_a_closed_token_is_a_warning_that_names_it_by_its_id(log: Log, bogota: Operation) -> None:
    LogHook(library_logger()).observe(TokenClosed(bogota, ErrorKind.FORBIDDEN, 3599.7))
    assert log.lines == [
        (
            "warning",
            {
                "event": "token closed",
                "operation": "acme/bogota",
                "token": bogota.token.id,
                "kind": "forbidden",
                "seconds": 3600,
            },
        )
    ]


@pytest.mark.parametrize("kind", [ErrorKind.TOKEN_BUSY, ErrorKind.TLS, ErrorKind.REDIRECT])
def test_what_needs_a_person_is_said_once_for_each_token(
    log: Log, bogota: Operation, quito: Operation, kind: ErrorKind
) -> None:
    hook = LogHook(library_logger())
    for operation in (bogota, quito, bogota, bogota, quito):
        hook.observe(failed(operation, kind))
    assert [facts["operation"] for facts in log.at_least("warning")] == ["acme/bogota", "acme/quito"]
    assert {facts["kind"] for facts in log.at_least("warning")} == {kind.value}


def test_a_tokens_other_trouble_is_said_too(log: Log, bogota: Operation) -> None:
    hook = LogHook(library_logger())
    for kind in (ErrorKind.TOKEN_BUSY, ErrorKind.TLS, ErrorKind.TOKEN_BUSY):
        hook.observe(failed(bogota, kind))
    assert [facts["kind"] for facts in log.at_least("warning")] == ["token_busy", "tls"]


@pytest.mark.parametrize(
    "kind", [kind for kind in ErrorKind if kind not in {ErrorKind.TOKEN_BUSY, ErrorKind.TLS, ErrorKind.REDIRECT}]
)
def test_other_failures_are_for_those_who_debug(log: Log, bogota: Operation, kind: ErrorKind) -> None:
    LogHook(library_logger()).observe(failed(bogota, kind, "503: call again later"))
    assert log.at_least("info") == []
    assert log.lines == [
        (
            "debug",
            {
                "event": "503: call again later",
                "operation": "acme/bogota",
                "api": "interactions",
                "kind": kind.value,
                "retry_in": 2.5,
            },
        )
    ]


def test_a_message_with_percent_signs_is_said_as_it_is(log: Log, bogota: Operation) -> None:
    LogHook(library_logger()).observe(failed(bogota, ErrorKind.TLS, "100 %s of 34.64 %d"))
    assert log.lines[0][1]["event"] == "100 %s of 34.64 %d"


def test_nothing_that_is_logged_holds_the_token(
    log: Log, bogota: Operation, assert_no_canary: Callable[..., None]
) -> None:
    hook = LogHook(library_logger())
    for kind in ErrorKind:
        hook.observe(failed(bogota, kind))
        hook.observe(TokenClosed(bogota, kind, 1.0))
    assert len(log.lines) == 2 * len(ErrorKind)
    assert_no_canary("the log", log.lines, [repr(event) for event in (failed(bogota, ErrorKind.TLS),)])


# --- the logger ---------------------------------------------------------------------------


@pytest.fixture
def own_handlers() -> Iterator[logging.Logger]:
    logger = logging.getLogger(LOGGER)
    before = logger.handlers[:]
    yield logger
    logger.handlers[:] = before


def test_the_logger_is_the_librarys_own_and_has_one_handler_that_says_nothing(own_handlers: logging.Logger) -> None:
    own_handlers.handlers.clear()
    for _ in range(3):
        library_logger()
    assert [type(handler) for handler in own_handlers.handlers] == [logging.NullHandler]


def test_handlers_of_the_application_stay(own_handlers: logging.Logger) -> None:
    mine = logging.StreamHandler()
    own_handlers.handlers[:] = [mine]
    library_logger()
    assert own_handlers.handlers == [mine]


def test_structlogs_global_configuration_is_left_alone() -> None:
    structlog.reset_defaults()
    before = structlog.get_config()
    library_logger().warning("made up")
    assert structlog.get_config() == before
    assert not structlog.is_configured()


def test_a_program_that_configures_no_logging_reads_nothing() -> None:
    program = (
        "from wolkvox_async.adapters.telemetry import library_logger\n"
        "log = library_logger()\n"
        "log.warning('made up'); log.error('made up', key=1)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


# --- hooks --------------------------------------------------------------------------------


class Raising:
    """A hook that counts and raises."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.heard = 0

    def observe(self, _event: Event) -> None:
        self.heard += 1
        raise self.error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Raising | Quiet)

    def __hash__(self) -> int:
        return 1


class Quiet:
    """A hook that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def observe(self, event: Event) -> None:
        self.heard.append(event)


def test_every_hook_hears_every_event(quito: Operation) -> None:
    one, other = Quiet(), Quiet()
    hooks = Hooks((one, other), library_logger())
    events = [failed(quito, kind) for kind in ErrorKind]
    for event in events:
        hooks.observe(event)
    assert one.heard == other.heard == events


def test_a_hook_that_raises_is_reported_once_and_left_out(
    log: Log, bogota: Operation, canary_text: str, assert_no_canary: Callable[..., None]
) -> None:
    quiet, raising = Quiet(), Raising(ValueError(canary_text))
    hooks = Hooks((quiet, raising, quiet), library_logger())
    for _ in range(3):
        hooks.observe(failed(bogota, ErrorKind.TLS))
    assert (raising.heard, len(quiet.heard)) == (1, 6)
    assert log.lines == [
        ("error", {"event": "a hook failed and is left out", "hook": "Raising", "error": "ValueError"})
    ]
    assert_no_canary("the log", log.lines)


def test_hooks_that_are_equal_are_not_the_same(log: Log, bogota: Operation) -> None:
    one, other = Raising(KeyError()), Raising(KeyError())
    hooks = Hooks((one, other), library_logger())
    hooks.observe(failed(bogota, ErrorKind.TLS))
    hooks.observe(failed(bogota, ErrorKind.TLS))
    assert (one.heard, other.heard, len(log.lines)) == (1, 1, 2)


def test_a_hook_that_raises_within_its_own_event_is_reported_once(log: Log, bogota: Operation) -> None:
    class Echo:
        heard = 0

        def observe(self, event: Event) -> None:
            self.heard += 1
            if self.heard < 3:
                hooks.observe(event)
            raise ValueError

    echo = Echo()
    hooks = Hooks((echo,), library_logger())
    hooks.observe(failed(bogota, ErrorKind.TLS))
    hooks.observe(failed(bogota, ErrorKind.TLS))
    assert (echo.heard, len(log.lines)) == (3, 1)


def test_what_ends_the_program_is_not_a_hooks_failure(bogota: Operation) -> None:
    class Ending:
        def observe(self, _event: Event) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Hooks((Ending(),), library_logger()).observe(failed(bogota, ErrorKind.TLS))
