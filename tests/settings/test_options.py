"""Options are read from text, all mistakes at once."""

import pytest

from wolkvox_async.errors import ConfigurationError
from wolkvox_async.settings.options import ENGINE_OPTIONS, Options, base_url, is_loopback, proxy, read_options


def test_the_defaults_of_the_table_are_those_of_the_library() -> None:
    options = Options()
    assert {o.field: o.default for o in ENGINE_OPTIONS} == {o.field: getattr(options, o.field) for o in ENGINE_OPTIONS}


@pytest.mark.parametrize(
    "template",
    [
        "https://wv{server}.wolkvox.com",
        "https://proxy.example/wolkvox/{server}",
        "https://fixed.example",
        "http://127.0.0.1:{server}",
        "http://127.0.0.1:1{server}/x",
        "http://localhost:8700",
        "http://[::1]:8700/{server}",
    ],
)
def test_the_server_may_stand_in_host_port_or_path_or_nowhere(template: str) -> None:
    assert base_url(template) == template


@pytest.mark.parametrize(
    "template",
    [
        "http://wv{server}.wolkvox.com",
        "http://{server}",
        "http://10.0.0.1",
        "http://127.0.0.1.example.com",
        "ftp://127.0.0.1",
        "127.0.0.1:8700",
        "https://",
        "https://user:password@wv{server}.wolkvox.com",
        "https://wv{server}.wolkvox.com/?a=1",
        "https://wv{server}.wolkvox.com/#a",
        "https://wv{Server}.wolkvox.com",
        "https://wv{server}.wolkvox.com:port",
        "https://wv {server}.wolkvox.com",
        "https://wolkvöx.example",
        "https://wolkvox.example/ruta/\u00f1",
        "https://wolkvox.example/a\nb",
        "",
    ],
)
def test_an_address_that_could_leak_a_token_or_is_none_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        base_url(template)


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("127.0.0.1.nip.io", False),
        ("", False),
    ],
)
def test_loopback_is_certain_or_it_is_not(host: str, is_one: bool) -> None:
    assert is_loopback(host) is is_one


def test_every_mistake_is_reported() -> None:
    given = {"timeout": "0", "max-in-flight": "many", "backoff": "-1", "after-failure": "panic", "patience": "nan"}
    values, mistakes = read_options(given, ENGINE_OPTIONS)
    assert values == {}
    assert {str(mistake).partition(" ")[0] for mistake in mistakes} == {f"--{name}" for name in given}


def test_the_library_refuses_what_the_command_line_refuses() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Options(timeout=-1, max_in_flight=0, base_url="http://wv{server}.wolkvox.com")
    assert len(refused.value.mistakes) == 3


def test_a_proxys_password_is_not_shown() -> None:
    assert "geheim" not in repr(Options(proxy="http://me:geheim@proxy.example:3128"))
    assert proxy("env") == "env"


@pytest.mark.parametrize(("text", "seconds"), [("65", 65.0), ("0.5", 0.5), ("1e1", 10.0)])
def test_seconds_may_be_decimals(text: str, seconds: float) -> None:
    assert read_options({"timeout": text}, ENGINE_OPTIONS) == ({"timeout": seconds}, [])


@pytest.mark.parametrize(("text", "number"), [("auto", "auto"), ("1", 1), ("1000000", 1_000_000)])
def test_calls_in_flight_are_a_number_or_left_to_the_engine(text: str, number: int | str) -> None:
    assert read_options({"max-in-flight": text}, ENGINE_OPTIONS) == ({"max_in_flight": number}, [])


@pytest.mark.parametrize("text", ["Auto", "automatic", "0", "1000001", "", "-1", "1.5"])
def test_calls_in_flight_that_are_neither_are_refused_with_both_named(text: str) -> None:
    _, mistakes = read_options({"max-in-flight": text}, ENGINE_OPTIONS)
    assert "or auto" in str(mistakes[0])


def test_the_library_takes_auto_as_well() -> None:
    assert Options(max_in_flight="auto").max_in_flight == "auto"
