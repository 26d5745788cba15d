"""The consumer against a real broker: both faces, alone and in groups."""

import asyncio
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvloop

from kafkalite.client.consumer.async_consumer import AsyncConsumer
from kafkalite.client.consumer.consumer import Consumer
from kafkalite.client.consumer.failures import (
    CommitFailedError,
    ConcurrentUseError,
    DeserializationError,
    NoOffsetError,
    NotAssignedError,
    WakeupError,
)
from kafkalite.client.consumer.listener import Listener
from kafkalite.client.consumer.record import ConsumerRecord
from kafkalite.client.errors import ClosedError
from kafkalite.model.compression import Compression
from kafkalite.model.errors import FencedInstanceIdError, InvalidGroupIdError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record
from tests.support.broker import BrokerProcess
from tests.support.topic import BrokerClient, Topic
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

_numbers = itertools.count()
MakeConsumer = Callable[..., Consumer]
_PATIENCE_S = 30.0


@pytest.fixture
def make(broker: BrokerProcess) -> Iterator[MakeConsumer]:
    """Makes consumers of the shared broker, which read from the beginning unless told."""
    made: list[Consumer] = []

    def make_one(*topics: str, **settings: object) -> Consumer:
        consumer = Consumer(*topics, **{**_settings(broker), **settings})
        made.append(consumer)
        return consumer

    yield make_one
    for each in made:
        each.close()
    assert not [each for each in threading.enumerate() if each.name == "kafkalite-io"]


def _settings(broker: BrokerProcess) -> dict[str, object]:
    return {
        "bootstrap_servers": broker.address,
        "auto_offset_reset": "earliest",
        "session_timeout_ms": 6000,
    }


def _group() -> str:
    return f"client-group-{next(_numbers)}"


def _fill(topic: Topic, count: int, partition: int = 0, start: int = 0) -> list[bytes]:
    values = [b"%d:%d" % (partition, number) for number in range(start, start + count)]
    topic.append(*(Record(value, key=b"k") for value in values), partition=partition)
    return values


def _read(consumer: Consumer, count: int) -> list[ConsumerRecord]:
    """Exactly so many records, however many polls they take."""
    found: list[ConsumerRecord] = []
    deadline_s = time.monotonic() + _PATIENCE_S
    while len(found) < count:
        assert time.monotonic() < deadline_s, f"{len(found)} records of {count}"
        found += consumer.poll(0.5, count - len(found))
    return found


def _values(records: Sequence[ConsumerRecord]) -> list[Any]:
    return [record.value for record in records]


def _poll_until(holds: Callable[[], object], what: str, *consumers: Consumer) -> list[Any]:
    """Have consumers poll until something holds; gives what they read."""
    found: list[Any] = []

    def step() -> bool:
        for each in consumers:
            found.extend(each.poll(0.05).values())
        return bool(holds())

    wait_until(step, what)
    return found


def _read_by(*consumers: Consumer, count: int) -> list[Any]:
    """The values of so many records, whichever of the consumers gets them."""
    found: list[Any] = []

    def step() -> bool:
        for each in consumers:
            found.extend(each.poll(0.05).values())
        return len(found) >= count

    wait_until(step, f"{count} records are read")
    return found


# -- alone -----------------------------------------------------------------------------------------


def test_a_topic_is_read_without_a_group(client: BrokerClient, make: MakeConsumer) -> None:
    topic = client.make_topic(partitions=3)
    sent = [value for number in range(3) for value in _fill(topic, 4, number)]
    with make(topic.name) as consumer:
        assert sorted(_values(_read(consumer, 12))) == sorted(sent)
        assert len(consumer.assignment()) == 3
        assert consumer.subscription() == {topic.name}
        with pytest.raises(InvalidGroupIdError):
            consumer.commit()


def test_partitions_that_are_added_are_read_from_the_first_record(
    client: BrokerClient, make: MakeConsumer
) -> None:
    topic = client.make_topic()
    with make(topic.name, auto_offset_reset="latest", metadata_max_age_ms=200) as consumer:
        _poll_until(consumer.assignment, "it reads", consumer)
        client.http.patch(topic.path, json={"partition_count": 2}).raise_for_status()
        sent = _fill(topic, 3, 1)
        assert _values(_read(consumer, 3)) == sent


