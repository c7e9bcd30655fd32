"""Content encodings, decoded piece by piece, so that a bomb is seen before it goes off.

Codecs are imported with the module: importing one in the middle of a run fails when
file descriptors have run out.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from itertools import accumulate
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from wolkvox_async.model import Token

try:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    from backports import zstd

try:
    import brotli  # type: ignore[import-untyped,unused-ignore]
except ImportError:
    brotli = None

PIECE: Final = 65_536

# Each part costs a decoder, so very many would stop the event loop.
_MOST_PARTS: Final = 100
_TOO_SHORT: Final = "the compressed body ends too early"
_TOO_MANY_PARTS: Final = f"the compressed body has more than {_MOST_PARTS} parts"

# RFC 9659: a zstd body on the web needs no more than 8 MiB of history; others ask for gigabytes.
_ZSTD_WINDOW_LOG: Final = 23

Pieces: TypeAlias = Iterator[bytes]


class BodyError(Exception):
    """The body is not what its `Content-Encoding` says; the text is for people."""


class _Raw:
    """A body as it came, handed out in slices, because codecs copy what they do not use up."""

    __slots__ = ("_at", "_view")

    def __init__(self, body: bytes) -> None:
        self._view: Final = memoryview(body)
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._view)

    def peek(self, size: int) -> bytes:
        return bytes(self._view[self._at : self._at + size])

    def slice(self) -> memoryview:
        """Return the next slice; at the end an empty one."""
        taken = self._view[self._at : self._at + PIECE]
        self._at += len(taken)
        return taken

    def put_back(self, unused: bytes) -> None:
        """Say that the end of the last slice was not used."""
        self._at -= len(unused)


def _plain(raw: _Raw) -> Pieces:
    while raw:
        yield raw.slice().tobytes()


def _gzip(raw: _Raw) -> Pieces:
    for _ in range(_MOST_PARTS):
        if not raw:
            return
        yield from _inflate(zlib.decompressobj(wbits=31), raw)
    if raw:
        raise BodyError(_TOO_MANY_PARTS)


def _deflate(raw: _Raw) -> Pieces:
    # Servers send either the zlib format that the standard asks for or a bare stream.
    begin = raw.peek(2)
    is_zlib = len(begin) > 1 and begin[0] & 0x0F == 8 and (begin[0] << 8 | begin[1]) % 31 == 0
    yield from _inflate(zlib.decompressobj(wbits=15 if is_zlib else -15), raw)
    if raw:
        raise BodyError("bytes follow the compressed body")


def _inflate(inflater: Any, raw: _Raw) -> Pieces:
    while not inflater.eof:
        data = inflater.unconsumed_tail or raw.slice()
        piece = inflater.decompress(data, PIECE)
        if not piece and not data and not inflater.eof:
            raise BodyError(_TOO_SHORT)
        yield piece
    raw.put_back(inflater.unused_data)


def _zstd(raw: _Raw) -> Pieces:
    for _ in range(_MOST_PARTS):
        if not raw:
            return
        decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})
        while not decoder.eof:
            if decoder.needs_input and not raw:
                raise BodyError(_TOO_SHORT)
            yield decoder.decompress(raw.slice() if decoder.needs_input else b"", PIECE)
        raw.put_back(decoder.unused_data)
    if raw:
        raise BodyError(_TOO_MANY_PARTS)


def _brotli(raw: _Raw) -> Pieces:
    decoder = brotli.Decompressor()
    while not decoder.is_finished():
        accepts = decoder.can_accept_more_data()
        data = raw.slice() if accepts else b""
        piece = decoder.process(data, output_buffer_limit=PIECE)
        is_stuck = not piece and not data and (accepts or not decoder.can_accept_more_data())
        if is_stuck and not decoder.is_finished():
            raise BodyError(_TOO_SHORT)
        yield piece
    if raw:
        raise BodyError("bytes follow the compressed body")


_ALWAYS: Final[Mapping[str, Callable[[_Raw], Pieces]]] = {
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
        yield from decoder(_Raw(raw))
    except _CODEC_ERRORS:
        damaged = True
    else:
        damaged = False
    if damaged:
        raise BodyError(f"the body is not valid {name}")


def fits(raw: bytes, encoding: str, *, most: int) -> bool:
    """Tell whether the decoded body has at most `most` bytes, keeping none of it. Raises `BodyError`."""
    if is_plain(encoding):
        return len(raw) <= most
    return all(size <= most for size in accumulate(map(len, pieces(raw, encoding))))


def decoded(raw: bytes, encoding: str, *, most: int) -> bytes | None:
    """Return the decoded body; None when it is larger than `most` bytes. Raises `BodyError`."""
    if is_plain(encoding):
        return raw if len(raw) <= most else None
    whole = BytesIO()  # gives away what it has collected without a copy
    for piece in pieces(raw, encoding):
        if whole.tell() + len(piece) > most:
            return None
        whole.write(piece)
    return whole.getvalue()


def is_plain(encoding: str) -> bool:
    """Tell whether the encoding is none at all."""
    return not encoding or _DECODERS.get(encoding.strip().lower()) is _plain


def shown(header: str, token: Token) -> str:
    """Return a header of an answer as it may be shown: text throughout, and without the token."""
    return token.redact(header.encode("utf-8", "surrogateescape")).decode("utf-8", "replace") if header else ""
