"""Secrets in a folder, as Docker, Kubernetes and systemd lay them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.volumes import Volume
from wolkvox_async.adapters.secrets import Secrets, Unresolved
from wolkvox_async.model import Token
from wolkvox_async.references import FileReference, SecretReference

TEXT = "5f4dcc3b5aa765d61d8327deb882cf99"
TOKEN = Token(TEXT)
NEW = Token("0cc175b9c0f1b6a831c399e269772661")
QUITO = SecretReference("acme-quito")


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path / "secrets")


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path, {}, secrets_dir=Path("secrets"))


async def refusal(secrets: Secrets, reference: SecretReference) -> str:
    found = await secrets.resolve(reference)
    assert isinstance(found, Unresolved)
    assert TEXT not in f"{found!r}"
    return found.message


async def test_a_secret_is_a_file_of_the_folder(secrets: Secrets, volume: Volume) -> None:
    (volume.folder / "globex").mkdir()
    (volume.folder / "acme-quito").write_text(f"{TEXT}\n")
    (volume.folder / "globex" / "main").write_text(NEW.reveal())
    assert await secrets.resolve(QUITO) == TOKEN
    assert await secrets.resolve(SecretReference("globex/main")) == NEW
    assert await secrets.resolve_all([QUITO, SecretReference("globex/main"), QUITO]) == [TOKEN, NEW, TOKEN]


async def test_an_exchanged_volume_gives_the_new_token(secrets: Secrets, volume: Volume) -> None:
    volume.show({"acme-quito": TEXT})
    assert await secrets.resolve(QUITO) == TOKEN
    volume.show({"acme-quito": NEW.reveal()})
    assert await secrets.resolve(QUITO) == NEW


async def test_a_secret_whose_volume_is_exchanged_under_its_reader_is_there(
    secrets: Secrets, volume: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume.show({"acme-quito": TEXT})
    opened = os.open
    found: list[str] = []

    def exchanged_meanwhile(path: Path, flags: int) -> int:
        # Where the links led when the system began to follow them.
        found.append(os.path.realpath(path))
        if len(found) == 1:
            volume.show({"acme-quito": NEW.reveal()})
        return opened(found[-1], flags)

    monkeypatch.setattr("wolkvox_async.adapters.secrets.files.os.open", exchanged_meanwhile)
    resolved = await secrets.resolve(QUITO)
    monkeypatch.undo()
    assert resolved == NEW
    assert len(found) == 2


async def test_what_is_missing_is_named_with_what_may_be_meant(secrets: Secrets, volume: Volume) -> None:
    volume.show({"acme-quitto": TEXT})
    assert await refusal(secrets, QUITO) == (
        f"the secret acme-quito does not exist (looked for in {volume.folder}): did you mean 'acme-quitto'?"
    )
    other = await refusal(secrets, SecretReference("globex/main"))
    assert other == f"the secret globex/main does not exist (looked for in {volume.folder})"


async def test_without_the_folder_the_ways_to_name_it_are_said(tmp_path: Path) -> None:
    message = await refusal(Secrets(tmp_path, {}, secrets_dir=tmp_path / "none"), QUITO)
    assert message == (
        f"the secret acme-quito is not there, because there is no folder {tmp_path}/none: "
        'name it by --secrets-dir, or by "secrets_dir" in "defaults"'
    )


async def test_without_being_told_it_is_dockers_folder() -> None:
    assert str(Secrets(Path(), {}).secrets_dir) == "/run/secrets"


async def test_a_name_that_looks_like_a_token_is_never_proposed(secrets: Secrets, volume: Volume) -> None:
    (volume.folder / TEXT).write_text("")
    message = await refusal(secrets, SecretReference(f"{TEXT[:-1]}0"))
    assert TEXT not in message


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o444])
async def test_secrets_that_everybody_may_read_are_remembered(secrets: Secrets, volume: Volume, mode: int) -> None:
    volume.show({"acme-quito": TEXT}, mode)
    await secrets.resolve(QUITO)
    assert secrets.exposed == ((QUITO,) if mode == 0o444 else ())


async def test_the_file_behind_a_reference_can_be_told(secrets: Secrets, tmp_path: Path) -> None:
    assert secrets.path_of(QUITO) == tmp_path / "secrets" / "acme-quito"
    assert secrets.path_of(FileReference("x/y")) == tmp_path / "x" / "y"
