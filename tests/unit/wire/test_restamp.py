"""Batches made anew: what changes, and that the rest does not."""

import pytest

from kafkalite.model.compression import Compression
from kafkalite.model.errors import CorruptMessageError
from kafkalite.model.record import Record
from kafkalite.wire.batch import TIMESTAMP_TYPE_BIT, check_intact, read_header
from kafkalite.wire.records import decode_batch, encode_batch
from kafkalite.wire.restamp import recompress, with_log_append_time
from tests.support.batches import MAX_BYTES, TIME, forge, validate

RECORDS = [Record(b"value" * 50, b"key", TIME + delta, (("h", None),)) for delta in (3, 0, 8)]


@pytest.mark.parametrize("old", Compression)
@pytest.mark.parametrize("new", Compression)
def test_recompressing_changes_the_codec_alone(old: Compression, new: Compression) -> None:
    batch = encode_batch(RECORDS, now_ms=1, compression=old)
    again = recompress(memoryview(batch), new)
    (header,) = validate(again)
    assert header.compression == new
    assert decode_batch(again, max_bytes=MAX_BYTES) == decode_batch(batch, max_bytes=MAX_BYTES)
    same = {"batch_length": 0, "crc": 0, "attributes": 0}
    assert header._replace(**same) == read_header(batch)._replace(**same)


def test_recompressing_what_is_no_frame_is_refused() -> None:
    with pytest.raises(CorruptMessageError):
        recompress(forge(attributes=Compression.ZSTD), Compression.NONE)


@pytest.mark.parametrize("codec", Compression)
@pytest.mark.parametrize("now", [TIME - 1_000, TIME + 1_000])
def test_log_append_time_is_the_time_of_every_record(codec: Compression, now: int) -> None:
    batch = encode_batch(RECORDS, now_ms=1, compression=codec)
    stamped = with_log_append_time(memoryview(batch), now)
    header = read_header(stamped)
    check_intact(memoryview(stamped), header)
    assert header.attributes == codec | TIMESTAMP_TYPE_BIT
    assert (header.base_timestamp, header.max_timestamp) == (now, now)
    assert decode_batch(stamped, max_bytes=MAX_BYTES) == [
        record._replace(timestamp=now, offset=offset) for offset, record in enumerate(RECORDS)
    ]


def test_both_keep_what_a_leader_and_a_producer_wrote() -> None:
    batch = forge(base_offset=70, leader_epoch=3, producer_id=11, producer_epoch=1, base_sequence=9)
    for again in (recompress(batch, Compression.GZIP), with_log_append_time(batch, TIME)):
        header = read_header(again)
        assert (header.base_offset, header.leader_epoch) == (70, 3)
        assert (header.producer_id, header.producer_epoch, header.base_sequence) == (11, 1, 9)
