"""Handing out: every record once and in order, and positions that say so."""

import pytest

from kafkalite.client.consumer.decoding import Decoding, OnPoison
from kafkalite.client.consumer.failures import DeserializationError, UnreadableError
from kafkalite.client.consumer.fetched_batch import FetchedBatch
from kafkalite.client.consumer.hand_out import HandOut
from kafkalite.client.consumer.positions import PartitionPosition
from kafkalite.client.consumer.prefetch import Prefetch
from kafkalite.model.errors import CorruptMessageError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record
from kafkalite.wire.records import encode_batch
from tests.support.fetched import batch_at, part_of, position_at, value_at


class _Consumer:
    """A hand-out over one partition, and how often it told of an error."""

    def __init__(self, start: int = 0, decoding: Decoding | None = None) -> None:
        self.prefetch = Prefetch(1 << 20)
        self.partition = position_at(start)
        self.told = 0
        self.hand_out = HandOut(
            self.prefetch, decoding or Decoding(), checks_crcs=True, on_error=self._tell
        )

    def put(self, *batches: bytes, partition: PartitionPosition | None = None) -> None:
        self.prefetch.put([part_of(partition or self.partition, batches)], 100)

    def take(self, count: int) -> list[int]:
        return _offsets(self.hand_out.take(count))

    def _tell(self) -> None:
        self.told += 1


def _offsets(batches: list[FetchedBatch]) -> list[int]:
    return [record.offset for batch in batches for record in batch]


def test_no_more_is_given_than_asked_for_and_nothing_is_left_out() -> None:
    consumer = _Consumer()
    consumer.put(batch_at(0, 3), batch_at(3, 4))
    assert consumer.take(2) == [0, 1]
    assert consumer.partition.position == 2
    assert consumer.take(3) == [2, 3, 4]
    assert consumer.take(100) == [5, 6]
    assert consumer.partition.position == consumer.partition.fetch_offset == 7
    assert consumer.take(100) == []


def test_a_position_within_a_batch_skips_what_is_before_it() -> None:
    consumer = _Consumer(start=2)
    consumer.put(batch_at(0, 4))
    assert consumer.take(1) == [2]
    assert consumer.take(9) == [3]


def test_one_batch_is_given_whole() -> None:
    consumer = _Consumer()
    consumer.put(batch_at(0, 3), batch_at(3, 2))
    first = consumer.hand_out.take_one()
    assert first is not None
    assert _offsets([first.batch]) == [0, 1, 2]
    assert consumer.partition.position == 3


def test_a_batch_begun_goes_on_after_another_partition_came_between() -> None:
    consumer = _Consumer()
    other = position_at(0, TopicPartition("t", 1))
    consumer.put(batch_at(0, 4))
    consumer.put(batch_at(0, 2), partition=other)
    assert consumer.take(1) == [0]
    consumer.partition.is_paused = True
    assert consumer.take(9) == [0, 1]
    consumer.partition.is_paused = False
    consumer.prefetch.resume(consumer.partition.topic_partition)
    assert consumer.take(9) == [1, 2, 3]


def test_what_is_given_back_comes_first_and_is_not_counted_as_given() -> None:
    consumer = _Consumer()
    consumer.put(batch_at(0, 3), batch_at(3, 1))
    handed = consumer.hand_out.take_one()
    assert handed is not None
    consumer.hand_out.give_back(handed, handed.batch.records()[1:])
    assert consumer.partition.position == 1
    assert consumer.take(1) == [1]
    assert consumer.partition.position == 2
    assert consumer.take(9) == [2, 3]
    assert consumer.partition.position == 4


def test_what_is_given_back_after_a_seek_is_gone() -> None:
    consumer = _Consumer()
    consumer.put(batch_at(0, 3))
    handed = consumer.hand_out.take_one()
    assert handed is not None
    consumer.partition.go_to(0)
    consumer.hand_out.give_back(handed, handed.batch.records()[1:])
    assert consumer.partition.position == 0
    assert consumer.take(9) == []


def test_what_was_given_back_before_a_seek_is_gone() -> None:
    consumer = _Consumer()
    consumer.put(batch_at(0, 3))
    handed = consumer.hand_out.take_one()
    assert handed is not None
    consumer.hand_out.give_back(handed, handed.batch.records()[1:])
    consumer.partition.go_to(7)
    assert consumer.hand_out.take_one() is None


def test_what_was_given_back_of_a_paused_partition_is_fetched_again() -> None:
    consumer = _Consumer()
    consumer.put(batch_at(0, 3), batch_at(3, 1))
    handed = consumer.hand_out.take_one()
    assert handed is not None
    consumer.hand_out.give_back(handed, handed.batch.records()[1:])
    consumer.partition.is_paused = True
    assert consumer.take(9) == []
    assert consumer.partition.position == consumer.partition.fetch_offset == 1


