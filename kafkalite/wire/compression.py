"""Codecs behind one table: a payload compressed as a whole, and back within a bound.

    gzip     RFC 1952 members
    snappy   the framing format (stream identifier, chunks of at most 64 KiB with a masked CRC-32C),
             not the raw block and not the framing of snappy-java
    lz4      LZ4 frames
    zstd     Zstandard frames

Any number of members or frames may follow one another, and nothing else may follow them. Sizes that
a frame states are not believed: the output buffer grows with what comes out and ends at the bound.
"""

from collections.abc import Callable
from typing import Final

import cramjam

from kafkalite.model.compression import Compression
from kafkalite.model.errors import CorruptMessageError, MessageTooLargeError
from kafkalite.wire.batch import Buffer

# Levels at which a broker can compress on its event loop: 0.5 to 3 ms for 500 KB of JSON.
_COMPRESSORS: Final[dict[Compression, Callable[[Buffer], cramjam.Buffer]]] = {
    Compression.GZIP: lambda data: cramjam.gzip.compress(data, level=4),
    Compression.SNAPPY: cramjam.snappy.compress,
    Compression.LZ4: lambda data: cramjam.lz4.compress(data, level=0),
    Compression.ZSTD: lambda data: cramjam.zstd.compress(data, level=3),
}
_DECOMPRESSORS: Final[dict[Compression, Callable[[Buffer, bytearray], int]]] = {
    Compression.GZIP: cramjam.gzip.decompress_into,
    Compression.SNAPPY: cramjam.snappy.decompress_into,
    Compression.LZ4: cramjam.lz4.decompress_into,
    Compression.ZSTD: cramjam.zstd.decompress_into,
}
_OUTPUT_FULL: Final = "failed to write whole buffer"
"""How cramjam says, for every codec, that there is more output than room."""
_LEAST_ROOM: Final = 64 << 10
_GUESSED_RATIO: Final = 8
"""Room for the first attempt where the size is not stated, as a multiple of the input."""
_BELIEVED_RATIO: Final = 64
"""As far as a stated size is believed: else many small batches that lie would clear much memory."""
_GROWTH: Final = 4


def compress(codec: Compression, data: Buffer) -> bytes:
    """`data` as `codec` writes it; itself, as bytes, for NONE."""
    if codec is Compression.NONE:
        return bytes(data)
    return bytes(_COMPRESSORS[codec](data))


def decompress(codec: Compression, data: Buffer, max_bytes: int) -> Buffer:
    """What `data` was before `codec` compressed it; `data` itself, not copied, for NONE.

    Takes a few times as much memory as comes out and not much more than `max_bytes`, whatever the
    input claims; zstd needs its window besides, which holds no more than comes out.

    Raises:
        CorruptMessageError: `data` is not what the codec writes, or is cut off.
        MessageTooLargeError: more than `max_bytes` bytes come out.
    """
    if codec is Compression.NONE:
        if len(data) > max_bytes:
            raise _too_large(max_bytes)
        return data
    room = min(max_bytes, max(_LEAST_ROOM, _likely_size(codec, data)))
    while True:
        # To try again with more room is rare, costs a third at most, and beats max_bytes of fresh
        # pages for each batch.
        output = bytearray(room)
        try:
            size = _DECOMPRESSORS[codec](data, output)
        except cramjam.DecompressionError as error:
            if str(error) != _OUTPUT_FULL:
                raise CorruptMessageError(f"The {codec.name.lower()} payload: {error}") from error
            if room == max_bytes:
                raise _too_large(max_bytes) from error
        else:
            del output[size:]
            return output
        del output
        room = min(max_bytes, room * _GROWTH)


def _likely_size(codec: Compression, data: Buffer) -> int:
    """What comes out of `data`, as far as it states it and is believed; else a guess."""
    stated = None
    if codec is Compression.GZIP:
        stated = int.from_bytes(data[-4:], "little")  # ISIZE of the last member
    elif codec is Compression.ZSTD:
        stated = _zstd_content_size(data)
    if stated is None:
        return _GUESSED_RATIO * len(data)
    return min(stated, _BELIEVED_RATIO * len(data))


def _zstd_content_size(data: Buffer) -> int | None:
    """Frame_Content_Size of the first frame (RFC 8878, 3.1.1.1); None where it is not given.

    Its forms of one and two bytes are passed over: what they can say fits the least room.
    """
    descriptor = data[4] if len(data) > 4 else 0
    width = (0, 0, 4, 8)[descriptor >> 6]
    if not width:
        return None
    has_window = not descriptor >> 5 & 1
    start = 5 + has_window + (0, 1, 2, 4)[descriptor & 3]
    return int.from_bytes(data[start : start + width], "little")


def _too_large(max_bytes: int) -> MessageTooLargeError:
    return MessageTooLargeError(f"The payload is larger than {max_bytes} bytes once decompressed")
