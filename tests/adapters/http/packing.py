"""How bodies are packed, by the name of the encoding."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable
from functools import partial
from typing import Final

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACKERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": partial(gzip.compress, compresslevel=1),
    "deflate": zlib.compress,
    "br": partial(brotli.compress, quality=1),
    "zstd": zstd.compress,
}


def raw_deflate(data: bytes) -> bytes:
    """Pack as servers do that leave out what the standard wraps round a deflated body."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def in_parts(pack: Callable[[bytes], bytes], data: bytes) -> bytes:
    """Pack in three parts, the middle one of which is empty."""
    return b"".join(pack(part) for part in (data[:10], b"", data[10:]))


def zstd_with_window(data: bytes, log: int) -> bytes:
    """Pack so that 2**`log` bytes of history are asked for."""
    packer = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: log})
    return packer.compress(data, mode=packer.FLUSH_BLOCK) + packer.flush()