@pytest.mark.parametrize("codec", list(Compression))
def test_batches_come_whole_whatever_their_codec(
    client: BrokerClient, make: MakeConsumer, codec: Compression
) -> None:
    topic = client.make_topic()
    topic.append(*(Record(b"x" * 50) for _ in range(100)), codec=codec)
    consumer = make()
    consumer.assign([TopicPartition(topic.name, 0)])
    (batch,) = consumer.batches(timeout=0.5)
    assert batch.values() == [b"x" * 50] * 100


def test_no_more_records_come_than_asked_for(client: BrokerClient, make: MakeConsumer) -> None:
    topic = client.make_topic()
    sent = _fill(topic, 10)
    consumer = make(max_poll_records=4)
    consumer.assign([TopicPartition(topic.name, 0)])
    polled = [_values(list(consumer.poll(5))) for _ in range(3)]
    assert polled == [sent[:4], sent[4:8], sent[8:]]
    assert not consumer.poll(0)


def test_seeking_goes_everywhere(client: BrokerClient, make: MakeConsumer) -> None:
    topic = client.make_topic()
    place = TopicPartition(topic.name, 0)
    topic.append(*(Record(b"%d" % number, timestamp=1000 + number) for number in range(10)))
    consumer = make()
    consumer.assign([place])
    assert _values(_read(consumer, 10))[-1] == b"9"
    consumer.seek(place, 7)
    assert consumer.position(place) == 7
    assert _read(consumer, 1)[0].offset == 7
    consumer.seek_to_beginning()
    assert _read(consumer, 1)[0].offset == 0
    assert consumer.seek_to_time(1004) == {place: 4}
    assert _read(consumer, 1)[0].timestamp == 1004
    assert consumer.seek_to_time(5000, [place]) == {place: None}
    assert consumer.position(place) == 10
    consumer.seek_to_end([place])
    assert consumer.position(place) == 10
    assert not consumer.poll(0.2)
    _fill(topic, 1)
    assert _read(consumer, 1)[0].offset == 10
    with pytest.raises(NotAssignedError):
        consumer.seek(TopicPartition(topic.name, 1), 0)
    with pytest.raises(ValueError, match="-1"):
        consumer.seek(place, -1)


def test_offsets_are_told(client: BrokerClient, make: MakeConsumer) -> None:
    topic = client.make_topic(partitions=2)
    one, two = TopicPartition(topic.name, 0), TopicPartition(topic.name, 1)
    topic.append(*(Record(b"x", timestamp=1000 + number) for number in range(10)))
    client.http.post(
        topic.partition_path(0, "delete-records"), json={"before_offset": 3}
    ).raise_for_status()
    consumer = make()
    assert consumer.partitions_for(topic.name) == {one, two}
    assert consumer.beginning_offsets([one, two]) == {one: 3, two: 0}
    assert consumer.end_offsets([one, two]) == {one: 10, two: 0}
    assert consumer.offsets_for_times({one: 1005, two: 0}) == {one: (5, 1005), two: None}
    consumer.assign([one])
    assert consumer.lag(one) is None or consumer.lag(one) == 7
    _read(consumer, 4)
    assert consumer.lag(one) == 3
    with pytest.raises(NotAssignedError):
        consumer.lag(two)


def test_what_is_paused_is_not_given_and_not_lost(client: BrokerClient, make: MakeConsumer) -> None:
    topic = client.make_topic(partitions=2)
    one, two = TopicPartition(topic.name, 0), TopicPartition(topic.name, 1)
    sent = _fill(topic, 5, 0), _fill(topic, 5, 1)
    consumer = make()
    consumer.assign([one, two])
    consumer.pause(one)
    assert consumer.paused() == {one}
    assert _values(_read(consumer, 5)) == sent[1]
    assert not consumer.poll(0.2)
    consumer.resume(one)
    assert _values(_read(consumer, 5)) == sent[0]


