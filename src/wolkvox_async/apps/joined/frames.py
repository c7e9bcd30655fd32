"""What a parent and a child say to each other; frames are those of `working.frames`.

    to the parent   parts [number, [[partition, token, size], ...]] + entries     calls and gaps that ended
                    run [number, run] + line                                      a record of the run as a whole
                    released [partition]                                          nothing of it goes on any more
                    seen [{counts}, able]                                         for people; able to reach the vendor
                    done [partitions, {counts}]                                   all calls of a run in them were made
                    ended [stopped, counts]                                       nothing more will come
                    broken [message], refused [mistakes]                          why it ends
    to a child      begin [partitions, seconds, longest, run, largest]            the terms, and a run of fetch
                    taken [partition, epoch, quarantine, [[token, size], ...]] + entries
                    learned [[partition, token, size]] + entry                    somebody else's record came in late
                    finish [partition], lost [partition]                          begin nothing more in it
                    stored [number]                                               so many parts are stored for everybody
                    stuck [token], moving [token]                                 the store is full, or not any more
                    run [done, complete]                                          what is done of it, by whomever
                    cluster {view}                                                for the page
                    stop, abandon, end                                            drain, give up, be done

What is known of a token travels as an entry of the stream, whose records are those of one call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from wolkvox_async.clustering.messages import Entry


def packed(entries: Iterable[tuple[Sequence[Any], Entry]]) -> tuple[list[list[Any]], bytes]:
    """Return labels, each with the size of its entry, and the entries one behind the other."""
    labels, tails = [], []
    for label, entry in entries:
        text = entry.encode()
        labels.append([*label, len(text)])
        tails.append(text)
    return labels, b"".join(tails)


def unpacked(labels: Iterable[Sequence[Any]], tail: bytes) -> Iterator[tuple[Sequence[Any], Entry]]:
    """Yield what was packed."""
    start = 0
    for *label, size in labels:
        yield label, Entry.decode(tail[start : start + size])
        start += size
