"""The store of many machines, over NATS JetStream; nothing else uses nats-py, the extra `cluster`.

`NatsStore` is loaded when it is asked for, because it takes nats-py. Asking for it raises
`ConfigurationError` where that is not installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wolkvox_async.errors import ConfigurationError

from .settings import NatsLogin, NatsSettings

if TYPE_CHECKING:
    from .store import NatsStore

__all__ = ["NatsLogin", "NatsSettings", "NatsStore"]


def __getattr__(name: str) -> Any:
    if name != "NatsStore":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return import_module(".store", __name__).NatsStore
    except ModuleNotFoundError as error:
        if error.name != "nats":
            raise
    raise ConfigurationError(["several machines need the extra 'cluster': pip install 'wolkvox-async[cluster]'"])
