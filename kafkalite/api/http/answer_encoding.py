"""Answers in JSON or text, compressed where the client accepts that (`Accept-Encoding`).

Streams are not: what they say would wait within the codec. Nor are batches, which are compressed by
whoever made them.
"""

import asyncio
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

import cramjam

from kafkalite.api.data_plane.exchange import RawHeader, Send
from kafkalite.api.remembered import remembered
from kafkalite.model.compression import Compression
from kafkalite.wire.batch import Buffer

HEADER: Final = b"accept-encoding"

_NAMES: Final = {"zstd": Compression.ZSTD, "gzip": Compression.GZIP, "x-gzip": Compression.GZIP}
_BY_WORTH: Final = (Compression.ZSTD, Compression.GZIP)
"""The better ones first: among those that a client likes equally."""
_ENCODING_OF: Final = {Compression.ZSTD: b"zstd", Compression.GZIP: b"gzip"}
_ON_LOOP_BYTES: Final = 32 << 10
"""Larger parts are compressed in a thread."""
_GZIP_LEVEL: Final = 1
_ZSTD_LEVEL: Final = 3
_CACHED: Final = 256
_NO_BODY: Final = frozenset({204, 304})


@remembered(_CACHED)
def codec_for(accept_encoding: str) -> Compression:
    """The best codec that the client accepts; NONE: the answer goes as it is.

    The highest quality wins; an answer as it is is the worst one that is accepted.
    """
    qualities: dict[str, float] = {}
    for entry in accept_encoding.split(","):
        name, _, parameter = (part.strip().lower() for part in entry.partition(";"))
        qualities[name] = _quality(parameter)
    everything = qualities.get("*", 0.0)
    best, best_quality = Compression.NONE, qualities.get("identity", 0.0)
    for codec in reversed(_BY_WORTH):
        named = [
            qualities[name] for name, each in _NAMES.items() if each is codec and name in qualities
        ]
        quality = max(named, default=everything)
        if quality > 0 and quality >= best_quality:
            best, best_quality = codec, quality
    return best


def _quality(parameter: str) -> float:
    name, _, text = parameter.partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(text)
    except ValueError:
        return 0.0


class _Encoder(Protocol):
    """Takes what is to be sent, gives what may be sent already."""

    def add(self, part: Buffer) -> bytes: ...

    def end(self) -> bytes: ...


class _Gzip:
    def __init__(self) -> None:
        self._deflating = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)

    def add(self, part: Buffer) -> bytes:
        return self._deflating.compress(part)

    def end(self) -> bytes:
        return self._deflating.flush()


class _Zstd:
    def __init__(self) -> None:
        self._compressor = cramjam.zstd.Compressor(level=_ZSTD_LEVEL)

    def add(self, part: Buffer) -> bytes:
        if part:
            self._compressor.compress(part)
        return bytes(self._compressor.flush())

    def end(self) -> bytes:
        return bytes(self._compressor.finish())


_ENCODERS: Final[dict[Compression, Callable[[], _Encoder]]] = {
    Compression.GZIP: _Gzip,
    Compression.ZSTD: _Zstd,
}


class EncodedAnswer:
    """An ASGI `send` that compresses the answer if it is worth it. Of one request."""

    def __init__(self, send: Send, codec: Compression, min_bytes: int) -> None:
        """Assign only.

        Args:
            send: what really sends.
            codec: GZIP or ZSTD.
            min_bytes: of an answer that is worth it.
        """
        self._send = send
        self._codec = codec
        self._min_bytes = min_bytes
        self._encoder: _Encoder | None = None
        self._start: Any = None
        """The answer's beginning, which waits for the first part of the body."""

    async def __call__(self, message: Any) -> None:  # noqa: ANN401 - ASGI's messages
        """Send a message, in another form perhaps."""
        if message["type"] == "http.response.start":
            if self._is_worth_it(message["status"], message["headers"]):
                self._start = message
                self._encoder = _ENCODERS[self._codec]()
            else:
                await self._send(message)
        elif self._encoder is None:
            await self._send(message)
        else:
            await self._send_encoded(
                self._encoder, message.get("body", b""), more=message.get("more_body", False)
            )

    async def _send_encoded(self, encoder: _Encoder, part: Buffer, *, more: bool) -> None:
        if len(part) > _ON_LOOP_BYTES:
            encoded = await asyncio.to_thread(_encode, encoder, part, more)
        else:
            encoded = _encode(encoder, part, more)
        if self._start is not None:
            start, self._start = self._start, None
            length = None if more else len(encoded)
            await self._send({**start, "headers": self._headers(start["headers"], length)})
        if encoded or not more:
            await self._send({"type": "http.response.body", "body": encoded, "more_body": more})

    def _is_worth_it(self, status: int, headers: list[RawHeader]) -> bool:
        length = 0
        is_text = False
        for name, text in headers:
            match name:
                case b"content-length":
                    length = int(text)
                case b"content-type":
                    is_text = _is_text(text)
                case b"content-encoding":
                    return False
        return is_text and length >= self._min_bytes and status not in _NO_BODY

    def _headers(self, headers: list[RawHeader], length: int | None) -> list[RawHeader]:
        kept = [header for header in headers if header[0] != b"content-length"]
        kept += [(b"content-encoding", _ENCODING_OF[self._codec]), (b"vary", b"Accept-Encoding")]
        if length is not None:
            kept.append((b"content-length", b"%d" % length))
        return kept


def _encode(encoder: _Encoder, part: Buffer, more: bool) -> bytes:
    encoded = encoder.add(part)
    return encoded if more else encoded + encoder.end()


@remembered(_CACHED)
def _is_text(content_type: bytes) -> bool:
    name = content_type.partition(b";")[0].strip().lower()
    if name in {b"application/json", b"application/x-ndjson"} or name.endswith(b"+json"):
        return True
    return name.startswith(b"text/") and name != b"text/event-stream"
