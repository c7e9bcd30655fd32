"""What `check` does; apart from its options, because `--help` needs none of it."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

import click

from wolkvox_async.apps.exits import Exit
from wolkvox_async.apps.languages import translated
from wolkvox_async.errors import ConfigurationError, StateError
from wolkvox_async.planning import Subscription
from wolkvox_async.selection import without_dates
from wolkvox_async.settings.entries import Survey, Tenants
from wolkvox_async.settings.resolution import exposed_files, secrets_of, survey_tokens
from wolkvox_async.settings.tenants import survey_tenants
from wolkvox_async.settings.tokens import shared_tokens

from .options import Read
from .speech import refuse, say


def check(said: Read, *, probe: bool, of: str | None = None) -> int:
    """Say every mistake and raise, or say that there is none; return the exit code.

    `of` is the path of an operation, which alone is then probed.
    """
    survey = _survey(said)
    subscriptions = _judge(said, survey)
    operations = len(survey.tenants.entries)
    tenants = len({entry.tenant for entry in survey.tenants.entries})
    tokens = len({subscription.operation.token for subscription in subscriptions})
    right = "{file}: {tenants} tenants, {operations} operations, {tokens} tokens: no mistakes"
    counts = {"tenants": tenants, "operations": operations, "tokens": tokens}
    click.echo(translated(right, file=said.values["tenants"], **counts))
    return _probe(said, _only(survey.tenants, of)) if probe else Exit.OK


def _only(tenants: Tenants, path: str | None) -> Tenants:
    return tenants if path is None else replace(tenants, entries=tuple(e for e in tenants.entries if e.path == path))


def _survey(said: Read) -> Survey:
    try:
        return survey_tenants(
            said.values["tenants"], base_url=said.values.get("base_url"), secrets_dir=said.values["secrets_dir"]
        )
    except ConfigurationError as error:
        raise refuse([*said.mistakes, *error.mistakes], error.unlisted) from None


def _judge(said: Read, survey: Survey) -> list[Subscription]:
    secrets = secrets_of(survey.tenants)
    subscriptions, unresolved = asyncio.run(survey_tokens(survey.tenants, secrets))
    for warning in survey.tenants.warnings:
        say(f"{warning} (warning)")
    for message in exposed_files(secrets):
        say(f"{message} (warning)")
    for message in shared_tokens(subscription.operation for subscription in subscriptions):
        say(f"{said.values['tenants']}: {message} (warning)")
    for message in without_dates({id(entry.wanted): entry.wanted for entry in survey.tenants.entries}.values()):
        say(f"{said.values['tenants']}: {message} (warning)")
    mistakes = survey.mistakes + unresolved
    if mistakes or said.mistakes:
        raise refuse([*said.mistakes, *mistakes.listed], mistakes.unlisted)
    return subscriptions


def _probe(said: Read, tenants: Tenants) -> int:
    from wolkvox_async.apps import logs, probing  # noqa: PLC0415 - aiohttp and structlog, once they are needed

    logs.configure(said.values["log_format"], "error")
    if sys.stderr.isatty():
        waiting = "each token is used once; a server that is down is waited for up to {seconds} s"
        say(translated(waiting, seconds=f"{said.values['patience']:g}"))
    try:
        failures = asyncio.run(probing.probe(tenants, said.engine_with_state()))
    except StateError as error:
        say(str(error))
        return Exit.STATE
    for line in failures.lines:
        say(line)
    probed = "{tokens} tokens probed, {mistakes} with mistakes"
    click.echo(translated(probed, tokens=failures.probed, mistakes=len(failures.lines)))
    return Exit.SOME_FAILED if failures.lines else Exit.OK
