"""Records are gathered by partition, and a full batch is given out."""

from kafkalite.cli.partition_batches import PartitionBatches
from kafkalite.model.partitioning import partition_for_key
from kafkalite.model.record import Record


def test_records_with_a_key_go_where_kafkas_hash_says() -> None:
    batches = PartitionBatches(7, batch_bytes=1 << 20, batch_records=100)
    keys = [b"k%d" % number for number in range(50)]
    for line, key in enumerate(keys, 1):
        assert batches.add(Record(b"v", key), line) is None
    taken = batches.take_all()
    assert sum(len(batch.records) for batch in taken) == len(keys)
    for batch in taken:
        for record in batch.records:
            assert record.key is not None
            assert partition_for_key(record.key, 7) == batch.partition


def test_records_without_a_key_stay_together_until_their_batch_is_full() -> None:
    batches = PartitionBatches(100, batch_bytes=1 << 20, batch_records=3)
    assert batches.add(Record(b"a"), 1) is None
    assert batches.add(Record(b"b"), 2) is None
    full = batches.add(Record(b"c"), 3)
    assert full is not None
    assert [record.value for record in full.records] == [b"a", b"b", b"c"]
    assert full.lines == [1, 2, 3]
    assert batches.size == 0


def test_records_without_a_key_avoid_partitions_without_a_leader() -> None:
    batches = PartitionBatches(100, batch_bytes=1, batch_records=1)
    batches.available = [42]
    full = batches.add(Record(b"a"), 1)
    assert full is not None
    assert full.partition == 42


def test_a_batch_is_full_by_bytes() -> None:
    batches = PartitionBatches(1, batch_bytes=1000, batch_records=1 << 30)
    assert batches.add(Record(b"x" * 400, headers=(("h", b"y" * 100),)), 1) is None
    assert 500 < batches.size < 1000
    assert batches.add(Record(b"x" * 500), 2) is not None


def test_halves_keep_order_and_lines() -> None:
    batches = PartitionBatches(1, batch_bytes=1 << 20, batch_records=3)
    for line in range(1, 4):
        full = batches.add(Record(b"%d" % line), line)
    assert full is not None
    first, second = full.halves()
    assert first.lines + second.lines == [1, 2, 3]
    assert [record.value for record in first.records + second.records] == [b"1", b"2", b"3"]
