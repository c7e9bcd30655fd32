"""Where a broker is, and how to sign in there, is read strictly and shown nowhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from wolkvox_async.adapters.nats import NatsLogin, NatsSettings
from wolkvox_async.apps.cli.joining import JOINING, join_settings
from wolkvox_async.apps.cli.options import Read, read

HERE = "nats://127.0.0.1:4222"
CREDS = "-----BEGIN NATS USER JWT-----\nabc\n------END NATS USER JWT------\n"


def said(**given: str | None) -> Read:
    return read(given, JOINING)


def messages(read_: Read) -> str:
    return "\n".join(mistake.message for mistake in read_.mistakes)


def test_without_join_there_is_no_broker() -> None:
    options = said()
    assert join_settings(options) is None
    assert options.mistakes == []


def test_a_command_that_needs_a_broker_says_so() -> None:
    options = said()
    assert join_settings(options, needed=True) is None
    assert "--join: say where the broker is" in messages(options)


def test_what_belongs_to_join_needs_it() -> None:
    options = said(join_credentials="env:X")
    assert join_settings(options) is None
    assert messages(options) == "--join-credentials is for --join: say where the broker is"


def test_several_addresses_are_separated_by_commas() -> None:
    options = said(join="nats://127.0.0.1:1, tls://broker.example:2")
    found = join_settings(options)
    assert found == NatsSettings(("nats://127.0.0.1:1", "tls://broker.example:2"))


@pytest.mark.parametrize("text", ["wolkvox:{}", "wolkvox:{}\n", "wolkvox:{}\r\n", "wolkvox:{}:with:colons"])
def test_a_user_and_a_password_stand_in_a_file_or_a_variable(
    text: str, secret_store: Path, canary_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = text.format(canary_text)
    file = secret_store / "join"
    file.write_text(line)
    file.chmod(0o600)
    monkeypatch.setenv("BROKER_LOGIN", line)
    for reference in (f"file:{file}", "env:BROKER_LOGIN"):
        found = join_settings(said(join=HERE, join_credentials=reference))
        assert found is not None
        assert found.login == NatsLogin(user="wolkvox", password=line.strip().partition(":")[2])
        assert canary_text not in repr(found)


def test_the_text_of_a_creds_file_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a.creds"
    file.write_text(CREDS)
    file.chmod(0o600)
    found = join_settings(said(join=HERE, join_credentials=f"file:{file}"))
    assert found is not None
    assert found.login == NatsLogin(credentials=CREDS)


def test_a_file_that_everybody_can_read_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "join"
    file.write_text("wolkvox:made-up-word")
    file.chmod(0o644)
    assert join_settings(said(join=HERE, join_credentials=f"file:{file}")) is not None
    assert "chmod 600" in capsys.readouterr().err


def test_mistakes_come_all_at_once_and_show_nothing_secret(
    canary_text: str, capsys: pytest.CaptureFixture[str], assert_no_canary: Callable[..., None]
) -> None:
    options = said(join=f"nats://u:{canary_text}@127.0.0.1,x", join_credentials=f"u:{canary_text}", join_ca="/nowhere")
    assert join_settings(options) is None
    text = messages(options)
    for part in (
        "--join: address 1",
        "--join: address 2",
        "--join-credentials: write env:NAME",
        "--join-ca '/nowhere'",
    ):
        assert part in text
    assert_no_canary("the mistakes", text, *capsys.readouterr())


@pytest.mark.parametrize("content", ["", "nothing", ":word", "user:", "a:b\nc:d", "user:\x07bell", "x:" + "y" * 20_000])
def test_what_holds_no_login_is_a_mistake(content: str, tmp_path: Path) -> None:
    file = tmp_path / "join"
    file.write_text(content)
    file.chmod(0o600)
    options = said(join=HERE, join_credentials=f"file:{file}")
    assert join_settings(options) is None
    assert messages(options).startswith(f"--join-credentials: the file {file} holds neither a line USER:PASSWORD")


def test_a_reference_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for reference, says in (
        ("env:NOT_SET_ANYWHERE", "the environment variable NOT_SET_ANYWHERE is not set"),
        (f"file:{tmp_path}/nowhere", "does not exist"),
        (f"file:{tmp_path}", "is no regular file"),
        (f"file:{tmp_path}/pipe", "is no regular file"),
    ):
        options = said(join=HERE, join_credentials=reference)
        assert join_settings(options) is None
        assert says in messages(options)


@pytest.mark.parametrize("join", ["nats://broker.example:4222", f"{HERE},nats://10.0.0.1:4222"])
def test_no_password_goes_through_a_network_in_the_clear(join: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_LOGIN", "wolkvox:made-up-word")
    options = said(join=join, join_credentials="env:BROKER_LOGIN")
    assert join_settings(options) is None
    assert "write tls://" in messages(options)
    assert join_settings(said(join=join)) is not None
    assert join_settings(said(join=f"tls://a.example:1,{join}", join_credentials="env:BROKER_LOGIN")) is not None
