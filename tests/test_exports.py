"""The names that users import: sorted, all there, and free until they are used."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from types import ModuleType

import pytest

import wolkvox_async
import wolkvox_async.engine
import wolkvox_async.testing

HEAVY = ("aiohttp", "anyio", "structlog", "pydantic", "click", "rich", "orjson", "asyncio", "ssl")
LAZY = [wolkvox_async, wolkvox_async.testing]
PUBLIC = [*LAZY, wolkvox_async.engine]
WORD = re.compile(r"\b[A-Z]\w+")


def heavy_after(program: str) -> str:
    """Return which of the heavy modules a fresh interpreter has loaded after `program`."""
    told = f"{program}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return ended.stdout.strip()


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_public_names_are_sorted_and_there_is_no_name_twice(module: ModuleType) -> None:
    constants = [name for name in module.__all__ if name.isupper()]
    classes = [name for name in module.__all__ if name[0].isupper() and not name.isupper()]
    others = [name for name in module.__all__ if name not in {*constants, *classes}]
    assert module.__all__ == [*sorted(constants), *sorted(classes), *sorted(others)]
    assert len(set(module.__all__)) == len(module.__all__)


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_every_public_name_can_be_imported(module: ModuleType) -> None:
    assert [name for name in module.__all__ if getattr(module, name, None) is None] == []
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("module", LAZY, ids=lambda module: module.__name__)
def test_every_public_name_has_a_home_and_every_home_a_public_name(module: ModuleType) -> None:
    homes = {name: home for home, names in module._HOMES.items() for name in names.split()}
    assert set(homes) | {"__version__"} == set(module.__all__) | {"__version__"}
    for name, home in homes.items():
        assert getattr(importlib.import_module(f"{module.__name__}.{home}"), name) is getattr(module, name)


@pytest.mark.parametrize("module", LAZY, ids=lambda module: module.__name__)
def test_a_name_that_does_not_exist_is_an_attribute_error(module: ModuleType) -> None:
    with pytest.raises(AttributeError, match="open_engin'"):
        module.open_engin  # noqa: B018 - looking is what is tested
    assert not hasattr(module, "Engine,")


def test_a_part_of_a_home_is_no_name() -> None:
    assert not hasattr(wolkvox_async, "Catalog Endpoint")
    assert not hasattr(wolkvox_async, "")


@pytest.mark.parametrize("module", ["wolkvox_async", "wolkvox_async.testing"])
def test_importing_the_package_loads_nothing_heavy(module: str) -> None:
    assert heavy_after(f"import {module}") == ""


@pytest.mark.parametrize(
    "name", ["ConfigurationError", "DateRange", "ErrorKind", "Token", "Catalog", "Operation", "CallSettled", "Hook"]
)
def test_plain_values_cost_nothing_heavy(name: str) -> None:
    assert not {"aiohttp", "anyio", "structlog", "pydantic", "click", "rich", "ssl"} & set(
        heavy_after(f"from wolkvox_async import {name}").split()
    )


def test_reading_tenants_and_options_loads_no_network() -> None:
    operation = {"name": "bogota", "server": "0010", "token": {"env": "ACME_TOKEN"}}
    described = {"tenants": [{"name": "acme", "operations": [operation]}]}
    program = f"from wolkvox_async import load_tenants, Options; load_tenants({described!r}); Options()"
    assert not {"aiohttp", "structlog", "click", "rich"} & set(heavy_after(program).split())


def test_opening_an_engine_loads_what_it_needs_before_the_event_loop_runs() -> None:
    assert {"aiohttp", "anyio", "structlog"} <= set(heavy_after("from wolkvox_async import open_engine").split())


BROUGHT = ("Alarm", "Clock", "Hook", "SecretPlugin", "Sink", "TokenSource", "Transport", "Turn")


@pytest.mark.parametrize("name", BROUGHT)
def test_what_a_service_brings_along_is_written_in_public_names_only(name: str) -> None:
    port = getattr(wolkvox_async, name)
    methods = [method for method in vars(port).values() if inspect.isfunction(method) and "_Proto" not in str(method)]
    assert methods
    home = vars(sys.modules[port.__module__])
    named = {word for method in methods for kind in method.__annotations__.values() for word in WORD.findall(str(kind))}
    ours = {word for word in named if str(getattr(home.get(word), "__module__", "")).startswith("wolkvox_async")}
    assert ours <= set(wolkvox_async.__all__)


def test_the_version_is_a_literal() -> None:
    assert wolkvox_async.__version__.count(".") == 2
