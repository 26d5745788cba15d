"""The codecs: both ways, in terms of others, and within a bound."""

import gzip
import struct

import pytest

from kafkalite.model.compression import Compression
from kafkalite.model.errors import CorruptMessageError, MessageTooLargeError
from kafkalite.wire.compression import compress, decompress

CODECS = [codec for codec in Compression if codec is not Compression.NONE]
TEXT = b'{"carrier":"UA","flight":1545,"origin":"EWR"}' * 400

# Written by hand after each format's specification.
HELLO = {
    # member: header, one stored block, CRC-32 and size
    Compression.GZIP: "1f8b08000000000000ff010500faff68656c6c6f86a6103605000000",
    # stream identifier; one uncompressed chunk: type, length, masked CRC-32C, data
    Compression.SNAPPY: "ff060000734e6150705901090000bb1f1c1968656c6c6f",
    # magic, FLG 0x60, BD 0x40, header checksum; one uncompressed block; end mark
    Compression.LZ4: "04224d186040820500008068656c6c6f00000000",
    # magic, single segment of 5 bytes, one raw last block
    Compression.ZSTD: "28b52ffd200529000068656c6c6f",
}


@pytest.mark.parametrize("codec", Compression)
@pytest.mark.parametrize("data", [b"", b"x", TEXT, bytes(range(256)) * 4, bytes(300_000)])
def test_what_is_compressed_comes_back(codec: Compression, data: bytes) -> None:
    assert decompress(codec, compress(codec, data), len(data)) == data


@pytest.mark.parametrize("codec", CODECS)
def test_compressing_makes_text_smaller(codec: Compression) -> None:
    assert len(compress(codec, TEXT)) < len(TEXT) / 10


@pytest.mark.parametrize("codec", CODECS)
def test_a_frame_that_others_wrote_is_read(codec: Compression) -> None:
    assert decompress(codec, bytes.fromhex(HELLO[codec]), 5) == b"hello"


def test_gzip_is_understood_by_the_standard_library_and_the_other_way_round() -> None:
    assert gzip.decompress(compress(Compression.GZIP, TEXT)) == TEXT
    assert decompress(Compression.GZIP, gzip.compress(TEXT), len(TEXT)) == TEXT


@pytest.mark.parametrize("codec", CODECS)
def test_frames_that_follow_one_another_are_one_text(codec: Compression) -> None:
    frames = compress(codec, b"one,") + compress(codec, b"two")
    assert decompress(codec, frames, 100) == b"one,two"


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("trailer", [b"\0", bytes(40), b"trailing bytes"])
def test_anything_else_after_a_frame_is_corrupt(codec: Compression, trailer: bytes) -> None:
    with pytest.raises(CorruptMessageError):
        decompress(codec, compress(codec, TEXT) + trailer, 1 << 20)


@pytest.mark.parametrize("codec", CODECS)
def test_garbage_is_corrupt_and_the_codec_named(codec: Compression) -> None:
    with pytest.raises(CorruptMessageError, match=codec.name.lower()):
        decompress(codec, b"\x00\xffnot a frame at all", 1 << 20)


@pytest.mark.parametrize("codec", CODECS)
def test_a_flipped_bit_is_refused_or_harmless(codec: Compression) -> None:
    """Not every frame has a checksum of its own: what this lets through, the batch's own covers."""
    frame = compress(codec, TEXT)
    refused = 0
    for position in range(len(frame) * 8):
        flipped = bytearray(frame)
        flipped[position // 8] ^= 1 << position % 8
        try:
            assert len(decompress(codec, flipped, len(TEXT))) <= len(TEXT)
        except (CorruptMessageError, MessageTooLargeError):
            refused += 1
    assert refused > len(frame)


@pytest.mark.parametrize("codec", Compression)
@pytest.mark.parametrize("size", [1, 5_000, 200_000, 2_000_000])
def test_one_byte_over_the_bound_is_too_large_and_one_less_is_not(
    codec: Compression, size: int
) -> None:
    frame = compress(codec, bytes(size))
    with pytest.raises(MessageTooLargeError, match=f"larger than {size - 1} bytes"):
        decompress(codec, frame, size - 1)
    assert len(decompress(codec, frame, size)) == size


@pytest.mark.parametrize("stated", [0, 1, len(TEXT) - 1, 2**32 - 1])
def test_a_gzip_member_that_lies_about_its_size_is_corrupt(stated: int) -> None:
    frame = compress(Compression.GZIP, TEXT)[:-4] + struct.pack("<I", stated)
    with pytest.raises(CorruptMessageError):
        decompress(Compression.GZIP, frame, 1 << 20)


def zstd_frame(descriptor: int, fields: bytes, blocks: int) -> bytes:
    """A frame of `blocks` RLE blocks that are 128 KiB of zeros each."""
    sizes = [(128 << 10) << 3 | 1 << 1 | (number == blocks - 1) for number in range(blocks)]
    runs = b"".join(struct.pack("<I", size)[:3] + b"\0" for size in sizes)
    return b"\x28\xb5\x2f\xfd" + bytes([descriptor]) + fields + runs


@pytest.mark.parametrize(
    ("descriptor", "fields"),
    [
        (0xE0, struct.pack("<Q", 2**63)),  # one segment, said to be huge
        (0xE0, struct.pack("<Q", 1)),
        (0xA0, struct.pack("<I", 2**32 - 1)),
        (0x60, struct.pack("<H", 0)),
        (0x20, b"\0"),
        (0x00, b"\xf8"),  # a window of 2 TiB
        (0x03, b"\x40" + struct.pack("<I", 7)),  # a dictionary that nobody has
    ],
)
def test_a_zstd_frame_that_lies_in_its_header_is_corrupt(descriptor: int, fields: bytes) -> None:
    with pytest.raises(CorruptMessageError):
        decompress(Compression.ZSTD, zstd_frame(descriptor, fields, 4), 1 << 20)


@pytest.mark.parametrize(
    ("descriptor", "fields"),
    [
        (0x80, b"\x58" + struct.pack("<I", 512 << 10)),  # window, content size of 4 bytes
        (0xE0, struct.pack("<Q", 512 << 10)),
        (0x00, b"\x88"),  # window only, of 128 MiB
    ],
)
def test_every_form_of_a_zstd_header_is_read(descriptor: int, fields: bytes) -> None:
    frame = zstd_frame(descriptor, fields, 4)
    assert decompress(Compression.ZSTD, frame, 1 << 20) == bytes(512 << 10)


@pytest.mark.parametrize("size", range(12))
def test_a_zstd_frame_of_a_few_bytes_is_corrupt(size: int) -> None:
    frame = zstd_frame(0xE0, struct.pack("<Q", 512 << 10), 4)
    with pytest.raises(CorruptMessageError):
        decompress(Compression.ZSTD, frame[:size], 1 << 20)
