"""What `check` does; apart from its options, because `--help` needs none of it."""

from __future__ import annotations

import asyncio

import click

from wolkvox_async.apps.exits import Exit
from wolkvox_async.errors import ConfigurationError, StateError
from wolkvox_async.planning import Subscription
from wolkvox_async.settings.entries import Survey
from wolkvox_async.settings.resolution import exposed_files, secrets_of, survey_tokens
from wolkvox_async.settings.tenants import survey_tenants
from wolkvox_async.settings.tokens import shared_tokens

from .options import Read
from .speech import refuse, say


def check(said: Read, *, probe: bool) -> int:
    """Say every mistake and raise, or say that there is none; return the exit code."""
    survey = _survey(said)
    subscriptions = _judge(said, survey)
    operations = len(survey.tenants.entries)
    tenants = len({entry.tenant for entry in survey.tenants.entries})
    tokens = len({subscription.operation.token for subscription in subscriptions})
    click.echo(f"{said.values['tenants']}: {tenants} tenants, {operations} operations, {tokens} tokens: no mistakes")
    return _probe(said, survey) if probe else Exit.OK


def _survey(said: Read) -> Survey:
    try:
        return survey_tenants(said.values["tenants"], base_url=said.values.get("base_url"))
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
    mistakes = survey.mistakes + unresolved
    if mistakes or said.mistakes:
        raise refuse([*said.mistakes, *mistakes.listed], mistakes.unlisted)
    return subscriptions


def _probe(said: Read, survey: Survey) -> int:
    from wolkvox_async.apps import logs, probing  # noqa: PLC0415 - aiohttp and structlog, once they are needed

    logs.configure(said.values["log_format"], "error")
    try:
        failures = asyncio.run(probing.probe(survey.tenants, said.engine_with_state()))
    except StateError as error:
        say(str(error))
        return Exit.STATE
    for line in failures.lines:
        say(line)
    click.echo(f"{failures.probed} tokens probed, {len(failures.lines)} with mistakes")
    return Exit.SOME_FAILED if failures.lines else Exit.OK
