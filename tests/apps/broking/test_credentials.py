"""Passwords are made once, read strictly, and shown to nobody."""

import stat
from pathlib import Path

import pytest

from wolkvox_async.apps.broking.credentials import Credentials, read_credentials, write_private


def test_every_password_is_another_one_and_long() -> None:
    first, second = Credentials.new(), Credentials.new()
    assert first.password != second.password
    assert len(first.password) >= 43


def test_a_password_is_in_no_repr(canary_text: str) -> None:
    credentials = Credentials("wolkvox", canary_text)
    assert canary_text not in repr(credentials)
    assert canary_text not in str(credentials)


def test_what_was_written_is_read_and_only_the_owner_can(tmp_path: Path) -> None:
    path, made = tmp_path / "credentials", Credentials.new()
    write_private(path, made.line())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_credentials(path) == made
    assert [file.name for file in tmp_path.iterdir()] == ["credentials"]


def test_a_file_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert read_credentials(tmp_path / "nowhere") is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "credentials"
    write_private(path, Credentials.new().line())
    path.chmod(mode)
    with pytest.raises(ValueError, match="chmod 600"):
        read_credentials(path)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_one_newline_behind_the_line_is_no_part_of_the_password(ending: str) -> None:
    assert Credentials.parse(f"me:sixteen-letters:x{ending}") == Credentials("me", "sixteen-letters:x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "nothing-but-a-password",
        ":sixteen-letters-and",
        "me:short",
        "me:with a space in between",
        "mé:sixteen-letters-x",
        "me:sixteen-letters-x\n\n",
        "me:sixteen-letters\x00x",
        "me:" + "x" * 512,
    ],
)
def test_what_is_no_line_of_credentials_is_refused(text: str) -> None:
    assert Credentials.parse(text) is None


def test_a_complaint_about_a_file_shows_nothing_of_it(secret_store: Path, canary_text: str) -> None:
    path = secret_store / "credentials"
    write_private(path, f"{canary_text} and more\n")
    with pytest.raises(ValueError, match="USER:PASSWORD") as caught:
        read_credentials(path)
    assert canary_text not in str(caught.value)