def test_memory_is_bounded_whatever_there_is_to_read(
    client: BrokerClient, make: MakeConsumer
) -> None:
    topic = client.make_topic(partitions=4)
    for number in range(4):
        for _ in range(8):
            topic.append(*(Record(b"x" * 1000) for _ in range(60)), partition=number)
    bound, batch = 200_000, 62_000
    consumer = make(fetch_buffer_bytes=bound)
    consumer.assign([TopicPartition(topic.name, number) for number in range(4)])
    consumer.pause(TopicPartition(topic.name, 3))
    prefetch = consumer.core.core._prefetch
    count = 0
    while count < 3 * 8 * 60:
        count += len(consumer.poll(5, 10))
        assert prefetch.room > -batch
    consumer.resume(TopicPartition(topic.name, 3))
    assert len(_read(consumer, 8 * 60)) == 8 * 60
    assert len({each.partition for each in consumer.poll(0.1)}) == 0


def test_an_offset_that_is_gone_is_reset_as_it_is_set(
    client: BrokerClient, make: MakeConsumer
) -> None:
    topic = client.make_topic()
    place = TopicPartition(topic.name, 0)
    _fill(topic, 10)
    client.http.post(
        topic.partition_path(0, "delete-records"), json={"before_offset": 4}
    ).raise_for_status()
    for reset, lost, position in (("earliest", 99, 4), ("latest", 0, 10), ("earliest", 1, 4)):
        with make(auto_offset_reset=reset) as consumer:
            consumer.assign([place])
            consumer.seek(place, lost)
            consumer.poll(0.3, 1)
            wait_until(partial(_has_left, consumer, place, lost), "it is reset")
            assert consumer.position(place) in {position, position + 1}
    with make(offset_out_of_range="nearest") as consumer:
        consumer.assign([place])
        consumer.seek(place, 99)
        wait_until(lambda: consumer.position(place) == 10, "it goes to the nearer end")


def _has_left(consumer: Consumer, place: TopicPartition, offset: int) -> bool:
    return consumer.position(place) != offset


def test_without_a_reset_policy_a_place_has_to_be_said(
    client: BrokerClient, make: MakeConsumer
) -> None:
    topic = client.make_topic()
    place = TopicPartition(topic.name, 0)
    sent = _fill(topic, 3)
    consumer = make(auto_offset_reset="none")
    consumer.assign([place])
    with pytest.raises(NoOffsetError, match=f"in {place}, and"):
        consumer.poll(10)
    consumer.seek(place, 1)
    assert _values(_read(consumer, 2)) == sent[1:]


def test_a_topic_that_was_made_again_is_read_from_its_first_record(
    client: BrokerClient, make: MakeConsumer
) -> None:
    topic = client.make_topic()
    _fill(topic, 5)
    consumer = make(topic.name)
    _read(consumer, 5)
    client.http.delete(topic.path).raise_for_status()
    wait_until(lambda: client.http.get(topic.path).status_code == 404, "it is gone")
    consumer.poll(0.1)
    wait_until(
        lambda: client.http.post("/v1/topics", json={"name": topic.name}).status_code == 201,
        "it is made again",
    )
    sent = _fill(topic, 3, start=50)
    assert _values(_read(consumer, 3)) == sent


def test_a_topic_may_come_later(client: BrokerClient, make: MakeConsumer) -> None:
    name = f"later-{next(_numbers)}"
    consumer = make(name, auto_offset_reset="latest")
    assert not consumer.poll(0.2)
    topic = client.make_topic(name=name)
    sent = _fill(topic, 2)
    assert _values(_read(consumer, 2)) == sent


# -- poison ----------------------------------------------------------------------------------------


