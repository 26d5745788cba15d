from collections import Counter

import pytest

from kafkalite.client.producer.partitioner import RoundRobin, StickyChoice, weighted
from kafkalite.model.partitioning import partition_for_key


class _Draws:
    """Random numbers in their order."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = list(numbers)

    def __call__(self, below: int) -> int:
        number = self._numbers.pop(0)
        assert 0 <= number < below
        return number


def _sticky(*draws: int, is_adaptive: bool = True) -> StickyChoice:
    return StickyChoice(batch_bytes=100, is_adaptive=is_adaptive, randrange=_Draws(*draws))


@pytest.mark.parametrize(
    ("key", "murmur2"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_keys_go_where_kafkas_hash_says(key: bytes, murmur2: int) -> None:
    assert partition_for_key(key, 1_000) == (murmur2 & 0x7FFFFFFF) % 1_000


def test_one_partition_has_all_records_until_a_batch_has_gone_there() -> None:
    choice = _sticky(2, 0)
    even = lambda: [(0, 0), (1, 0), (2, 0)]  # noqa: E731 - a table
    assert choice.current(3, even) == 2
    choice.batch_ended(2, 60)
    assert choice.current(3, even) == 2
    choice.batch_ended(1, 500)  # somebody's, by key
    assert choice.current(3, even) == 2
    choice.batch_ended(2, 40)
    assert choice.current(3, even) == 0


def test_partitions_without_a_leader_are_left_out() -> None:
    assert _sticky(1).current(3, lambda: [(0, 4), (2, 4)]) == 2


def test_any_partition_will_do_when_none_has_a_leader() -> None:
    assert _sticky(1).current(3, list) == 1


def test_queues_of_different_length_weigh_as_in_kafka() -> None:
    # Kafka's BuiltInPartitionerTest: queues 5, 0, 3, 0, 1 weigh 1, 6, 3, 6, 5.
    sizes = (5, 0, 3, 0, 1)
    drawn = Counter(weighted(sizes, _Draws(number)) for number in range(21))
    assert drawn == {0: 1, 1: 6, 2: 3, 3: 6, 4: 5}


def test_queues_are_not_looked_at_when_told_so() -> None:
    assert _sticky(0, is_adaptive=False).current(2, lambda: [(0, 50), (1, 0)]) == 0


def test_a_choice_is_made_anew_when_partitions_are_fewer() -> None:
    choice = _sticky(2, 0)
    choice.current(3, list)
    assert choice.current(2, list) == 0


def test_round_robin_takes_turns_in_each_topic() -> None:
    choose = RoundRobin()
    turns = [choose("a", b"k", b"", 3) for _ in range(4)]
    assert turns == [0, 1, 2, 0]
    assert choose("b", None, b"", 3) == 0
