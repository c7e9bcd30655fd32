"""What systemd hears, over a real socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from wolkvox_async.apps.serving.health import Health
from wolkvox_async.apps.serving.notify import Supervisor, Watchdog
from wolkvox_async.testing import ManualClock

PID = 4711


class Listener:
    """The init system's end."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


@pytest.fixture
def listener(address: str) -> Iterator[Listener]:
    listening = Listener(address)
    yield listening
    listening.socket.close()


def test_each_message_is_one_datagram(listener: Listener, address: str) -> None:
    with Supervisor.of({"NOTIFY_SOCKET": address}, PID) as supervisor:
        assert supervisor.ready("watching 3 operations")
        assert supervisor.reloading(12.5)
        assert supervisor.alive()
        assert supervisor.status("all well")
        assert supervisor.stopping()
    assert listener.heard() == [
        "READY=1\nSTATUS=watching 3 operations",
        "RELOADING=1\nMONOTONIC_USEC=12500000",
        "WATCHDOG=1",
        "STATUS=all well",
        "STOPPING=1",
    ]


def test_a_status_is_one_line_whatever_it_says(listener: Listener, address: str) -> None:
    with Supervisor(address) as supervisor:
        supervisor.status("a\nREADY=1\r\nb \ud800")
    assert listener.heard() == ["STATUS=a READY=1 b \\ud800"]


def test_an_abstract_socket_is_found() -> None:
    name = f"wolkvox-async-test-{id(object())}"
    listening = Listener("\0" + name)
    try:
        with Supervisor.of({"NOTIFY_SOCKET": f"@{name}"}, PID) as supervisor:
            assert supervisor.ready()
        assert listening.heard() == ["READY=1"]
    finally:
        listening.socket.close()


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}])
def test_where_there_is_nobody_telling_does_nothing(environment: dict[str, str]) -> None:
    with Supervisor.of(environment, PID) as supervisor:
        assert not supervisor.is_there
        assert not supervisor.ready()


def test_an_init_system_that_went_away_is_no_reason_to_stop(address: str) -> None:
    with Supervisor(address) as supervisor:
        assert not supervisor.ready()


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(PID)}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_that_of_the_process_it_is_meant_for(
    environment: dict[str, str], seconds: float | None
) -> None:
    assert Supervisor.of(environment, PID).watchdog == seconds


def test_the_watchdog_hears_twice_as_often_as_it_wants_while_the_service_is_alive(
    listener: Listener, address: str
) -> None:
    clock, health = ManualClock(), Health()
    with Supervisor(address, watchdog=60.0) as supervisor:
        with Watchdog(clock, supervisor, lambda: health, lambda: "all well"):
            clock.advance(60)
            assert listener.heard() == ["WATCHDOG=1", "STATUS=all well", "WATCHDOG=1", "WATCHDOG=1"]
            health = Health(("the output has taken nothing for 200 s",))
            clock.advance(60)
            assert listener.heard() == ["STATUS=not alive: the output has taken nothing for 200 s"]
            health = Health()
            clock.advance(30)
            assert listener.heard() == ["WATCHDOG=1", "STATUS=all well"]
        clock.advance(600)
        assert listener.heard() == []


def test_without_a_watchdog_only_the_status_is_told(listener: Listener, address: str) -> None:
    clock = ManualClock()
    words = iter(["one", "one", "two"])
    with Supervisor(address) as supervisor, Watchdog(clock, supervisor, Health, lambda: next(words)):
        clock.advance(20)
        assert listener.heard() == ["STATUS=one", "STATUS=two"]


def test_where_nobody_listens_nothing_is_looked_at() -> None:
    clock, looked = ManualClock(), 0

    def look() -> Health:
        nonlocal looked
        looked += 1
        return Health()

    with Supervisor() as supervisor, Watchdog(clock, supervisor, look, str):
        clock.advance(600)
    assert looked == 0
