"""A broker's folder belongs to one broker, and says what is wrong with it."""

from pathlib import Path

import pytest

from wolkvox_async.apps.broking.folder import Folder, default_folder
from wolkvox_async.errors import ConfigurationError, StateError


def test_a_second_broker_is_kept_out_until_the_first_has_left(tmp_path: Path) -> None:
    first, second = Folder(tmp_path / "data"), Folder(tmp_path / "data")
    first.enter()
    with pytest.raises(ConfigurationError, match="runs in this folder already"):
        second.enter()
    first.leave()
    second.enter()
    second.leave()


def test_credentials_are_made_once(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    made = folder.secret(folder.credentials, may_make=True)
    assert made is not None
    assert folder.secret(folder.credentials, may_make=True) == made
    assert folder.secret(folder.routes, may_make=False) is None


def test_a_file_that_will_not_do_is_a_mistake_and_stays(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.credentials.touch(0o600)
    with pytest.raises(ConfigurationError, match="USER:PASSWORD"):
        folder.secret(folder.credentials, may_make=True)
    assert folder.credentials.read_bytes() == b""


def test_a_folder_that_cannot_be_is_a_state_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="--data"):
        Folder(tmp_path / "file" / "data").enter()


def test_what_an_earlier_server_said_of_its_ports_is_removed(tmp_path: Path) -> None:
    (tmp_path / "nats-server_1.ports").touch()
    Folder(tmp_path).write_config("port: 1\n")
    assert [path.name for path in tmp_path.iterdir()] == ["nats-server.conf"]


def test_what_is_stored_is_counted(tmp_path: Path) -> None:
    (tmp_path / "jetstream" / "x").mkdir(parents=True)
    (tmp_path / "jetstream" / "x" / "block").write_bytes(b"12345")
    assert Folder(tmp_path).stored() == 5
    assert Folder(tmp_path / "nowhere").stored() == 0


def test_a_users_broker_lies_beside_the_state_folder() -> None:
    assert default_folder(Path("/home/me/.local/state/wolkvox-async")) == Path(
        "/home/me/.local/state/wolkvox-async-broker"
    )
