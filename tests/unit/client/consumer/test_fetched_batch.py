"""Batches as polls give them: encoded until looked at, and the same however they are looked at."""

import pytest

from kafkalite.client.consumer.fetched_batch import EncodedBatch, FetchedBatch
from kafkalite.client.consumer.records import Records
from kafkalite.model.errors import CorruptMessageError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record
from kafkalite.wire.batch import HEADER_SIZE, header_at, seal, unsealed
from kafkalite.wire.records import encode_batch
from kafkalite.wire.restamp import with_log_append_time
from tests.support.fetched import PLACE, batch_at, stamped, value_at


def _encoded(batch: bytes) -> EncodedBatch:
    return EncodedBatch(PLACE, header_at(batch, 0), memoryview(batch))


def _fetched(base_offset: int, count: int, start: int, stop: int) -> FetchedBatch:
    return FetchedBatch(_encoded(batch_at(base_offset, count)), start, stop)


def test_a_record_says_everything_about_itself() -> None:
    headers = (("a", b"1"), ("a", None))
    batch = stamped(encode_batch([Record(b"v", b"k", 1234, headers)], now_ms=0), 42)
    (record,) = FetchedBatch(_encoded(batch), 0, 1)
    assert (record.topic, record.partition) == ("t", 0)
    assert record.topic_partition == PLACE
    assert (record.offset, record.timestamp, record.timestamp_type) == (42, 1234, "CreateTime")
    assert (record.key, record.value, record.headers) == (b"k", b"v", headers)
    assert record.leader_epoch == 7
    assert repr(record) == (
        "ConsumerRecord(topic='t', partition=0, offset=42, timestamp=1234, key=b'k', value=b'v', "
        "headers=(('a', b'1'), ('a', None)))"
    )


def test_log_append_time_stands_for_every_record() -> None:
    batch = with_log_append_time(batch_at(0, 3), 5000)
    records = FetchedBatch(_encoded(batch), 0, 3).records()
    assert [record.timestamp for record in records] == [5000] * 3
    assert {record.timestamp_type for record in records} == {"LogAppendTime"}


def test_a_window_is_the_same_however_it_is_looked_at() -> None:
    offsets = range(12, 15)
    values = [value_at(offset) for offset in offsets]
    assert _fetched(10, 6, 2, 5).values() == values
    assert _fetched(10, 6, 2, 5).keys() == [b"key %d" % offset for offset in offsets]
    window = _fetched(10, 6, 2, 5)
    assert [record.value for record in window] == values
    assert [record.offset for record in window] == list(offsets)
    assert [record.timestamp for record in window] == [1000 + offset for offset in offsets]
    assert window[-1].offset == 14
    assert (window.first_offset, window.next_offset, len(window)) == (12, 15, 3)
    assert window.values() == values
    assert repr(window) == "FetchedBatch(t-0, offsets 12 to 14)"


def test_values_of_a_whole_batch_are_those_of_its_records() -> None:
    whole = _fetched(3, 4, 0, 4)
    assert whole.values() == [record.value for record in whole]


def test_windows_share_what_was_decoded() -> None:
    encoded = _encoded(batch_at(0, 4))
    assert FetchedBatch(encoded, 0, 2)[1] is encoded.records()[1]
    assert FetchedBatch(encoded, 2, 4).records() == encoded.records()[2:]


def test_a_batch_splits_where_it_is_asked_to() -> None:
    first, rest = _fetched(10, 5, 1, 5).split(3)
    assert [record.offset for record in first] == [11, 12, 13]
    assert [record.offset for record in rest] == [14]
    assert (first.next_offset, rest.first_offset, rest.next_offset) == (14, 14, 15)


def test_a_checksum_that_does_not_fit_is_told_when_it_is_checked() -> None:
    batch = bytearray(batch_at(0, 2))
    batch[-1] ^= 1
    with pytest.raises(CorruptMessageError):
        _encoded(bytes(batch)).check()


@pytest.mark.parametrize("payload", [b"\xc0", b"\x91\x90", b"\x91\x94\x00\xc0\xa1a\xc0", b"\x90"])
def test_an_intact_batch_that_is_malformed_is_told_when_it_is_looked_at(payload: bytes) -> None:
    batch, _ = seal(unsealed(1, 0, 0), payload)
    encoded = _encoded(batch)
    encoded.check()
    with pytest.raises(CorruptMessageError):
        FetchedBatch(encoded, 0, 1).records()
    with pytest.raises(CorruptMessageError):
        FetchedBatch(encoded, 0, 1).values()


def test_records_are_those_of_all_batches_in_order() -> None:
    other = TopicPartition("t", 1)
    batch = batch_at(0, 2)
    elsewhere = FetchedBatch(EncodedBatch(other, header_at(batch, 0), memoryview(batch)), 0, 2)
    records = Records([_fetched(0, 2, 0, 2), elsewhere, _fetched(2, 1, 0, 1)])
    assert [(each.partition, each.offset) for each in records] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (0, 2),
    ]
    assert records.partitions() == [PLACE, other]
    assert [each.offset for each in records.of(PLACE)] == [0, 1, 2]
    assert records.values() == [value_at(offset) for offset in (0, 1, 0, 1, 2)]
    assert len(records) == 5
    assert records
    assert not Records([])
    assert repr(records) == "Records(5 records of 2 partitions)"


def test_the_encoded_bytes_can_be_passed_on() -> None:
    batch = batch_at(5, 3)
    fetched = FetchedBatch(_encoded(batch), 1, 2)
    assert fetched.encoded == batch
    assert fetched.size == len(batch) > HEADER_SIZE
    assert fetched.header.base_offset == 5
