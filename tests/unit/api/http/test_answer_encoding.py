"""Answers are compressed where their client accepts it and it is worth it."""

import asyncio
import gzip
from collections.abc import Sequence
from typing import Any

import pytest

from kafkalite.api.data_plane.exchange import Exchange
from kafkalite.api.http.answer_encoding import EncodedAnswer, codec_for
from kafkalite.model.compression import Compression
from kafkalite.wire.compression import decompress


@pytest.mark.parametrize(
    ("accept_encoding", "codec"),
    [
        ("", Compression.NONE),
        ("gzip", Compression.GZIP),
        ("x-gzip", Compression.GZIP),
        ("gzip, deflate, br, zstd", Compression.ZSTD),
        ("gzip;q=1.0, zstd;q=0.5", Compression.GZIP),
        ("GZIP; Q=0.2 , br;q=1", Compression.GZIP),
        ("gzip;q=0", Compression.NONE),
        ("*", Compression.ZSTD),
        ("*;q=0.5, zstd;q=0", Compression.GZIP),
        ("identity, gzip;q=0.5", Compression.NONE),
        ("identity;q=0.5, gzip;q=0.5", Compression.GZIP),
        ("identity;q=0, *;q=0", Compression.NONE),
        ("br", Compression.NONE),
        ("gzip;q=x", Compression.NONE),
        (";;,,", Compression.NONE),
    ],
)
def test_best_codec_is_chosen_by_quality(accept_encoding: str, codec: Compression) -> None:
    assert codec_for(accept_encoding) is codec


def _answered(
    parts: Sequence[bytes],
    codec: Compression,
    *,
    media: bytes = b"application/json",
    more: Sequence[tuple[bytes, bytes]] = (),
    is_sized: bool = True,
    status: int = 200,
) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def answer() -> None:
        encoded = EncodedAnswer(send, codec, 100)
        exchange = Exchange({"headers": []}, lambda: asyncio.sleep(0, {}), encoded)
        headers = [(b"content-type", media), *more]
        if is_sized:
            headers.append((b"content-length", b"%d" % sum(map(len, parts))))
        await exchange.start(status, headers)
        for index, part in enumerate(parts):
            await exchange.send_part(part, more=index < len(parts) - 1)

    asyncio.run(answer())
    return sent


def _body(sent: list[dict[str, Any]]) -> bytes:
    return b"".join(message["body"] for message in sent[1:])


@pytest.mark.parametrize("codec", [Compression.GZIP, Compression.ZSTD])
@pytest.mark.parametrize("parts", [[b"a" * 100], [b"b" * 200_000], [b"c" * 70, b"d" * 90_000, b""]])
def test_answer_is_compressed(codec: Compression, parts: list[bytes]) -> None:
    sent = _answered(parts, codec)
    headers = dict(sent[0]["headers"])
    assert headers[b"content-encoding"] == codec.name.lower().encode()
    assert headers[b"vary"] == b"Accept-Encoding"
    assert decompress(codec, _body(sent), 1 << 20) == b"".join(parts)
    assert len(_body(sent)) < 1_000
    if len(parts) == 1:
        assert headers[b"content-length"] == b"%d" % len(_body(sent))
    else:
        assert b"content-length" not in headers
    assert [message["more_body"] for message in sent[1:]][-1] is False


@pytest.mark.parametrize(
    "media", [b"text/plain", b"text/html; charset=utf-8", b"application/vnd.kafka.v2+json"]
)
def test_forms_of_text_are_compressed(media: bytes) -> None:
    assert gzip.decompress(_body(_answered([b"a" * 100], Compression.GZIP, media=media)))


@pytest.mark.parametrize(
    "kind",
    [
        {"parts": [b"a" * 99]},
        {"media": b"application/msgpack"},
        {"media": b"application/octet-stream"},
        {"media": b"text/event-stream"},
        {"is_sized": False},
        {"status": 304},
        {"more": [(b"content-encoding", b"br")]},
    ],
)
def test_answer_goes_as_it_is_when_that_is_better(kind: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"parts": [b"a" * 50, b"b" * 51], "codec": Compression.GZIP, **kind}
    sent = _answered(**arguments)
    assert _body(sent) == b"".join(arguments["parts"])
    assert dict(sent[0]["headers"]).get(b"content-encoding") in {None, b"br"}
