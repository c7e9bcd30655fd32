"""What `init` does; apart from its options, because `--help` needs none of it.

Everything is asked before anything is written, so that whoever breaks off leaves nothing behind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Final

import click

from wolkvox_async.apps import drafts
from wolkvox_async.apps.drafts import Draft
from wolkvox_async.apps.exits import Exit
from wolkvox_async.apps.languages import translated
from wolkvox_async.errors import ConfigurationError, Mistake
from wolkvox_async.model import normalise_server
from wolkvox_async.settings.options import DEFAULT_BASE_URL
from wolkvox_async.settings.servers import has_vendor_names
from wolkvox_async.settings.tenants import survey_tenants

from .checking import check
from .interview import Interview, Wanted, name_complaint, server_complaint
from .keyboard import Keyboard
from .options import TENANTS, Read
from .speech import Refused, refuse, say
from .whereabouts import WAYS, reference

_PROGRAM: Final = "wolkvox-async"
_PATIENCE: Final = 10.0  # seconds that a person waits for a server that may be misspelled
_EXAMPLE: Final = f"{_PROGRAM} init --name acme --server 0010 --operation bogota --token-env ACME_BOGOTA_TOKEN --yes"


@dataclass(frozen=True, slots=True)
class Order:
    """What the command line says; `probe` None: ask."""

    said: Read
    add: bool
    probe: bool | None
    yes: bool
    can_ask: bool


def begin(order: Order) -> int:
    """Ask, write, check, say what to type next; return the exit code."""
    try:
        with ExitStack() as asking:
            interview = Interview(asking.enter_context(Keyboard())) if order.can_ask else None
            draft, path, adds = _drafted(order, interview)
            probes = interview.agrees(_probe_question(draft)) if interview and order.probe is None else order.probe
    except (KeyboardInterrupt, EOFError):
        say(translated("broken off: nothing was written"))
        return Exit.INTERRUPTED
    try:
        (drafts.extend if adds else drafts.create)(path, draft)
    except ConfigurationError as error:
        raise refuse(error.mistakes) from None
    _tell(draft, path)
    order.said.values.update(tenants=str(path), patience=_PATIENCE)
    return _checked(order, draft, probes=probes is not False)


def _drafted(order: Order, interview: Interview | None) -> tuple[Draft, Path, bool]:
    """Return what is to be written, where, and whether that is an addition; says what is wrong, and raises."""
    path = Path(order.said.values["tenants"])
    adds = os.path.lexists(path)
    if adds and not order.add and interview:
        path = interview.file(path)
        adds = os.path.lexists(path)
    if not path.parent.is_dir():
        order.said.mistakes.append(Mistake("there is no such folder", str(path.parent)))
    wanted = _wanted(order, path, taken=_taken(path) if adds else frozenset())
    mistakes = [*order.said.mistakes, *_mistakes(wanted, order)]
    if adds and not order.add and not interview:
        mistakes.append(Mistake("this is there already: --add adds to it, --tenants names another file", str(path)))
    if interview is None:
        mistakes += _missing(wanted, order)
    if mistakes:
        raise refuse(mistakes)
    if interview is not None:
        return interview.draft(wanted), path, adds
    operation = wanted.operation or "main"
    return Draft(wanted.name or "", operation, normalise_server(wanted.server or ""), wanted.token or {}), path, adds


def _taken(path: Path) -> frozenset[str]:
    """Return the operations of a tenants file that is to be added to; says all its mistakes and raises."""
    try:
        found = survey_tenants(path)
        if found.mistakes:
            raise found.mistakes.error()
    except ConfigurationError as error:
        raise refuse(error.mistakes, error.unlisted) from None
    return frozenset(entry.path for entry in found.tenants.entries)


def _wanted(order: Order, path: Path, taken: frozenset[str]) -> Wanted:
    values = order.said.values
    name, server, operation = values["name"], values["server"], values["operation"]
    named = [(way, values[f"token_{way.key}"]) for way in WAYS if values[f"token_{way.key}"] is not None]
    token: dict[str, Any] | None = None
    if len(named) == 1:
        token, wrong = reference(*named[0])
        if wrong:
            order.said.mistakes.append(Mistake(f"--token-{named[0][0].key}: {wrong}"))
    elif named:
        names = " and ".join(f"--token-{way.key}" for way, _ in named)
        order.said.mistakes.append(Mistake(f"a token is found in one way: {names} name {len(named)}"))
    four_digits = has_vendor_names(values["base_url"] or DEFAULT_BASE_URL)
    return Wanted(path, name, server, operation, token, taken, four_digits)


def _mistakes(wanted: Wanted, order: Order) -> Iterator[Mistake]:
    """Yield what is wrong with what the options say."""
    for option, name in (("--name", wanted.name), ("--operation", wanted.operation)):
        if name is not None and (problem := name_complaint(name)):
            yield Mistake(f"{option}: {problem}")
    if wanted.server is not None and (problem := server_complaint(wanted.server, four_digits=wanted.four_digits)):
        yield Mistake(f"--server: {problem}")
    operation = wanted.operation or (None if order.can_ask else "main")
    if wanted.name and operation and f"{wanted.name}/{operation}" in wanted.taken:
        yield Mistake(f"{wanted.name}/{operation} is in the file already", str(wanted.tenants))


def _missing(wanted: Wanted, order: Order) -> Iterator[Mistake]:
    """Say which options are missing where nobody can be asked."""
    ways = ", ".join(f"--token-{way.key}" for way in WAYS)
    has_way = any(order.said.values[f"token_{way.key}"] is not None for way in WAYS)
    there = {"--name": wanted.name, "--server": wanted.server, f"one of {ways}": has_way, "--yes": order.yes}
    if missing := [option for option, value in there.items() if not value]:
        yield Mistake(f"nobody is asked (no terminal, or --yes), and these are missing: {'; '.join(missing)}")
        yield Mistake(f"for example: {_EXAMPLE}")


# --- what is told -----------------------------------------------------------------------------


def _probe_question(draft: Draft) -> str:
    question = translated(
        "Make one call to server {server} now, to see whether the token is taken?", server=draft.server
    )
    variable = draft.token.get("env")
    if variable is not None and variable not in os.environ:
        unset = translated("(The environment variable {name} is not set yet: the call comes later.)", name=variable)
        say(unset)
    return question


def _tell(draft: Draft, path: Path) -> None:
    if draft.secret is not None:
        click.echo(translated("the token is in {file}, mode 0600", file=path.parent / draft.token["file"]))
    click.echo(translated("{path} is in {file}", path=draft.path, file=path))


def _checked(order: Order, draft: Draft, *, probes: bool) -> int:
    options = _options(order)
    try:
        code = check(order.said, probe=probes, of=draft.path)
    except Refused:
        click.echo(translated("put that right, then type:"))
        variable = draft.token.get("env")
        if variable is not None and variable not in os.environ:
            _show(f"read -rs {variable} && export {variable}", "paste the token: it is not shown")
        _show(f"{_PROGRAM} check --probe{options}", "whether the token is found, and the vendor takes it")
        raise
    click.echo(translated("next, type:") if code == Exit.OK else translated("put that right, then type:"))
    if code != Exit.OK:
        _show(f"{_PROGRAM} check --probe{options}", "whether the vendor takes the token")
        return code
    _show(f"{_PROGRAM} plan{options}", "what would be called, and how long it takes")
    _show(f"{_PROGRAM} fetch{options} --output usage.jsonl", "read the consumption once")
    _show(f"{_PROGRAM} report usage.jsonl", "a page of what was read")
    _show(f"{_PROGRAM} watch{options} --output 'usage-{{date}}.jsonl.zst'", "or go on reading, every five minutes")
    return code


def _show(typed: str, why: str) -> None:
    click.echo(f"  {typed}")
    click.echo(f"      {translated(why)}")


def _options(order: Order) -> str:
    """Return the options that the next commands need as this one did."""
    values = order.said.values
    named = {"tenants": TENANTS.default, "base_url": DEFAULT_BASE_URL, "secrets_dir": None, "state": None}
    told = {name: values[name] for name, usual in named.items() if values[name] not in (usual, None)}
    return "".join(f" --{name.replace('_', '-')} {quote(str(value))}" for name, value in told.items())
