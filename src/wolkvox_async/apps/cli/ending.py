"""How a run ends for the person who started it: what is said, and the exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wolkvox_async.apps.exits import Exit
from wolkvox_async.errors import ConfigurationError, StateError

from .speech import refuse, say

if TYPE_CHECKING:
    from wolkvox_async.apps.passing import Ending


def exit_code(run: Callable[[], Ending]) -> int:
    """Do `run`, say what is to be said of how it ended, and return the exit code."""
    try:
        ending = run()
    except StateError as error:
        say(str(error))
        return Exit.STATE
    except ConfigurationError as error:
        raise refuse(error.mistakes) from None
    if ending.message:
        say(ending.message)
    return int(ending.code)
