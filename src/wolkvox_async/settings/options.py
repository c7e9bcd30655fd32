"""The options, as one table: names, defaults, how they are read, what help says.

Command line and environment give text, an embedding service gives values; both become
one checked `Options`. Every wrong option is reported, not only the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from wolkvox_async.errors import ConfigurationError, Mistake

if TYPE_CHECKING:  # `--help` must not pay for the scheduler
    from wolkvox_async.scheduling.decisions import AfterFailure

DEFAULT_BASE_URL: Final = "https://wv{server}.wolkvox.com"
ENVIRONMENT_PREFIX: Final = "WOLKVOX_"
_MOST_CALLS: Final = 1_000_000
_MOST_PROCESSES: Final = 256


def seconds(text: str) -> float:
    """Read a duration that may be 0; decimals are fine."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError("write a number of seconds, such as 60 or 0.5")
    return value


def some_seconds(text: str) -> float:
    """Read a duration above 0."""
    value = seconds(text)
    if value == 0:
        raise ValueError("this must be more than 0 seconds")
    return value


def count(text: str) -> int:
    """Read a whole number from 1 to a million."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MOST_CALLS:
        raise ValueError("write a whole number from 1 to 1000000")
    return int(text)


def count_or_auto(text: str) -> int | Literal["auto"]:
    """Read a whole number from 1 to a million, or the word `auto`."""
    if text == "auto":
        return "auto"
    try:
        return count(text)
    except ValueError:
        raise ValueError("write a whole number from 1 to 1000000, or auto") from None


def processes(text: str) -> int:
    """Read a number of processes."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MOST_PROCESSES:
        raise ValueError(f"write a whole number from 1 to {_MOST_PROCESSES}")
    return int(text)


def size(text: str) -> int:
    """Read a number of bytes."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:15]) < 2**40:
        raise ValueError("write a number of bytes, such as 16777216")
    return int(text)


def base_url(text: str) -> str:
    """Check an address template: https, or plain http to this machine only."""
    try:
        parts = urlsplit(text.replace("{server}", "1"))
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError("this is no address: is the port a number?") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_right:
        raise ValueError(f"write an address such as {DEFAULT_BASE_URL}")
    if not text.isascii() or not text.isprintable():
        raise ValueError("an address has ASCII characters only: write a host's xn-- form, and %-escapes in the path")
    if parts.query or parts.fragment or parts.username is not None or set("{} \\") & set(text.replace("{server}", "")):
        raise ValueError("an address has no user, query, fragment, spaces or braces other than {server}")
    if parts.scheme == "http" and not is_loopback(urlsplit(text.replace("{server}", "x")).hostname or ""):
        raise ValueError("plain http would show the tokens to the network: it is allowed to this machine only")
    return text.rstrip("/")


def is_loopback(host: str) -> bool:
    """Tell whether `host` is certainly this machine."""
    from ipaddress import ip_address  # noqa: PLC0415 - takes longer to import than the rest of this file

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def proxy(text: str) -> str:
    """Check a proxy's address, or the word `env`."""
    if text == "env":
        return text
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write http://HOST:PORT, or env to use the environment's proxy variables")
    return text


def certificates(text: str) -> str:
    """Check that a file holds certificates in PEM form."""
    import ssl  # noqa: PLC0415 - `--help` does not need it

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=text)
    except ssl.SSLError:
        raise ValueError("this file holds no certificates in PEM form") from None
    except OSError as error:
        raise ValueError(f"this file cannot be read: {(error.strerror or 'unknown').lower()}") from None
    return text


