"""Bodies of requests that come compressed (`Content-Encoding`), made plain within their bound.

    Content-Encoding = "gzip" / "x-gzip" / "zstd" / "identity"          ; one of them

A small body can stand for gigabytes. What comes out of one is counted while it comes, and may be as
much as the same body could have been had it come plain.
"""

import asyncio
import zlib
from typing import Final

from kafkalite.model.compression import Compression
from kafkalite.model.errors import (
    CorruptMessageError,
    InvalidRequestError,
    MessageTooLargeError,
    RequestTooLargeError,
    UnsupportedMediaTypeError,
)
from kafkalite.wire.batch import Buffer
from kafkalite.wire.compression import decompress

HEADER: Final = b"content-encoding"
TAKEN: Final = "gzip, zstd"
"""As `Accept-Encoding` says it."""

_CODECS: Final = {
    "": Compression.NONE,
    "identity": Compression.NONE,
    "gzip": Compression.GZIP,
    "x-gzip": Compression.GZIP,
    "zstd": Compression.ZSTD,
}
_ON_LOOP_BYTES: Final = 64 << 10
"""As much goes into a codec on the loop, and comes out; a larger body is read in a thread."""
_PIECE_BYTES: Final = 64 << 10
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


def codec_of(content_encoding: str) -> Compression:
    """What a Content-Encoding header means; an empty one means that the body is plain.

    Raises:
        UnsupportedMediaTypeError: none of ours, or several of them one upon the other.
    """
    codec = _CODECS.get(content_encoding.strip().lower())
    if codec is None:
        raise UnsupportedMediaTypeError(
            f"Cannot read a body of Content-Encoding {content_encoding[:100]!r}; send it plain, or "
            f"as one of {TAKEN}",
            accept_encoding=TAKEN,
        )
    return codec


async def decoded(codec: Compression, body: Buffer, limit: int) -> Buffer:
    """The plain body; much of it comes out in a thread.

    Raises:
        RequestTooLargeError: it has more than `limit` bytes.
        InvalidRequestError: `body` is not what the codec writes, or is cut off.
    """
    try:
        if len(body) <= _ON_LOOP_BYTES:  # nothing may come out of megabytes, and take long
            try:
                return decompress(codec, body, min(limit, _ON_LOOP_BYTES))
            except MessageTooLargeError:
                if limit <= _ON_LOOP_BYTES:
                    raise
        return await asyncio.to_thread(decompress, codec, body, limit)
    except MessageTooLargeError as error:
        raise RequestTooLargeError(
            f"The body is larger than the {limit} bytes that this path takes, once it is no longer "
            "compressed; send less at a time"
        ) from error
    except CorruptMessageError as error:
        raise _corrupt(codec) from error


def _corrupt(codec: Compression) -> InvalidRequestError:
    return InvalidRequestError(f"The body is not whole {codec.name.lower()}, as it says it is")


class GzipPieces:
    """A gzip body made plain piece by piece, while it comes. Used by one task.

    Zstandard has no such thing here: its frames are read whole (see `wire/compression.py`).
    """

    def __init__(self) -> None:
        self._inflating = zlib.decompressobj(_GZIP_WINDOW)
        self._left = b""
        """Of what came: not looked at yet."""
        self._is_full = False
        """Whether the last piece was as large as one may be: more may come out of what came."""
        self._is_begun = False
        """Whether the member that is read is not at its beginning."""

    def feed(self, data: bytes) -> None:
        """Take more of the body; once `next_piece` has given all that there was."""
        self._left += data

    def next_piece(self) -> bytes:
        """The next _PIECE_BYTES at most of the plain body; empty: more of the other is needed.

        Raises:
            InvalidRequestError: it is not gzip.
        """
        while self._left or self._is_full:
            inflating = self._inflating
            try:
                piece = inflating.decompress(self._left, _PIECE_BYTES)
            except zlib.error as error:
                raise _corrupt(Compression.GZIP) from error
            self._is_begun = True
            self._is_full = len(piece) == _PIECE_BYTES
            self._left = inflating.unconsumed_tail
            if inflating.eof:  # another member may follow
                self._left = inflating.unused_data
                self._inflating = zlib.decompressobj(_GZIP_WINDOW)
                self._is_begun = self._is_full = False
            if piece:
                return piece
        return b""

    def end(self) -> None:
        """The body has ended.

        Raises:
            InvalidRequestError: in the middle.
        """
        if self._is_begun:
            raise _corrupt(Compression.GZIP)


def piece_decoder(content_encoding: str) -> GzipPieces | None:
    """What makes a body plain that is taken while it comes; None where it is plain.

    Raises:
        UnsupportedMediaTypeError: it is none that can be.
    """
    codec = codec_of(content_encoding)
    if codec is Compression.ZSTD:
        raise UnsupportedMediaTypeError(
            "Cannot read a body of Content-Encoding zstd while it comes; send it plain, or as gzip",
            accept_encoding="gzip",
        )
    return None if codec is Compression.NONE else GzipPieces()
