"""What a fetch brings, made by tests: batches of records that say where they are."""

from collections.abc import Sequence

from kafkalite.client.consumer.positions import GROUP, PartitionPosition
from kafkalite.client.consumer.prefetch import FetchedPart
from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record
from kafkalite.wire.batch import STAMP_SIZE, read_headers, stamp
from kafkalite.wire.records import encode_batch

PLACE = TopicPartition("t", 0)


def value_at(offset: int) -> bytes:
    """The value of the record at `offset`."""
    return b"value %d" % offset


def batch_at(base_offset: int, count: int) -> bytes:
    """A batch as a leader stamps it, of records that name their offsets."""
    records = [
        Record(value_at(offset), key=b"key %d" % offset, timestamp=1000 + offset)
        for offset in range(base_offset, base_offset + count)
    ]
    return stamped(encode_batch(records, now_ms=0), base_offset)


def stamped(batch: bytes, base_offset: int) -> bytes:
    """`batch` at another place, in leader epoch 7."""
    return stamp(base_offset, len(batch) - 12, 7) + batch[STAMP_SIZE:]


def position_at(offset: int, place: TopicPartition = PLACE) -> PartitionPosition:
    """A partition that is read from `offset` on."""
    found = PartitionPosition(place, GROUP, is_new=False)
    found.go_to(offset)
    return found


def part_of(partition: PartitionPosition, batches: Sequence[bytes]) -> FetchedPart:
    """What came of a partition, asked for as it is now."""
    data = b"".join(batches)
    return FetchedPart(partition, partition.stint, read_headers(data), memoryview(data))
