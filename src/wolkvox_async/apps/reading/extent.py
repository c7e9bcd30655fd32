"""How far a stream goes: asked of a store that only tells what is behind a sequence.

`tail(n, 1)` has something exactly if the last sequence is above `n`. So we look ahead in growing
steps until there is nothing, and halve what is in between: some 40 short questions for a billion messages.
"""

from __future__ import annotations

from wolkvox_async.ports import Store


async def last_sequence(store: Store, after: int = 0) -> int:
    """Return the sequence of the last message, or `after` if nothing is behind that.

    Raises `StoreUnavailableError`.
    """
    known, step = after, 1
    while found := await store.tail(known + step - 1, 1):
        known, step = found[0].sequence, step * 2
    beyond = known + step  # nothing has this sequence or a higher one
    while beyond - known > 1:
        middle = (known + beyond) // 2
        if found := await store.tail(middle - 1, 1):
            known = found[0].sequence
        else:
            beyond = middle
    return known