def one_of(*words: str) -> Callable[[str], str]:
    """Return a reader that takes one of `words`."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"write one of {', '.join(words)}")
        return text

    return read


def text(value: str) -> str:
    """Take text that is not empty."""
    if not value:
        raise ValueError("this may not be empty")
    return value


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table; `group` says which commands take it."""

    name: str
    default: Any
    read: Callable[[str], Any]
    metavar: str
    help: str
    group: str = "engine"

    @property
    def field(self) -> str:
        """The name of its field in `Options`."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return ENVIRONMENT_PREFIX + self.field.upper()


ENGINE_OPTIONS: Final = (
    Option("base-url", DEFAULT_BASE_URL, base_url, "TEMPLATE", "where the servers are; {server} is filled in"),
    Option("ca-file", None, certificates, "FILE", "certificate authorities to trust beside the system's"),
    Option("max-in-flight", 1000, count_or_auto, "N|auto", "calls in flight in all; auto: as few as keep throughput"),
    Option("per-server", 32, count, "N", "calls in flight to one server"),
    Option(
        "connections",
        "token",
        one_of("token", "shared"),
        "token|shared",
        "shared: kept connections serve any token of their server, after checks",
    ),
    Option("timeout", 65.0, some_seconds, "SECONDS", "the whole attempt, connection to last byte"),
    Option("connect-timeout", 10.0, some_seconds, "SECONDS", "for the connection alone"),
    Option("server-limit", 60.0, seconds, "SECONDS", "how long the vendor may work on an attempt that was given up"),
    Option("interval", 300.0, seconds, "SECONDS", "least time between two calls that ask a token the same; 0: none"),
    Option("wait", 10.0, seconds, "SECONDS", "a call that is due within this is waited for, a later one skipped"),
    Option("token-gap", 0.0, seconds, "SECONDS", "least pause between two attempts on one token"),
    Option("max-attempts", 4, count, "N", "attempts per call"),
    Option("backoff", 1.0, seconds, "SECONDS", "first retry delay; doubled each time, with full jitter"),
    Option("patience", 300.0, seconds, "SECONDS", "how long to wait for a busy token or a maintenance window"),
    Option(
        "after-failure", "hold", one_of("hold", "continue"), "hold|continue", "a token's other calls, once one failed"
    ),
    Option("max-body", 16_777_216, size, "BYTES", "decoded size at which an answer is refused"),
    Option("proxy", None, proxy, "URL", "outbound proxy; `env` uses the environment's proxy variables"),
)

WORKERS: Final = Option(
    "workers", 1, processes, "N", "processes on this machine; each token belongs to one, and the limits are totals"
)

STATE_OPTIONS: Final = (
    Option("state", None, text, "DIR", "state folder: leases, last calls, runs  [default: in the user's state folder]"),
    Option(
        "durability", "process", one_of("process", "power"), "process|power", "survive a killed process, or a power cut"
    ),
)


@dataclass(frozen=True, slots=True)
class Options:
    """How the engine behaves; the defaults are those of the command line. Times in seconds.

    Only the state is another: without a folder named by `state` it is kept in memory, so
    that a service writes nowhere unasked. `retry_refused` forgets remembered refusals.
    Raises `ConfigurationError` that names every wrong value.
    """

    base_url: str = DEFAULT_BASE_URL
    ca_file: str | None = None
    max_in_flight: int | Literal["auto"] = 1000
    per_server: int = 32
    connections: Literal["token", "shared"] = "token"
    timeout: float = 65.0
    connect_timeout: float = 10.0
    server_limit: float = 60.0
    interval: float = 300.0
    wait: float = 10.0
    token_gap: float = 0.0
    max_attempts: int = 4
    backoff: float = 1.0
    patience: float = 300.0
    after_failure: AfterFailure = "hold"
    max_body: int = 16_777_216
    proxy: str | None = field(default=None, repr=False)  # may hold a password
    state: str | None = None
    durability: Literal["process", "power"] = "process"
    retry_refused: bool = False

    @property
    def hold(self) -> float:
        """How many seconds a token is out of use when nothing more is heard of an attempt."""
        return max(self.timeout, self.connect_timeout + self.server_limit)

    def __post_init__(self) -> None:
        """Raise `ConfigurationError` that names every value which the command line would refuse."""
        table = (*ENGINE_OPTIONS, *STATE_OPTIONS)
        given = {option.name: getattr(self, option.field) for option in table}
        values, mistakes = read_options(
            {name: _written(value) for name, value in given.items() if value is not None}, table
        )
        mistakes += conflicts(values)
        if mistakes:
            raise ConfigurationError(mistakes)


def conflicts(values: Mapping[str, Any]) -> list[Mistake]:
    """Return what is wrong with values, by field name, that are each right by themselves."""
    proxy, base_url = values.get("proxy"), values.get("base_url") or DEFAULT_BASE_URL
    if proxy in (None, "env") or base_url.startswith("https:") or is_loopback(urlsplit(proxy).hostname or ""):
        return []
    return [Mistake("--proxy: plain http through another machine would show the tokens to the network")]


def _written(value: Any) -> str:
    return value if isinstance(value, str) else format(value, "g" if isinstance(value, float) else "")


def read_options(given: Mapping[str, str], table: tuple[Option, ...]) -> tuple[dict[str, Any], list[Mistake]]:
    """Read what was `given` by option name; return values by field name, and every mistake."""
    values: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    for option in table:
        if option.name not in given:
            continue
        try:
            values[option.field] = option.read(given[option.name])
        except ValueError as error:
            mistakes.append(Mistake(f"--{option.name} {given[option.name]!r}: {error}"))
    return values, mistakes
