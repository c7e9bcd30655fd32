"""Where the lab gets into the program: functions by their dotted names, `module:name`.

A name that is gone shows at once: the saboteur cannot be started, and its scenario fails.
"""

from __future__ import annotations

from typing import Final

BEFORE_REQUEST: Final = "wolkvox_async.adapters.http.transport:HttpTurn.attempt"
"""Called before anything of a request is sent."""

AFTER_WRITE: Final = "wolkvox_async.adapters.jsonlines.output:JsonLines.write"
"""Returns when the output has the records, before the state knows of them."""

COMMIT: Final = "wolkvox_async.adapters.state.committer:Committer._commit"
"""Takes a group of settled calls into the database, and tells who waits for it."""
