"""What is told to the person who starts a broker."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.apps.broking.orders import LIMITS, alone, of_three
from tests.apps.dots import dots, words
from wolkvox_async.apps.broking.config import Order, Tls
from wolkvox_async.apps.broking.starting import instructions, prepare


@pytest.mark.parametrize(
    ("order", "urls"),
    [
        (alone(), "nats://127.0.0.1:4222"),
        (alone("[::1]:4222"), "nats://[::1]:4222"),
        (alone("127.0.0.1:0"), "nats://127.0.0.1:PORT"),
        (alone("0.0.0.0:4222", Tls("c", "k")), "tls://HOST:4222"),
        (of_three(), "tls://10.0.0.1:4222,tls://10.0.0.2:4222,tls://10.0.0.3:4222"),
        (
            of_three(
                *(f"{name}@127.0.0.1:{port}" for port, name in enumerate("abc", 1)), listen="127.0.0.1:9", tls=Tls()
            ),
            "nats://127.0.0.1:9",
        ),
    ],
)
def test_the_line_to_join_with_names_where_to_go(order: Order, urls: str) -> None:
    assert next(instructions(order)).endswith(f"--join {urls} --join-credentials file:/data/credentials")


def test_a_folder_with_a_space_can_be_pasted_into_a_shell() -> None:
    order = replace(alone(), folder=Path("/my data"))
    assert "--join-credentials 'file:/my data/credentials'" in next(instructions(order))


def test_who_makes_the_passwords_says_where_the_other_nodes_need_them() -> None:
    first, second = list(instructions(of_three())), list(instructions(of_three(name="b")))
    assert "/data/credentials and /data/routes" in first[-1]
    assert not any("/data/routes" in line for line in second)


@pytest.mark.parametrize("order", [alone("127.0.0.1:0"), alone("0.0.0.0:4222", Tls("c", "k")), of_three()])
def test_what_is_told_is_told_in_the_language_that_is_spoken(order: Order) -> None:
    option = "file:/data/credentials"
    facts = ["/data/credentials", "/data/routes", "/data", "wolkvox-async watch", *next(instructions(order)).split()]
    with dots():
        told = list(instructions(order))
    assert told[0].endswith(option)
    assert [words(line, *facts) for line in told] == [[]] * len(told)


def test_so_is_what_was_found_and_what_is_to_be_feared(tmp_path: Path) -> None:
    program = tmp_path / "nats-server"
    program.write_text("#!/bin/sh\necho 'nats-server: v2.11.0'\n")
    program.chmod(0o755)
    limits = replace(LIMITS, store=1 << 60)
    order = replace(alone("127.0.0.1:0"), folder=tmp_path / "broker", limits=limits)
    with dots():
        prepared = prepare(order, str(program))
    prepared.folder.leave()
    first, *_, last = prepared.told
    assert words(first, str(program), str(order.folder)) == []
    assert str(1 << 60) in last
    assert words(last) == []
