"""Content encodings, decoded piece by piece, so that a bomb is seen before it goes off.

Codecs are imported with the module: importing one in the middle of a run fails when
file descriptors have run out.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

try:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    from backports import zstd

try:
    import brotli  # type: ignore[import-untyped,unused-ignore]
except ImportError:
    brotli = None

PIECE: Final = 65_536

# Each part costs a copy of all that follows it, so very many would stop the event loop.
_MOST_PARTS: Final = 100
_TOO_MANY_PARTS: Final = f"the compressed body has more than {_MOST_PARTS} parts"

# RFC 9659: a zstd body on the web needs no more than 8 MiB of history; others ask for gigabytes.
_ZSTD_WINDOW_LOG: Final = 23

Pieces: TypeAlias = Iterator[bytes]


class BodyError(Exception):
    """The body is not what its `Content-Encoding` says; the text is for people."""


def _plain(raw: bytes) -> Pieces:
    yield raw


def _gzip(raw: bytes) -> Pieces:
    for _ in range(_MOST_PARTS):
        if not raw:
            return
        inflater = zlib.decompressobj(wbits=31)
        yield from _inflate(inflater, raw)
        raw = inflater.unused_data
    if raw:
        raise BodyError(_TOO_MANY_PARTS)


def _deflate(raw: bytes) -> Pieces:
    # Servers send either the zlib format that the standard asks for or a bare stream.
    is_zlib = len(raw) > 1 and raw[0] & 0x0F == 8 and (raw[0] << 8 | raw[1]) % 31 == 0
    inflater = zlib.decompressobj(wbits=15 if is_zlib else -15)
    yield from _inflate(inflater, raw)
    if inflater.unused_data:
        raise BodyError("bytes follow the compressed body")


def _inflate(inflater: Any, raw: bytes) -> Pieces:
    while not inflater.eof:
        piece = inflater.decompress(raw, PIECE)
        raw = inflater.unconsumed_tail
        if not piece and not raw and not inflater.eof:
            raise BodyError("the compressed body ends too early")
        yield piece


def _zstd(raw: bytes) -> Pieces:
    for _ in range(_MOST_PARTS):
        if not raw:
            return
        decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})
        while not decoder.eof:
            piece = decoder.decompress(raw, PIECE)
            raw = b""
            if not piece and not decoder.eof and decoder.needs_input:
                raise BodyError("the compressed body ends too early")
            yield piece
        raw = decoder.unused_data
    if raw:
        raise BodyError(_TOO_MANY_PARTS)


def _brotli(raw: bytes) -> Pieces:
    decoder = brotli.Decompressor()
    while not decoder.is_finished():
        piece = decoder.process(raw, output_buffer_limit=PIECE)
        raw = b""
        if not piece and not decoder.is_finished():
            raise BodyError("the compressed body ends too early")
        yield piece


_ALWAYS: Final[Mapping[str, Callable[[bytes], Pieces]]] = {
    "": _plain,
    "identity": _plain,
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
}
_DECODERS: Final = MappingProxyType(dict(_ALWAYS) if brotli is None else {**_ALWAYS, "br": _brotli})

ACCEPTED: Final = ", ".join(name for name in ("gzip", "deflate", "br", "zstd") if name in _DECODERS)

_CODEC_ERRORS: Final[tuple[type[Exception], ...]] = (
    (zlib.error, zstd.ZstdError) if brotli is None else (zlib.error, zstd.ZstdError, brotli.error)
)


def pieces(raw: bytes, encoding: str) -> Pieces:
    """Yield the decoded body in pieces; raises `BodyError` when it cannot be decoded."""
    name = encoding.strip().lower()
    decoder = _DECODERS.get(name)
    if decoder is None:
        raise BodyError(f"the answer's content encoding {name[:20]!r} was not asked for")
    try:
        yield from decoder(raw)
    except _CODEC_ERRORS:
        damaged = True
    else:
        damaged = False
    if damaged:
        raise BodyError(f"the body is not valid {name}")