def test_poison_stops_at_its_place_until_somebody_seeks_past_it(
    client: BrokerClient, make: MakeConsumer
) -> None:
    topic = client.make_topic()
    place = TopicPartition(topic.name, 0)
    topic.append(*(Record(data) for data in (b'{"a":1}', b"{", b'{"a":3}')))
    consumer = make(value_deserializer="json")
    consumer.assign([place])
    assert _values(_read(consumer, 1)) == [{"a": 1}]
    for _ in range(2):
        with pytest.raises(DeserializationError) as raised:
            consumer.poll(10)
        assert (raised.value.offset, raised.value.value) == (1, b"{")
        assert consumer.position(place) == 1
    consumer.seek(raised.value.topic_partition, raised.value.next_offset)
    assert _values(_read(consumer, 1)) == [{"a": 3}]


def test_poison_may_be_put_aside(client: BrokerClient, make: MakeConsumer) -> None:
    topic = client.make_topic()
    topic.append(*(Record(data) for data in (b"1", b"x", b"3")))
    aside: list[bytes | None] = []
    consumer = make(value_deserializer=int, on_poison=lambda error: aside.append(error.value))
    consumer.assign([TopicPartition(topic.name, 0)])
    assert _values(_read(consumer, 2)) == [1, 3]
    assert aside == [b"x"]


# -- iteration -------------------------------------------------------------------------------------


def test_leaving_off_an_iteration_loses_nothing(client: BrokerClient, make: MakeConsumer) -> None:
    topic = client.make_topic()
    place = TopicPartition(topic.name, 0)
    sent = _fill(topic, 10)
    consumer = make(topic.name, group_id=_group(), consumer_timeout_ms=300)
    _poll_until(consumer.assignment, "it is assigned", consumer)
    consumer.seek_to_beginning()
    found = []
    for record in consumer:
        found.append(record.value)
        if len(found) == 3:
            break
    assert consumer.position(place) == 3
    found += _values(_read(consumer, 2))
    for record in consumer:
        found.append(record.value)
        consumer.commit()
        assert consumer.committed([place])[place].offset == record.offset + 1
    assert found == sent


def test_batches_are_given_whole(client: BrokerClient, make: MakeConsumer) -> None:
    topic = client.make_topic()
    sent = [_fill(topic, 3), _fill(topic, 2)]
    consumer = make(max_poll_records=1)
    consumer.assign([TopicPartition(topic.name, 0)])
    assert [batch.values() for batch in consumer.batches(timeout=0.5)] == sent


# -- groups ----------------------------------------------------------------------------------------


class _Story(Listener):
    """What a listener was told, and what it does then."""

    def __init__(self, on_revoked: Callable[[], object] = lambda: None) -> None:
        self.told: list[tuple[str, list[int]]] = []
        self._on_revoked = on_revoked

    def on_revoked(self, partitions: Collection[TopicPartition], /) -> None:
        self._on_revoked()
        self._tell("revoked", partitions)

    def on_assigned(self, partitions: Collection[TopicPartition], /) -> None:
        self._tell("assigned", partitions)

    def on_lost(self, partitions: Collection[TopicPartition], /) -> None:
        self._tell("lost", partitions)

    def _tell(self, what: str, partitions: Collection[TopicPartition]) -> None:
        self.told.append((what, sorted(each.partition for each in partitions)))


def test_a_group_goes_on_where_it_was(client: BrokerClient, make: MakeConsumer) -> None:
    topic = client.make_topic()
    group = _group()
    sent = _fill(topic, 6)
    with make(topic.name, group_id=group) as first:
        assert _values(_read(first, 2)) == sent[:2]
    with make(topic.name, group_id=group, enable_auto_commit=False) as second:
        assert _values(_read(second, 2)) == sent[2:4]
    with make(topic.name, group_id=group) as third:
        assert _values(_read(third, 4)) == sent[2:]


def test_what_was_given_last_is_committed_by_the_next_poll_only(
    client: BrokerClient, make: MakeConsumer
) -> None:
    topic = client.make_topic()
    place = TopicPartition(topic.name, 0)
    _fill(topic, 4)
    consumer = make(topic.name, group_id=_group(), auto_commit_interval_ms=0)
    _read(consumer, 2)
    assert consumer.committed([place]).get(place, (0,))[0] == 0, "they may be worked on"
    wait_until(
        lambda: (
            consumer.poll(0, 1) is not None and consumer.committed([place]).get(place, (0,))[0] >= 2
        ),
        "it is committed",
    )


