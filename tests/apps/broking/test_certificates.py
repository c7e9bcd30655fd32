"""Files of TLS that will not do are said by their options, before a server meets them."""

from pathlib import Path

import pytest
import trustme

from wolkvox_async.apps.broking.certificates import complaints
from wolkvox_async.apps.broking.config import Tls


@pytest.fixture
def sound(tmp_path: Path) -> Tls:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    cert, key, ca = (str(tmp_path / name) for name in ("cert.pem", "key.pem", "ca.pem"))
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    return Tls(cert, key, ca)


def test_nothing_is_wrong_with_sound_files_or_with_none(sound: Tls) -> None:
    assert [*complaints(sound), *complaints(Tls())] == []


def test_every_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    missing = Tls(*(str(tmp_path / name) for name in "abc"))
    said = list(complaints(missing))
    assert [line.split()[0] for line in said] == ["--tls-cert", "--tls-key", "--tls-ca"]
    assert all("cannot be read" in line for line in said)


def test_a_key_of_another_certificate_is_said(sound: Tls, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(str(other))
    (said,) = complaints(Tls(sound.cert, str(other)))
    assert "do not go together" in said


def test_an_authority_that_is_none_is_said(sound: Tls) -> None:
    (said,) = complaints(Tls(sound.cert, sound.key, sound.key))
    assert "--tls-ca" in said
