"""What an attempt says about its server, and when a server counts as down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.model import AttemptOutcome, ErrorKind
from wolkvox_async.scheduling.circuits import Circuit, Sign, sign
from wolkvox_async.scheduling.retry import ServerPolicy

from .samples import EMPTY, OK, UNREACHABLE, failed

GARBLED = (ErrorKind.TIMEOUT, ErrorKind.DISCONNECTED, ErrorKind.PROTOCOL, ErrorKind.STOPPING)
ANSWERS = (
    failed(ErrorKind.UNAUTHORIZED, status=401),
    failed(ErrorKind.MALFORMED, status=200),
    failed(ErrorKind.REDIRECT, status=302),
)


@pytest.mark.parametrize(
    "outcome", [UNREACHABLE, *(failed(ErrorKind.SERVER_ERROR, status=status) for status in (502, 503, 504))]
)
def test_no_connection_and_a_gateways_answer_say_that_the_server_is_down(outcome: AttemptOutcome) -> None:
    assert sign(outcome) is Sign.DOWN


@pytest.mark.parametrize("status", [500, 501, 505])
def test_an_error_of_the_server_itself_says_that_it_is_up(status: int) -> None:
    assert sign(failed(ErrorKind.SERVER_ERROR, status=status)) is Sign.UP


@pytest.mark.parametrize("outcome", [OK, EMPTY, *ANSWERS, failed(ErrorKind.TLS)])
def test_whatever_the_server_answered_says_that_it_is_up(outcome: AttemptOutcome) -> None:
    assert sign(outcome) is Sign.UP


@pytest.mark.parametrize("kind", GARBLED)
def test_silence_says_nothing(kind: ErrorKind) -> None:
    assert sign(failed(kind)) is Sign.NOTHING


@pytest.mark.parametrize("kind", GARBLED)
def test_an_answer_that_began_and_broke_off_is_an_answer(kind: ErrorKind) -> None:
    assert sign(failed(kind, status=200)) is Sign.UP
    assert sign(failed(kind, status=503)) is Sign.DOWN


def told(circuit: Circuit, *signs: Sign, probe: bool = False, now: float = 0.0, jitter: float = 0.0) -> Circuit:
    for each in signs:
        circuit.take_in(each, probe=probe, now=now, jitter=jitter)
    return circuit


def test_three_failures_in_a_row_open_the_circuit() -> None:
    circuit = told(Circuit(ServerPolicy()), Sign.DOWN, Sign.DOWN)
    assert circuit.opened_at is None
    assert told(circuit, Sign.DOWN, now=7.0).opened_at == 7.0


def test_an_answer_interrupts_the_row_and_silence_does_not() -> None:
    assert told(Circuit(ServerPolicy()), Sign.DOWN, Sign.DOWN, Sign.UP, Sign.DOWN, Sign.DOWN).opened_at is None
    assert told(Circuit(ServerPolicy()), Sign.DOWN, Sign.NOTHING, Sign.DOWN, Sign.DOWN).opened_at == 0.0


def test_silence_alone_opens_nothing() -> None:
    assert told(Circuit(ServerPolicy()), *[Sign.NOTHING] * 9).opened_at is None


@given(jitter=st.floats(0, 1, exclude_max=True), failed_probe=st.sampled_from([Sign.DOWN, Sign.NOTHING]))
def test_pauses_between_probes_double_from_one_second_to_sixty_and_are_at_least_half(
    jitter: float, failed_probe: Sign
) -> None:
    circuit = told(Circuit(ServerPolicy()), *[Sign.DOWN] * 3, jitter=jitter)
    for full in (1, 2, 4, 8, 16, 32, 60, 60):
        assert circuit.probe_at == pytest.approx(full * (1 + jitter) / 2)
        assert full / 2 <= circuit.probe_at <= full
        told(circuit, failed_probe, probe=True, jitter=jitter)


@pytest.mark.parametrize("late", [Sign.DOWN, Sign.NOTHING])
def test_attempts_that_were_in_flight_leave_the_pause_as_it_is(late: Sign) -> None:
    circuit = told(Circuit(ServerPolicy()), *[Sign.DOWN] * 3)
    told(circuit, *[late] * 9, now=0.4)
    assert (circuit.opened_at, circuit.probe_at) == (0.0, 0.5)


@pytest.mark.parametrize("probe", [True, False])
def test_any_answer_closes_the_circuit_and_the_next_row_begins_anew(probe: bool) -> None:
    circuit = told(Circuit(ServerPolicy()), *[Sign.DOWN] * 3)
    told(circuit, Sign.DOWN, probe=True)
    told(circuit, Sign.UP, probe=probe)
    assert told(circuit, Sign.DOWN, Sign.DOWN).opened_at is None
    assert told(circuit, Sign.DOWN, now=10.0).probe_at == 10.5