def test_partitions_go_to_a_second_member_and_come_back(
    client: BrokerClient, make: MakeConsumer
) -> None:
    topic = client.make_topic(partitions=4)
    group = _group()
    story, other = _Story(), _Story()
    one = make(group_id=group)
    one.subscribe(topic.name, listener=story)
    _poll_until(lambda: len(one.assignment()) == 4, "it has all", one)
    sent = [value for number in range(4) for value in _fill(topic, 5, number)]
    found = _values(_read(one, 20))
    two = make(group_id=group)
    two.subscribe(topic.name, listener=other)
    found += _poll_until(
        lambda: len(one.assignment()) == len(two.assignment()) == 2, "they share", one, two
    )
    later = [value for number in range(4) for value in _fill(topic, 5, number, 5)]
    found += _read_by(one, two, count=40 - len(found))
    assert sorted(found) == sorted(sent + later), "once each"
    two.close()
    assert other.told[-1][0] == "revoked"
    _poll_until(lambda: len(one.assignment()) == 4, "it has all again", one)
    assert [what for what, _ in story.told] == ["assigned", "revoked", "assigned"]
    assert story.told[1][1] == story.told[2][1]


def test_a_listener_may_commit_what_goes(client: BrokerClient, make: MakeConsumer) -> None:
    topic = client.make_topic(partitions=2)
    group = _group()
    one = make(group_id=group, enable_auto_commit=False)
    story = _Story(on_revoked=one.commit)
    one.subscribe(topic.name, listener=story)
    _poll_until(lambda: len(one.assignment()) == 2, "it has both", one)
    _fill(topic, 3, 0), _fill(topic, 3, 1)
    _read(one, 6)
    two = make(topic.name, group_id=group)
    read = _poll_until(lambda: len(two.assignment()) == 1, "it has one", one, two)
    assert read == [], "nothing is read twice"
    committed = two.committed([TopicPartition(topic.name, number) for number in range(2)])
    assert [each.offset for each in committed.values()] == [3, 3]


def test_what_a_listener_raises_comes_out_of_the_poll(
    client: BrokerClient, make: MakeConsumer
) -> None:
    topic = client.make_topic()

    class Refuses(Listener):
        def on_assigned(self, partitions: Collection[TopicPartition], /) -> None:
            raise RuntimeError("not today")

    sent = _fill(topic, 1)
    consumer = make(group_id=_group())
    consumer.subscribe(topic.name, listener=Refuses())
    with pytest.raises(RuntimeError, match="not today"):
        consumer.poll(20)
    assert _values(_read(consumer, 1)) == sent


def test_who_does_not_poll_is_out_and_comes_back(client: BrokerClient, make: MakeConsumer) -> None:
    topic = client.make_topic()
    group = _group()
    _fill(topic, 4)
    story = _Story()
    slow = make(group_id=group, max_poll_interval_ms=400)
    slow.subscribe(topic.name, listener=story)
    first = _values(_read(slow, 2))
    wait_until(
        lambda: client.http.get(f"/v1/groups/{group}").json()["members"] == [], "it has left"
    )
    with pytest.raises(CommitFailedError):
        slow.commit()
    again = _values(_read(slow, 4))
    assert again[:2] == first, "what it did not commit it reads again"
    assert [what for what, _ in story.told] == ["assigned", "lost", "assigned"]


def test_a_static_member_is_fenced_by_its_successor(
    client: BrokerClient, make: MakeConsumer
) -> None:
    topic = client.make_topic()
    group = _group()
    first = make(topic.name, group_id=group, group_instance_id="me")
    _poll_until(first.assignment, "it is assigned", first)
    second = make(topic.name, group_id=group, group_instance_id="me")
    _poll_until(second.assignment, "it has the place", second)
    with pytest.raises(FencedInstanceIdError):
        _poll_until(lambda: False, "it is fenced", first)


