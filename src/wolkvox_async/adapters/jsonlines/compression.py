"""Records in zstd, so that what was written can be read at any moment and taken up again.

A frame stays open over many writes, and every write ends a block: a reader that unpacks the
file as it stands sees all of it. Later records are told by earlier ones: that packs writes of
800 bytes 7 times, at 6 us each, where a frame for each packs them twice, at 13 us (measured).

An open frame is ended by a last block without content, whoever opened it: so a frame
that a killed writer left is cut behind a block, gets that ending, and the next one follows.
Frames therefore have no checksum, which only their writer could know; the manifest has
one. They end after 16 MiB of records: so much of a file, and no more, has to be gone through
block by block when it was not ended.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from .counts import PIECE

try:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    from backports import zstd

LEVEL: Final = 3
FRAME: Final = 16 << 20
ENDING: Final = b"\x01\x00\x00"

BrokenError = zstd.ZstdError
"""What cannot be unpacked."""

# The magic number, then a descriptor that promises neither a size nor a checksum, then the window.
_BEGINNING: Final = b"\x28\xb5\x2f\xfd\x00"
_HEADER: Final = len(_BEGINNING) + 1
_BLOCK_HEADER: Final = 3
_ONE_BYTE_REPEATED: Final = 1


class Packer:
    """Packs what is written to a file, from where no frame is open."""

    __slots__ = ("_compressor", "_open")

    def __init__(self) -> None:
        self._compressor = zstd.ZstdCompressor(level=LEVEL)
        # How much stands in the open frame; 0: none is open.
        self._open = 0

    def pack(self, lines: bytes) -> bytes:
        """Return what is to be written for `lines`, which are not empty."""
        self._open += len(lines)
        packed: bytes = self._compressor.compress(lines, mode=zstd.ZstdCompressor.FLUSH_BLOCK)
        return packed if self._open < FRAME else packed + self.end()

    def end(self) -> bytes:
        """Return what is to be written so that no frame is open."""
        if not self._open:
            return b""
        self._open = 0
        ending: bytes = self._compressor.flush(mode=zstd.ZstdCompressor.FLUSH_FRAME)
        return ending


def frames(descriptor: int, end: int) -> Iterator[tuple[bytes, int | None]]:
    """Unpack a file up to `end`: yield text, and behind the last one of a frame where that frame ends.

    Raises `BrokenError` where it is none; what is missing at its end is not complained about.
    """
    decoder, read, packed = zstd.ZstdDecompressor(), 0, b""
    while packed or read < end or not decoder.needs_input:
        if not packed and decoder.needs_input:
            packed = os.pread(descriptor, min(PIECE, end - read), read)
            if not packed:
                return
            read += len(packed)
        text = decoder.decompress(packed, PIECE)
        packed = decoder.unused_data if decoder.eof else b""
        yield text, read - len(packed) if decoder.eof else None
        if decoder.eof:
            decoder = zstd.ZstdDecompressor()


def blocks(packed: bytes) -> Iterator[tuple[bytes, int | None]]:
    """Unpack a frame that was not ended: yield the text of each block, and where that block ends.

    Last comes what can be had of a block that was cut off, which has no end. Raises `BrokenError`
    where it is not one of our frames.
    """
    if not (packed.startswith(_BEGINNING) or _BEGINNING.startswith(packed)):
        raise BrokenError("not a frame that this program began")
    decoder, start = zstd.ZstdDecompressor(), _HEADER
    decoder.decompress(packed[:_HEADER])
    while (end := start + _block_size(packed, start)) <= len(packed):
        yield decoder.decompress(packed[start:end]), end
        start = end
    yield decoder.decompress(packed[start:]), None


def _block_size(packed: bytes, start: int) -> int:
    """Return how long the block at `start` is, its header included; where that is cut off, more than there is."""
    header = packed[start : start + _BLOCK_HEADER]
    if len(header) < _BLOCK_HEADER:
        return _BLOCK_HEADER
    number = int.from_bytes(header, "little")
    kind, size = number >> 1 & 3, number >> 3
    return _BLOCK_HEADER + (1 if kind == _ONE_BYTE_REPEATED else size)
