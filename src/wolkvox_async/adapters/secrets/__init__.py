"""Token references resolved: environment, files, secrets folder, commands, keyring, plug-ins.

A token's text is here for moments only, between where it was found and the `Token` that
never shows it. So no message quotes what was found, and no exception of anybody leaves
this package (theirs may hold it).
"""

from .bounds import Bounds
from .found import Resolution, Unresolved
from .plugins import GROUP, installed_plugins
from .resolver import Secrets

__all__ = ["GROUP", "Bounds", "Resolution", "Secrets", "Unresolved", "installed_plugins"]