def test_a_pattern_also_means_topics_that_come_later(
    client: BrokerClient, make: MakeConsumer
) -> None:
    prefix = f"pattern-{next(_numbers)}"
    consumer = make(group_id=_group())
    consumer.subscribe(pattern=f"{prefix}.*")
    consumer.poll(0.1)
    topic = client.make_topic(name=f"{prefix}-a")
    sent = _fill(topic, 2)
    assert _values(_read(consumer, 2)) == sent
    with pytest.raises(InvalidGroupIdError):
        make().subscribe(pattern="x")


def test_a_subscription_may_change(client: BrokerClient, make: MakeConsumer) -> None:
    one, two = client.make_topic(), client.make_topic()
    _fill(one, 2), _fill(two, 3)
    consumer = make(one.name, group_id=_group())
    assert {each.topic for each in _read(consumer, 2)} == {one.name}
    consumer.subscribe(two.name)
    assert {each.topic for each in _read(consumer, 3)} == {two.name}
    assert consumer.assignment() == {TopicPartition(two.name, 0)}
    with pytest.raises(ValueError, match="unsubscribe first"):
        consumer.assign([TopicPartition(one.name, 0)])
    consumer.unsubscribe()
    assert consumer.assignment() == frozenset()
    consumer.assign([TopicPartition(one.name, 0)])
    assert not consumer.poll(0.2), "the group has read it"
    with pytest.raises(ValueError, match="unsubscribe first"):
        consumer.subscribe(one.name)


