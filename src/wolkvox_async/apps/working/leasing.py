"""What a share needs of its worker's state unchanged: leases, and what is known of tokens."""

from __future__ import annotations

from typing import Final

from wolkvox_async.ports import State


class OwnTokens:
    """Everything of `state` that is about tokens and servers, without a step in between: it is asked at every call.

    What answers call operations is compared among this worker's tokens; they alone share its connections.
    """

    def __init__(self, state: State) -> None:
        self.claim: Final = state.claim
        self.want: Final = state.want
        self.is_wanted: Final = state.is_wanted
        self.begin: Final = state.begin
        self.end: Final = state.end
        self.release: Final = state.release
        self.look: Final = state.look
        self.since: Final = state.since
        self.arm: Final = state.arm
        self.disarm: Final = state.disarm
        self.refusal: Final = state.refusal
        self.refuse: Final = state.refuse
        self.forgive: Final = state.forgive
        self.names: Final = state.names
        self.is_anothers: Final = state.is_anothers
        self.name: Final = state.name
        self.note_servers: Final = state.note_servers
        self.last_slots: Final = state.last_slots
        self.note_slots: Final = state.note_slots
        self._state: Final = state
