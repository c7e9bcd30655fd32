"""Content codings, and bodies that are small packed and huge unpacked. Pure."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from typing import Final, Literal, assert_never

from .faults import Coding

# Imported at start: a codec that is first needed when descriptors have run out cannot be loaded.
if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_BLOCK: Final = 1_048_576
_GZIP: Final = 31
_OPENING: Final = b'{"code":200,"error":null,"msg":"'
_CLOSING: Final = b'","data":[]}'


def pack(body: bytes, coding: Coding) -> bytes:
    """Return `body` in that content coding."""
    match coding:
        case "gzip":
            packer = zlib.compressobj(wbits=_GZIP)
            return packer.compress(body) + packer.flush()
        case "deflate":
            return zlib.compress(body)
        case "zstd":
            return zstd.compress(body)
        case _ as never:
            assert_never(never)


def bomb(coding: Literal["gzip", "zstd"], size: int) -> Iterator[bytes]:
    """Yield the packed pieces of an envelope whose `msg` is at least `size` zeros."""
    blocks = -(-size // _BLOCK)
    return _gzip_bomb(blocks) if coding == "gzip" else _zstd_bomb(blocks)


def _gzip_bomb(blocks: int) -> Iterator[bytes]:
    # A block that was flushed in full depends on nothing before it, so one is packed and repeated.
    zeros = b"0" * _BLOCK
    packer = zlib.compressobj(level=9, wbits=-15)
    opening = packer.compress(_OPENING) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    yield b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" + opening
    check = zlib.crc32(_OPENING)
    for _ in range(blocks):
        check = zlib.crc32(zeros, check)
        yield block
    length = len(_OPENING) + blocks * _BLOCK + len(_CLOSING)
    ending = (zlib.crc32(_CLOSING, check), length & 0xFFFFFFFF)
    yield packer.compress(_CLOSING) + packer.flush() + b"".join(n.to_bytes(4, "little") for n in ending)


def _zstd_bomb(blocks: int) -> Iterator[bytes]:
    packer = zstd.ZstdCompressor()
    zeros = b"0" * _BLOCK
    for piece in (_OPENING, *([zeros] * blocks), _CLOSING):
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()
