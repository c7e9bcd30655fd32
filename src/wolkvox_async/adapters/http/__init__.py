"""HTTP, as a client: the only place that talks it, and the only client use of aiohttp."""

from .transport import HttpSettings, HttpTransport

__all__ = ["HttpSettings", "HttpTransport"]
