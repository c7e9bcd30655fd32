"""From what was ordered to a configuration, or to everything that is wrong with it."""

from dataclasses import replace

import pytest

from tests.apps.broking.orders import TLS, alone, of_three
from wolkvox_async.apps.broking.config import Order, Tls, complaints, config_text
from wolkvox_async.apps.broking.credentials import Credentials

CLIENTS = Credentials("wolkvox", "a-password-of-clients")
ROUTES = Credentials("wolkvox", "a/password@of:routes")


def text_of(order: Order) -> str:
    return config_text(order, CLIENTS, ROUTES)


@pytest.mark.parametrize(
    "order", [alone(), alone("[::1]:0"), alone("0.0.0.0:4222", Tls("c", "k")), of_three(), of_three(tls=Tls("c", "k"))]
)
def test_nothing_is_wrong_with_a_sound_order(order: Order) -> None:
    assert complaints(order) == []


@pytest.mark.parametrize("listen", ["0.0.0.0:4222", "[::]:4222", "10.0.0.1:4222", "broker.example:4222"])
def test_beyond_this_machine_nobody_listens_without_tls(listen: str) -> None:
    (complaint,) = complaints(alone(listen))
    assert f"--listen {listen}" in complaint
    assert "--tls-cert" in complaint


def test_nodes_that_meet_beyond_this_machine_need_tls_also_when_clients_are_local() -> None:
    (complaint,) = complaints(of_three(tls=Tls(), listen="127.0.0.1:4222"))
    assert "--cluster b@10.0.0.2:6222" in complaint
    assert "--listen" not in complaint


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (alone(tls=Tls(cert="c")), "--tls-cert needs --tls-key"),
        (alone(tls=Tls(key="k")), "--tls-key needs --tls-cert"),
        (alone(tls=TLS), "--tls-ca"),
        (of_three("a@10.0.0.1:1", "b@10.0.0.2:1"), "names 2 of the nodes"),
        (of_three(*(f"{name}@10.0.0.1:{port}" for port, name in enumerate("abcd", 1))), "names 4 of the nodes"),
        (of_three("a@10.0.0.1:1", "a@10.0.0.2:1", "c@10.0.0.3:1"), "2 nodes are called a"),
        (of_three("a@10.0.0.1:1", "b@10.0.0.1:1", "c@10.0.0.3:1"), "2 nodes are at 10.0.0.1:1"),
        (of_three(name=None), "one of a, b, c"),
        (of_three(name="d"), "one of a, b, c"),
        (of_three(listen="10.0.0.1:6222"), "both want port 6222"),
    ],
)
def test_what_cannot_be_is_said_once(order: Order, says: str) -> None:
    (complaint,) = complaints(order)
    assert says in complaint


def test_all_that_is_wrong_is_said_at_once() -> None:
    order = of_three("a@10.0.0.1:1", "a@10.0.0.2:1", name="d", tls=Tls(ca="ca"))
    assert len(complaints(order)) == 5


def test_nothing_is_acknowledged_before_it_is_on_the_disk() -> None:
    assert '  sync_interval: "always"\n' in text_of(alone())


def test_sizes_are_limited_and_a_password_is_asked_for() -> None:
    text = text_of(alone())
    for line in (
        "max_payload: 1048576",
        "max_connections: 10",
        "  max_file_store: 1073741824",
        '  store_dir: "/data"',
        '    users: [{user: "wolkvox", password: "a-password-of-clients"}]',
        'host: "127.0.0.1"',
        "port: 4222",
    ):
        assert f"{line}\n" in text


def test_a_port_that_the_system_chooses_is_written_into_the_folder() -> None:
    chosen, named = text_of(alone("127.0.0.1:0")), text_of(alone())
    assert "port: -1\n" in chosen
    assert 'ports_file_dir: "/data"\n' in chosen
    assert "ports_file_dir" not in named


def test_one_node_knows_no_cluster_and_no_tls_unless_asked() -> None:
    text = text_of(alone())
    assert "cluster" not in text
    assert "tls" not in text


def test_each_node_seeks_the_others_and_never_itself() -> None:
    text = text_of(of_three(name="b"))
    (routes,) = [line for line in text.splitlines() if "routes:" in line]
    assert ["@10.0.0.1:6222" in routes, "@10.0.0.2:6222" in routes, "@10.0.0.3:6222" in routes] == [True, False, True]
    assert 'server_name: "b"\n' in text
    assert '  advertise: "10.0.0.2:6222"\n' in text


def test_the_password_of_routes_is_another_one_and_written_as_addresses_have_it() -> None:
    text = text_of(of_three())
    assert text.count("a-password-of-clients") == 1
    assert "nats-route://wolkvox:a%2Fpassword%40of%3Aroutes@10.0.0.2:6222" in text


def test_nodes_show_certificates_of_their_own_authority_and_clients_need_none() -> None:
    clients, _, nodes = text_of(of_three()).partition("cluster {")
    assert 'cert_file: "cert.pem"' in clients
    assert "ca_file" not in clients
    assert 'cert_file: "cert.pem"' in nodes
    assert 'ca_file: "ca.pem"' in nodes


def test_a_node_known_by_name_listens_on_every_address_of_its_machine() -> None:
    named = of_three("a@one.example:6222", "b@two.example:6222", "c@three.example:6222")
    assert '  host: "0.0.0.0"\n' in text_of(named)
    assert '  host: "10.0.0.1"\n' in text_of(of_three())


def test_the_node_named_first_makes_the_passwords_for_all() -> None:
    order = of_three()
    assert [replace(order, name=name).makes_credentials for name in "abc"] == [True, False, False]
    assert alone().makes_credentials
