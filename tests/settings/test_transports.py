"""Which transport is chosen: the fast one, unless aiohttp lacks what it is built on."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from wolkvox_async.adapters.http.session import SessionTransport
from wolkvox_async.adapters.http.transport import HttpTransport
from wolkvox_async.errors import UsageError
from wolkvox_async.settings import transports
from wolkvox_async.settings.options import Options


class Log:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.warnings: list[tuple[str, dict[str, Any]]] = []

    def warning(self, message: str, **facts: Any) -> None:
        self.warnings.append((message, facts))


@pytest.fixture
def misfit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the installed aiohttp lack something."""
    monkeypatch.setattr(transports, "misfit", lambda: "its parser takes no limit")


async def test_the_fast_transport_is_used_where_it_fits() -> None:
    log = Log()
    made = transports.make_transport(Options(connections="shared"), None, log)
    assert isinstance(made, HttpTransport)
    assert (made.settings.connections, log.warnings) == ("shared", [])
    await made.close()


@pytest.mark.usefixtures("misfit")
async def test_where_it_does_not_fit_the_other_is_used_and_said() -> None:
    log = Log()
    made = transports.make_transport(Options(timeout=7), None, log)
    assert isinstance(made, SessionTransport)
    assert made.settings.timeout == 7
    ((message, facts),) = log.warnings
    assert "--connections shared is without effect" in message
    assert facts == {"aiohttp": aiohttp.__version__, "why": "its parser takes no limit"}
    await made.close()


@pytest.mark.usefixtures("misfit")
async def test_a_connector_that_keeps_connections_is_refused_where_these_cannot_be_checked() -> None:
    async with aiohttp.TCPConnector() as keeping, aiohttp.TCPConnector(force_close=True) as closing:
        with pytest.raises(UsageError, match="force_close"):
            transports.make_transport(Options(), keeping, Log())
        made = transports.make_transport(Options(), closing, Log())
        await made.close()
        assert not closing.closed
