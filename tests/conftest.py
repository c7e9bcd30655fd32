"""What holds for every test: a canary token, an environment of its own, and no event loop left over."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import hypothesis
import pytest

pytest_plugins = ("tests.canary", "tests.postgres")

# How long an example takes says something about the machine, and nothing about the code.
hypothesis.settings.register_profile("project", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("project")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the tests that take long, which have time-outs of their own, and have none among the last.

    Otherwise one process may be left with one of them when the others have nothing more to do.
    """
    long = [item for item in items if item.get_closest_marker("timeout") is not None]
    short = [item for item in items if item.get_closest_marker("timeout") is None]
    apart = len(short) // (2 * len(long) or 1)
    for number, item in enumerate(long):
        short.insert(number * (apart + 1), item)
    items[:] = short


def pytest_sessionstart() -> None:
    """Have nobody make an event loop by asking for one, which then nobody closes, and programs know Ctrl-C."""
    asyncio.set_event_loop(None)
    # A shell that runs this in the background has it ignore Ctrl-C, and with it all programs that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the options, proxies, colours and folders of whoever runs the tests out of them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("WOLKVOX_") or name.lower().endswith("_proxy") or name in {"NO_COLOR", "FORCE_COLOR"}:
                patch.delenv(name)
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
            patch.setenv(name, str(tmp_path_factory.getbasetemp() / name.lower()))
        yield


@pytest.fixture
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give programs that the test runs a state folder that no other test has used."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