def test_a_damaged_batch_is_the_partitions_error_and_what_precedes_it_is_given() -> None:
    consumer = _Consumer()
    damaged = bytearray(batch_at(2, 2))
    damaged[-1] ^= 1
    consumer.put(batch_at(0, 2), bytes(damaged))
    assert consumer.take(9) == [0, 1]
    error = consumer.partition.error
    assert isinstance(error, UnreadableError)
    assert (error.offset, error.next_offset) == (2, 4)
    assert consumer.partition.position == consumer.partition.fetch_offset == 2
    assert consumer.told == 1


def test_checksums_are_not_looked_at_where_that_is_not_wanted() -> None:
    consumer = _Consumer()
    consumer.hand_out = HandOut(
        consumer.prefetch, Decoding(), checks_crcs=False, on_error=lambda: None
    )
    damaged = bytearray(batch_at(0, 2))
    damaged[-1] ^= 1
    consumer.put(bytes(damaged))
    assert len(consumer.hand_out.take(9)) == 1


def test_a_batch_that_turns_out_to_be_unreadable_leaves_the_position_before_it() -> None:
    consumer = _Consumer(start=1)
    consumer.put(batch_at(0, 3))
    handed = consumer.hand_out.take_one()
    assert handed is not None
    error = consumer.hand_out.reject(handed, CorruptMessageError())
    assert (error.offset, error.next_offset) == (1, 3)
    assert consumer.partition.position == consumer.partition.fetch_offset == 1


# -- poison ----------------------------------------------------------------------------------------


def _read(data: bytes) -> str:
    if data == value_at(2):
        raise ValueError("not two")
    return data.decode()


def _poisoned(on_poison: OnPoison) -> _Consumer:
    consumer = _Consumer(decoding=Decoding(value=_read, on_poison=on_poison))
    consumer.put(batch_at(0, 5))
    return consumer


def test_values_are_deserialized() -> None:
    consumer = _Consumer(decoding=Decoding(key=len, value=_read))
    consumer.put(batch_at(0, 2))
    (batch,) = consumer.hand_out.take(9)
    assert batch.values() == ["value 0", "value 1"]
    assert batch.keys() == [5, 5]


def test_poison_that_raises_stops_before_itself_until_somebody_seeks() -> None:
    consumer = _poisoned("raise")
    assert consumer.take(9) == [0, 1]
    error = consumer.partition.error
    assert isinstance(error, DeserializationError)
    assert (error.offset, error.next_offset) == (2, 3)
    assert (error.key, error.value) == (b"key 2", value_at(2))
    assert str(error) == "t-0 cannot be read at offset 2: not two"
    assert consumer.partition.position == consumer.partition.fetch_offset == 2
    assert consumer.take(9) == []
    consumer.put(batch_at(0, 5))  # as a fetch from there brings it
    assert consumer.take(9) == []
    assert consumer.partition.position == 2
    consumer.partition.go_to(3)
    consumer.put(batch_at(0, 5))
    assert consumer.take(9) == [3, 4]


def test_poison_that_is_skipped_is_left_out_and_passed() -> None:
    consumer = _poisoned("skip")
    assert consumer.take(2) == [0, 1]
    assert consumer.take(1) == [3]
    assert consumer.partition.position == 4
    assert consumer.take(9) == [4]


def test_poison_goes_to_whoever_wants_it() -> None:
    seen: list[DeserializationError] = []
    consumer = _poisoned(seen.append)
    assert consumer.take(9) == [0, 1, 3, 4]
    assert [error.offset for error in seen] == [2]
    assert consumer.partition.position == 5


def test_a_hook_that_raises_counts_as_raising() -> None:
    def refuse(error: DeserializationError) -> None:
        raise RuntimeError("no")

    consumer = _poisoned(refuse)
    assert consumer.take(9) == [0, 1]
    assert consumer.partition.position == 2
    error = consumer.partition.error
    assert error is not None
    assert isinstance(error.__cause__, RuntimeError)


@pytest.mark.parametrize("on_poison", ["skip", lambda _: None])
def test_a_batch_of_nothing_but_poison_gives_nothing(on_poison: OnPoison) -> None:
    consumer = _Consumer(decoding=Decoding(value=int, on_poison=on_poison))
    consumer.put(batch_at(0, 2))
    assert consumer.take(9) == []
    assert consumer.partition.position == 2


def test_tombstones_and_missing_keys_are_not_deserialized() -> None:
    consumer = _Consumer(decoding=Decoding(key=_read, value=_read))
    consumer.put(encode_batch([Record(None)], now_ms=0))
    (batch,) = consumer.hand_out.take(9)
    assert (batch.keys(), batch.values()) == ([None], [None])