def test_somebody_alone_commits_for_a_group_without_members(
    client: BrokerClient, make: MakeConsumer
) -> None:
    topic = client.make_topic()
    place = TopicPartition(topic.name, 0)
    group = _group()
    _fill(topic, 9)
    with make(group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign([place])
        consumer.commit({place: 7})
        assert consumer.committed([place])[place].offset == 7
    with make(topic.name, group_id=group) as consumer:
        assert _read(consumer, 1)[0].offset == 7


def test_commits_in_the_background_tell_what_became_of_them(
    client: BrokerClient, make: MakeConsumer
) -> None:
    topic = client.make_topic()
    place = TopicPartition(topic.name, 0)
    _fill(topic, 2)
    told: list[Any] = []
    consumer = make(topic.name, group_id=_group(), enable_auto_commit=False)
    _read(consumer, 2)
    consumer.commit_async(on_done=lambda offsets, error: told.append((offsets, error)))
    wait_until(lambda: told, "it is told")
    assert [(offsets[place].offset, error) for offsets, error in told] == [(2, None)]


# -- life ------------------------------------------------------------------------------------------


def test_a_wakeup_ends_the_poll_that_waits(client: BrokerClient, make: MakeConsumer) -> None:
    consumer = make(client.make_topic().name)
    timer = threading.Timer(0.1, consumer.wakeup)
    timer.start()
    with pytest.raises(WakeupError):
        consumer.poll(_PATIENCE_S)
    timer.join()
    assert not consumer.poll(0), "once"


def test_two_threads_at_once_are_told_so(client: BrokerClient, make: MakeConsumer) -> None:
    consumer = make(client.make_topic().name)
    waiting = threading.Thread(target=lambda: consumer.poll(1.0))
    waiting.start()

    def is_refused() -> bool:
        try:
            consumer.poll(0)
        except ConcurrentUseError:
            return True
        return False

    wait_until(is_refused, "the second one is refused")
    waiting.join()


def test_a_closed_consumer_says_so(client: BrokerClient, make: MakeConsumer) -> None:
    consumer = make(client.make_topic().name)
    consumer.close()
    consumer.close()
    with pytest.raises(ClosedError):
        consumer.poll(0)
    assert list(consumer) == []


def test_no_thread_socket_or_task_is_left_behind(
    broker: BrokerProcess, client: BrokerClient
) -> None:
    topic = client.make_topic()
    _fill(topic, 3)

    def use() -> None:
        with Consumer(topic.name, group_id=_group(), **_settings(broker)) as consumer:
            _read(consumer, 3)

    use()
    before = _descriptors()
    for _ in range(3):
        use()
    wait_until(lambda: _descriptors() <= before, "descriptors are closed")
    assert not [each for each in threading.enumerate() if each.name == "kafkalite-io"]


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_what_was_in_hand_when_something_went_wrong_is_read_again(
    client: BrokerClient, make: MakeConsumer
) -> None:
    topic = client.make_topic()
    group = _group()
    sent = _fill(topic, 4)
    consumer = make(topic.name, group_id=group)

    def fail_at_the_first() -> None:
        with consumer:
            for _ in consumer:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_at_the_first()
    with make(topic.name, group_id=group) as again:
        assert _values(_read(again, 4)) == sent


_FORGETFUL = """
import sys
from kafkalite import Consumer

address, topic, group = sys.argv[1:]
consumer = Consumer(
    topic, bootstrap_servers=address, group_id=group, auto_offset_reset="earliest"
)
print(next(iter(consumer)).value.decode())
"""


def test_a_program_that_ends_without_a_word_leaves_its_group(
    broker: BrokerProcess, client: BrokerClient
) -> None:
    topic = client.make_topic()
    group = _group()
    _fill(topic, 2)
    command = [sys.executable, "-c", _FORGETFUL, broker.address, topic.name, group]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0:0\n", "")
    assert client.http.get(f"/v1/groups/{group}").json()["members"] == []


def test_a_forked_child_leaves_its_parents_consumer_alone(
    client: BrokerClient, make: MakeConsumer
) -> None:
    topic = client.make_topic()
    sent = _fill(topic, 4)
    consumer = make(topic.name, group_id=_group())
    _read(consumer, 2)
    child = os.fork()
    if not child:
        try:
            consumer.poll(0)
        except ClosedError:
            consumer.close()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert _values(_read(consumer, 2)) == sent[2:]


def test_no_broker_is_no_error_until_it_is_too_late(make: MakeConsumer) -> None:
    consumer = make(
        bootstrap_servers="127.0.0.1:1", retry_backoff_ms=10, default_api_timeout_ms=300
    )
    consumer.subscribe("t")
    assert not consumer.poll(0.2)


# -- asyncio ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_asynchronous_face_does_the_same(
    broker: BrokerProcess,
    client: BrokerClient,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    topic = client.make_topic(partitions=2)
    sent = _fill(topic, 5, 0) + _fill(topic, 5, 1)
    story: list[str] = []

    class Told(Listener):
        async def on_assigned(self, partitions: Collection[TopicPartition], /) -> None:
            await asyncio.sleep(0)
            story.append("assigned")

        async def on_revoked(self, partitions: Collection[TopicPartition], /) -> None:
            story.append("revoked")

    async def read() -> None:
        settings = {**_settings(broker), "group_id": _group(), "consumer_timeout_ms": 400}
        async with AsyncConsumer(**settings) as consumer:
            await consumer.subscribe(topic.name, listener=Told())
            found = [record.value async for record in consumer]
            assert sorted(found) == sorted(sent)
            await consumer.commit()
            committed = await consumer.committed()
            assert [each.offset for each in committed.values()] == [5, 5]
            await consumer.seek_to_beginning()
            batches = [batch.values() async for batch in consumer.batches(0.4)]
            assert sorted(batches) == [sent[:5], sent[5:]]
            assert not await consumer.poll(0)
            asyncio.get_running_loop().call_later(0.05, consumer.wakeup)
            with pytest.raises(WakeupError):
                await consumer.poll(_PATIENCE_S)
        assert story == ["assigned", "revoked"]
        with pytest.raises(ClosedError):
            await consumer.poll(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(read())


def test_a_poll_that_is_cancelled_loses_nothing(
    broker: BrokerProcess, client: BrokerClient
) -> None:
    topic = client.make_topic()

    async def read() -> None:
        async with AsyncConsumer(topic.name, **_settings(broker)) as consumer:
            waiting = asyncio.create_task(consumer.poll(_PATIENCE_S))
            await asyncio.sleep(0.2)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            sent = await asyncio.to_thread(_fill, topic, 2)
            assert [record.value for record in await consumer.poll(10)] == sent

    asyncio.run(read())
