"""Where a broker listens is read strictly: it ends up in a configuration and in addresses."""

import pytest

from wolkvox_async.apps.broking.addresses import Address, Node, node_name


@pytest.mark.parametrize("text", ["127.0.0.1:4222", "[::1]:4222", "broker-1.example:0", "localhost:65535"])
def test_an_address_reads_as_it_is_written(text: str) -> None:
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4222",
        ":4222",
        "host",
        "host:",
        "host:65536",
        "a b:1",
        "u@h:1",
        "::1:4222",
        "[1.2.3.4]:1",
        "[:]:1",
        "h/x:1",
        'h":1',
        "h:1\n",
        "-h:1",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        Address.parse(text)


def test_an_address_knows_who_can_reach_it() -> None:
    local = [Address.parse(text).is_local for text in ("127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1")]
    beyond = [Address.parse(text).is_local for text in ("0.0.0.0:1", "[::]:1", "10.0.0.1:1", "host:1")]
    assert (local, beyond) == ([True] * 4, [False] * 4)


def test_a_node_has_a_name_and_an_address_that_others_find() -> None:
    assert Node.parse("a@10.0.0.1:6222") == Node("a", Address("10.0.0.1", 6222))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10.0.0.1:6222", "NAME@HOST:PORT"),
        ("@10.0.0.1:6222", "NAME@HOST:PORT"),
        ("a@10.0.0.1", "HOST:PORT"),
        ("a@10.0.0.1:0", "above 0"),
        ("a@0.0.0.0:6222", "find it"),
        ("a b@10.0.0.1:6222", "letters"),
    ],
)
def test_what_is_no_node_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Node.parse(text)


@pytest.mark.parametrize("text", ["", "a.b", "a>", "a*", "a b", "é", "x" * 64])
def test_a_name_that_the_server_would_misread_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        node_name(text)
