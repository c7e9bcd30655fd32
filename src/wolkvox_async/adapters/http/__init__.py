"""HTTP, as a client: the only place that talks it, and the only client use of aiohttp."""

from .parts import misfit
from .settings import HttpSettings
from .transport import HttpTransport

__all__ = ["HttpSettings", "HttpTransport", "misfit"]
