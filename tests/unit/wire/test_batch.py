"""The header, the checksum, and walking batches that lie back to back."""

import struct

import pytest

from kafkalite.model.errors import CorruptMessageError, UnsupportedVersionError
from kafkalite.wire.batch import (
    HEADER_SIZE,
    MAGIC,
    BatchHeader,
    Buffer,
    check_intact,
    checksum,
    complete,
    header_at,
    read_header,
    read_headers,
    seal,
    stamp,
    unsealed,
)
from tests.support.batches import forge


def test_the_checksum_is_crc_32c() -> None:
    """The vectors of RFC 3720, B.4."""
    assert checksum(b"123456789") == 0xE3069283
    assert checksum(bytes(32)) == 0x8A9136AA
    assert checksum(b"\xff" * 32) == 0x62A8AB43
    assert checksum(bytes(range(32))) == 0x46DD794E


def test_a_header_lies_as_the_design_says() -> None:
    header = unsealed(3, 1_000, 2_000, attributes=4)._replace(base_offset=7, leader_epoch=2)
    batch, sealed = seal(header, b"payload")
    fields = struct.unpack(">qiibIhiqqqhii", batch[:HEADER_SIZE])
    crc = checksum(batch[21:])
    assert fields == (7, 49 + 7, 2, MAGIC, crc, 4, 2, 1_000, 2_000, -1, -1, -1, 3)
    assert sealed == BatchHeader(*fields)
    assert batch[HEADER_SIZE:] == b"payload"


def test_a_sealed_header_is_what_would_be_read() -> None:
    batch, header = seal(unsealed(1, 5, 5), b"x")
    assert read_header(batch) == header
    assert header.size == len(batch)


def test_stamping_leaves_the_checksum_right() -> None:
    batch = forge()
    stamped = stamp(900, len(batch) - 12, 4) + batch[16:]
    header = header_at(stamped, 0)
    check_intact(memoryview(stamped), header)
    assert (header.base_offset, header.leader_epoch, header.next_offset) == (900, 4, 901)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_headers_of_batches_back_to_back_are_read_from_any_buffer(
    kind: type[bytes] | type[bytearray] | type[memoryview],
) -> None:
    batches = [forge(base_offset=offset) for offset in (0, 1, 2)]
    data: Buffer = kind(b"".join(batches))
    assert [header.base_offset for header in read_headers(data)] == [0, 1, 2]
    assert read_headers(b"") == []


def test_a_batch_that_is_cut_off_is_corrupt_at_every_byte() -> None:
    batch = forge()
    for size in range(1, len(batch)):
        with pytest.raises(CorruptMessageError):
            read_headers(batch + batch[:size])


@pytest.mark.parametrize("length", [-(2**31), -12, -1, 0, 48, 2**31 - 1])
def test_a_length_that_no_batch_can_have_is_corrupt(length: int) -> None:
    batch = forge()
    with pytest.raises(CorruptMessageError, match="it must be 61 to"):
        read_headers(batch[:8] + struct.pack(">i", length) + batch[12:])


def test_the_magic_of_kafka_is_another_version() -> None:
    batch = forge(magic=2)
    with pytest.raises(UnsupportedVersionError, match="magic 2"):
        check_intact(memoryview(batch), read_header(batch))


def test_a_wrong_checksum_is_corrupt_and_both_are_named() -> None:
    batch = forge()
    header = read_header(batch)
    damaged = batch[:-1] + bytes([batch[-1] ^ 1])
    with pytest.raises(CorruptMessageError, match=f"says {header.crc:#010x}"):
        check_intact(memoryview(damaged), header)


def test_a_batch_that_is_completed_in_place_is_as_if_it_had_been_sealed() -> None:
    header = unsealed(3, 5, 9, 2)._replace(producer_id=7, producer_epoch=1, base_sequence=40)
    batch = bytearray(HEADER_SIZE) + b"payload"
    complete(batch, 2, 3, (5, 9), (7, 1, 40))
    assert bytes(batch) == seal(header, b"payload")[0]
