from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from tests.plugin_packages import install
from wolkvox_async.model import Operation, Token
from wolkvox_async.references import EnvReference, PluginReference, SecretReference, TokenReference
from wolkvox_async.settings.resolution import exposed_files, secrets_of, survey_tokens
from wolkvox_async.settings.schema import tenants_schema
from wolkvox_async.settings.tenants import load_tenants
from wolkvox_async.settings.tokens import shared_tokens

from .samples import TOKEN, messages_in, tenants
from .samples import operation as operation_of


def operation(tenant: str, name: str, token: str) -> Operation:
    return Operation(tenant, name, "0010", Token(token))


def test_a_token_of_two_entries_is_named_once_with_both_and_never_shown() -> None:
    operations = [operation("acme", "bogota", TOKEN), operation("acme", "quito", "other-token")]
    assert shared_tokens(operations) == []
    [message] = shared_tokens([*operations, operation("globex", "main", TOKEN)])
    assert message.startswith("acme/bogota, globex/main have the same token (tk_")
    assert TOKEN not in message


def test_of_many_entries_with_one_token_the_first_are_named() -> None:
    [message] = shared_tokens(operation("acme", f"o{n}", TOKEN) for n in range(300))
    assert message.startswith("acme/o0, acme/o1, acme/o2, acme/o3, acme/o4 and 295 more have the same token")


def test_every_shared_token_has_a_message_of_its_own() -> None:
    pairs = [operation("acme", f"o{n}", f"token-number-{n // 2}") for n in range(6)]
    assert len(shared_tokens(pairs)) == 3


# --- secrets and plug-ins -----------------------------------------------------------------


@pytest.fixture
def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the plug-ins `vendor-x` and (in vain) `env`, of a package that cannot be imported."""
    (tmp_path / "packages").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "packages")
    install(tmp_path / "packages", "unimportable", "raise SystemExit", points={"vendor-x": "f", "env": "f"})


def reference(token: object) -> TokenReference:
    (entry,) = load_tenants(tenants(operation_of(token=token))).entries
    return entry.reference


def test_a_secret_is_referred_to_by_its_name() -> None:
    assert reference({"secret": "acme-quito"}) == SecretReference("acme-quito")
    assert reference({"secret": "acme/quito.txt"}) == SecretReference("acme/quito.txt")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "the secret's name is empty"),
        ("../acme", "the secret's name '../acme' leads out of its folder"),
        ("/run/secrets/acme", "the secret's name '/run/secrets/acme' leads out of its folder"),
        ("..data/acme", "the secret's name '..data/acme' leads out of its folder"),
        ("acme//quito", "the secret's name 'acme//quito' leads out of its folder"),
        (TOKEN, "the secret's name is not shown, because it looks like a token itself"),
        (7, "secret must be text in double quotes, not a number"),
    ],
)
def test_a_secret_that_is_none_of_the_folder_is_a_mistake(name: object, message: str) -> None:
    [said] = messages_in(tenants(operation_of(token={"secret": name})))
    assert message in said
    assert TOKEN not in said


def test_the_folder_of_secrets_is_that_of_docker_or_the_files_or_the_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tenants(operation_of())
    assert load_tenants(document).secrets_dir == Path("/run/secrets")
    document["defaults"] = {"secrets_dir": "secrets"}
    assert load_tenants(document).secrets_dir == Path("secrets")
    monkeypatch.chdir(tmp_path)
    assert load_tenants(document, secrets_dir="mine").secrets_dir == tmp_path / "mine"


@pytest.mark.parametrize(
    ("folder", "message"),
    [("", "the path of the secrets folder is empty"), (7, "secrets_dir must be text"), ("a\nb", "cannot be printed")],
)
def test_a_folder_that_cannot_be_is_a_mistake(folder: object, message: str) -> None:
    [said] = messages_in({**tenants(operation_of()), "defaults": {"secrets_dir": folder}})
    assert message in said


@pytest.mark.usefixtures("vendor")
def test_a_plugin_is_referred_to_by_its_name_and_its_settings_are_not_shown() -> None:
    found = reference({"vendor-x": {"path": "acme", "key": TOKEN}})
    assert found == PluginReference("vendor-x", b'{"key":"%s","path":"acme"}' % TOKEN.encode())
    assert TOKEN not in repr(found)
    assert reference({"env": "ACME"}) == EnvReference("ACME"), "what is built in is not replaced"


@pytest.mark.usefixtures("vendor")
@pytest.mark.parametrize(
    ("token", "message"),
    [
        ({"vendr-x": {}}, "unknown key 'vendr-x': did you mean 'vendor-x'?"),
        ({"secrte": "acme"}, "unknown key 'secrte': did you mean 'secret'?"),
        ({"nothing": {}}, "the token's reference knows env, file, secret, command, keyring, vendor-x; no plug-in"),
        ({}, "a token's reference names one of env, file, secret, command, keyring, vendor-x"),
        ({"vendor-x": {}, "env": "A"}, "a token is found in one way: this names env and vendor-x"),
        ({"vendor-x": "acme"}, "what a plug-in is told must be an object in { }, not text"),
        ({"vendor-x": {"a": Token(TOKEN)}}, "what a plug-in is told is JSON of at most 65536 bytes"),
        ({"vendor-x": {"a": "x" * 70_000}}, "what a plug-in is told is JSON of at most 65536 bytes"),
        ({TOKEN: {}}, "unknown key (not shown: it looks like a token)"),
    ],
)
def test_a_reference_that_nobody_knows_is_a_mistake_that_says_what_may_be_meant(token: object, message: str) -> None:
    [said] = messages_in(tenants(operation_of(token=token)))
    assert message in said
    assert TOKEN not in said


@pytest.mark.usefixtures("vendor")
def test_the_schema_knows_secrets_and_the_plugins_that_are_installed() -> None:
    schema = tenants_schema()
    validator = jsonschema.Draft202012Validator(schema)

    def fits(token: object) -> bool:
        return bool(validator.is_valid({**tenants(operation_of(token=token)), "defaults": {"secrets_dir": "s"}}))

    assert fits({"secret": "acme-quito"})
    assert fits({"vendor-x": {"path": "acme"}})
    assert not fits({"vendor-x": "acme"})
    assert not fits({"vendor-y": {}})
    assert not fits({"secret": "a", "env": "A"})


def test_without_a_reference_to_a_plugin_nobody_looks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked() -> tuple[str, ...]:
        raise AssertionError("looked for plug-ins")

    monkeypatch.setattr("wolkvox_async.settings.tokens.installed_plugins", looked)
    assert reference({"env": "ACME"}) == EnvReference("ACME")
    with pytest.raises(AssertionError):
        reference({"other": "ACME"})


async def test_secrets_that_others_may_read_are_one_warning(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text(f"token-number-{name}")
        (tmp_path / name).chmod(0o444 if name != "three" else 0o400)
    operations = [{"name": name, "server": "0010", "token": {"secret": name}} for name in ("one", "two", "three")]
    found = load_tenants({"tenants": [{"name": "acme", "operations": operations}]}, secrets_dir=tmp_path)
    secrets = secrets_of(found)
    await survey_tokens(found, secrets)
    [warning] = exposed_files(secrets)
    assert warning.startswith(f"2 secrets in {tmp_path} may be read by every user of this machine: set mode 0400")
