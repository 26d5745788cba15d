"""What was fetched and not handed out: order, bytes, and what nobody wants any more."""

from kafkalite.client.consumer.prefetch import FetchedPart, Prefetch
from kafkalite.model.ids import TopicPartition
from tests.support.fetched import batch_at, part_of, position_at

_ROOM = 1 << 20


def _drain(part: FetchedPart) -> None:
    part.index = len(part.headers)


def test_parts_come_in_the_order_in_which_they_were_put() -> None:
    prefetch = Prefetch(_ROOM)
    one, two = position_at(0), position_at(0, TopicPartition("t", 1))
    parts = [part_of(one, [batch_at(0, 2)]), part_of(two, [batch_at(0, 1)])]
    assert prefetch.put(parts, 300)
    for part in parts:
        assert prefetch.head() is part
        assert prefetch.head() is part, "it stays until it is empty"
        _drain(part)
    assert prefetch.head() is None
    assert (one.fetch_offset, two.fetch_offset) == (2, 1)


def test_an_answer_takes_room_until_its_last_part_is_gone() -> None:
    prefetch = Prefetch(_ROOM)
    parts = [part_of(position_at(0, TopicPartition("t", n)), [batch_at(0, 1)]) for n in range(2)]
    prefetch.put(parts, 1000)
    assert prefetch.room == _ROOM - 1000
    _drain(parts[0])
    assert prefetch.head() is parts[1]
    assert prefetch.room == _ROOM - 1000
    _drain(parts[1])
    assert prefetch.head() is None
    assert prefetch.room == _ROOM


def test_what_was_asked_for_before_a_seek_is_not_taken() -> None:
    prefetch = Prefetch(_ROOM)
    partition = position_at(0)
    part = part_of(partition, [batch_at(0, 2)])
    partition.go_to(1)
    assert not prefetch.put([part], 100)
    assert partition.fetch_offset == 1
    assert prefetch.room == _ROOM


def test_a_seek_frees_what_had_come() -> None:
    prefetch = Prefetch(_ROOM)
    partition = position_at(0)
    prefetch.put([part_of(partition, [batch_at(0, 2)])], 100)
    partition.go_to(7)
    prefetch.clean()
    assert prefetch.room == _ROOM
    assert prefetch.head() is None


def test_a_paused_partition_lets_others_go_before() -> None:
    prefetch = Prefetch(_ROOM)
    paused, other = position_at(0), position_at(0, TopicPartition("t", 1))
    first = part_of(paused, [batch_at(0, 1)])
    second = part_of(paused, [batch_at(1, 1)])
    others = part_of(other, [batch_at(0, 1)])
    prefetch.put([first, others], 500)
    prefetch.put([second], 100)
    paused.is_paused = True
    assert prefetch.head() is others
    _drain(others)
    assert prefetch.head() is None
    paused.is_paused = False
    prefetch.resume(paused.topic_partition)
    assert prefetch.head() is first
    _drain(first)
    assert prefetch.head() is second


def test_what_is_resumed_comes_before_what_followed_it() -> None:
    prefetch = Prefetch(_ROOM)
    paused, other = position_at(0), position_at(0, TopicPartition("t", 1))
    first = part_of(paused, [batch_at(0, 1)])
    others = part_of(other, [batch_at(0, 1)])
    second = part_of(paused, [batch_at(1, 1)])
    prefetch.put([first, others], 500)
    prefetch.put([second], 100)
    paused.is_paused = True
    assert prefetch.head() is others
    paused.is_paused = False
    prefetch.resume(paused.topic_partition)
    assert prefetch.head() is first


def test_what_is_parked_keeps_no_more_memory_than_its_own() -> None:
    prefetch = Prefetch(_ROOM)
    paused, other = position_at(0), position_at(0, TopicPartition("t", 1))
    parked = part_of(paused, [batch_at(0, 1)])
    others = part_of(other, [batch_at(0, 1)])
    prefetch.put([parked, others], 900_000)
    paused.is_paused = True
    _drain(others)
    assert prefetch.head() is None
    assert prefetch.room == _ROOM - len(batch_at(0, 1))


def test_parked_records_make_way_and_are_fetched_again() -> None:
    prefetch = Prefetch(_ROOM)
    paused = position_at(0)
    prefetch.put([part_of(paused, [batch_at(0, 4)])], 1000)
    assert not prefetch.drop_parked(), "there is something to hand out"
    paused.is_paused = True
    assert prefetch.head() is None
    assert prefetch.drop_parked()
    assert prefetch.room == _ROOM
    assert paused.fetch_offset == paused.position == 0
    assert not prefetch.drop_parked()


def test_a_seek_frees_what_was_parked() -> None:
    prefetch = Prefetch(_ROOM)
    paused = position_at(0)
    prefetch.put([part_of(paused, [batch_at(0, 4)])], 1000)
    paused.is_paused = True
    prefetch.head()
    paused.go_to(9)
    prefetch.clean()
    assert prefetch.room == _ROOM
    prefetch.resume(paused.topic_partition)
    assert prefetch.head() is None
