"""Compressed bodies are made plain, and never larger than plain ones may be."""

import asyncio
import gzip
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from kafkalite.api.data_plane.exchange import Exchange
from kafkalite.api.http import content_encoding
from kafkalite.api.http.content_encoding import GzipPieces, codec_of, decoded, piece_decoder
from kafkalite.model.compression import Compression
from kafkalite.model.errors import (
    InvalidRequestError,
    RequestTooLargeError,
    UnsupportedMediaTypeError,
)
from kafkalite.wire.batch import Buffer
from kafkalite.wire.compression import compress, decompress

_SIZES = [0, 1, 65_535, 65_536, 65_537, 300_000]


def _text(size: int) -> bytes:
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


def _exchange(parts: Sequence[bytes], encoding: str) -> Exchange:
    messages = [
        {"type": "http.request", "body": part, "more_body": index < len(parts) - 1}
        for index, part in enumerate(parts)
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(_: object) -> None:
        raise AssertionError("nothing is to be sent")

    headers = [(b"content-encoding", encoding.encode())]
    return Exchange({"headers": headers}, receive, send)


@pytest.mark.parametrize("name", ["gzip", "GZIP ", "x-gzip", "zstd", "identity", ""])
@pytest.mark.parametrize("size", _SIZES)
def test_body_is_read_as_it_was(name: str, size: int) -> None:
    body = compress(codec_of(name), _text(size))
    exchange = _exchange([body], name)
    assert asyncio.run(exchange.read_body(300_000)) == _text(size)


@pytest.mark.parametrize("name", ["br", "deflate", "gzip, gzip", "gzip, zstd", "x" * 300])
def test_encoding_that_we_do_not_know_is_refused_with_those_that_we_do(name: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError) as caught:
        asyncio.run(_exchange([b"x"], name).read_body(10))
    assert caught.value.extra["accept_encoding"] == "gzip, zstd"
    with pytest.raises(UnsupportedMediaTypeError):
        piece_decoder(name)


@pytest.mark.parametrize("codec", [Compression.GZIP, Compression.ZSTD])
@pytest.mark.parametrize("limit", [10, 65_536, 100_000])
def test_bomb_is_refused_at_the_bound_of_plain_bodies(codec: Compression, limit: int) -> None:
    bomb = compress(codec, bytes(50_000_000))
    assert len(bomb) < 300_000
    with pytest.raises(RequestTooLargeError, match="once it is no longer compressed"):
        asyncio.run(decoded(codec, bomb, limit))
    at_the_bound = compress(codec, bytes(limit))
    assert len(asyncio.run(decoded(codec, at_the_bound, limit))) == limit


@pytest.mark.parametrize("codec", [Compression.GZIP, Compression.ZSTD])
@pytest.mark.parametrize("size", [100, 1_000_000])
def test_body_that_is_not_what_it_says_is_refused(codec: Compression, size: int) -> None:
    body = compress(codec, _text(size))
    for broken in (body[:-1], body[: len(body) // 2], b"{}", body + b"x"):
        with pytest.raises(InvalidRequestError, match="is not whole"):
            asyncio.run(decoded(codec, broken, 2_000_000))


def _read(parts: Sequence[bytes], encoding: str = "gzip") -> list[bytes]:
    exchange = _exchange(parts, encoding)

    async def read() -> list[bytes]:
        found = []
        while (part := await exchange.read_part()) is not None:
            found.append(part)
        return found

    return asyncio.run(read())


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_parts_are_made_plain_while_they_come(size: int, piece: int) -> None:
    body = gzip.compress(_text(size)) + gzip.compress(b"and another member")
    parts = [body[start : start + piece] for start in range(0, len(body), piece)]
    assert b"".join(_read(parts)) == _text(size) + b"and another member"


def test_bomb_comes_out_in_pieces() -> None:
    pieces = _read([gzip.compress(bytes(10_000_000))])
    assert sum(map(len, pieces)) == 10_000_000
    assert max(map(len, pieces)) == 65_536


def test_parts_that_are_not_gzip_are_refused() -> None:
    body = gzip.compress(_text(1_000))
    for broken in ([body[:-1]], [body, b"x"], [b"{}"], [body[:20], b"\x00" * 100]):
        with pytest.raises(InvalidRequestError):
            _read(broken)


def test_plain_parts_are_given_as_they_are() -> None:
    assert _read([b"a", b"b"], "identity") == [b"a", b"b"]


def test_zstd_is_not_read_in_parts() -> None:
    with pytest.raises(UnsupportedMediaTypeError) as caught:
        _read([b"x"], "zstd")
    assert caught.value.extra["accept_encoding"] == "gzip"


def test_nothing_is_needed_for_no_body() -> None:
    pieces = GzipPieces()
    assert pieces.next_piece() == b""
    pieces.end()


@pytest.mark.parametrize(("members", "is_on_loop"), [(10, True), (5_000, False)])
def test_much_that_little_comes_out_of_is_not_read_on_the_loop(
    members: int, is_on_loop: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[threading.Thread] = []

    def noting(codec: Compression, data: Buffer, max_bytes: int) -> Buffer:
        readers.append(threading.current_thread())
        return decompress(codec, data, max_bytes)

    monkeypatch.setattr(content_encoding, "decompress", noting)
    body = gzip.compress(b"") * members + gzip.compress(b"x")
    assert asyncio.run(decoded(Compression.GZIP, body, 1 << 20)) == b"x"
    assert [each is threading.main_thread() for each in readers] == [is_on_loop]
