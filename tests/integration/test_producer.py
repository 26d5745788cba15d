"""`Producer` and `AsyncProducer` against a broker of its own process."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop

from kafkalite import AsyncProducer, Producer
from kafkalite.client.errors import (
    BufferExhaustedError,
    ClosedError,
    ConfigError,
    SerializationError,
)
from kafkalite.client.producer.confirms import Confirms
from kafkalite.model.errors import (
    InvalidPartitionsError,
    InvalidTopicError,
    MessageTooLargeError,
    RequestTimedOutError,
)
from tests.support.broker import BrokerProcess
from tests.support.topic import BrokerClient, Topic
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper, free_port

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on a loop of its own."""
    runner: Run = request.param
    return runner


@pytest.fixture
def topic(broker: BrokerProcess) -> Iterator[Topic]:
    with BrokerClient(broker.url) as client:
        yield client.make_topic()


def _values(topic: Topic) -> list[bytes | None]:
    return [record.value for record in topic.read_all()]


def _descriptors() -> int:
    return sum(1 for _ in os.scandir("/proc/self/fd"))


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_records_are_stored_as_they_were_sent(broker: BrokerProcess, topic: Topic) -> None:
    with Producer(bootstrap_servers=broker.address) as producer:
        producer.send(topic.name, b"plain")
        producer.send(topic.name, b"v", b"k", headers=[("h", b"x"), ("n", None)], timestamp=5)
        producer.send(topic.name, None, key=b"gone", partition=0)
        metadata = producer.send(topic.name, bytearray(b"last"), headers={"h": b"y"}).result(30)
    assert (metadata.topic, metadata.partition, metadata.offset) == (topic.name, 0, 3)
    records = topic.read_all()
    assert [(record.value, record.key) for record in records] == [
        (b"plain", None),
        (b"v", b"k"),
        (None, b"gone"),
        (b"last", None),
    ]
    assert records[1].headers == (("h", b"x"), ("n", None))
    assert records[1].timestamp == 5
    assert records[3].timestamp == metadata.timestamp


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_many_values_are_stored_in_order(
    broker: BrokerProcess, topic: Topic, compression: str
) -> None:
    values = [b"%05d" % number * 5 for number in range(3_000)]
    with Producer(
        bootstrap_servers=broker.address, batch_size=8_000, compression_type=compression
    ) as producer:
        deliveries = producer.send_many(topic.name, values)
        assert [metadata.offset for metadata in deliveries.result(30)] == list(range(3_000))
    assert _values(topic) == values


def test_an_async_producer_does_the_same_on_any_loop(
    broker: BrokerProcess, topic: Topic, run: Run
) -> None:
    async def produce() -> None:
        async with AsyncProducer(bootstrap_servers=broker.address) as producer:
            first = await producer.send(topic.name, b"a", key=b"k")
            many = await producer.send_many(topic.name, [b"b", b"c"])
            assert (await first).offset == 0
            assert [metadata.offset for metadata in await many] == [1, 2]
            await producer.send(topic.name, b"d")
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    run(produce())
    assert _values(topic) == [b"a", b"b", b"c", b"d"]


def test_serializers_turn_keys_and_values_into_bytes(broker: BrokerProcess, topic: Topic) -> None:
    with Producer(
        bootstrap_servers=broker.address, key_serializer="str", value_serializer="json"
    ) as producer:
        producer.send(topic.name, {"a": 1}, key="k")
        producer.send_many(topic.name, [[1], "x"])
    assert [(record.key, record.value) for record in topic.read_all()] == [
        (b"k", b'{"a":1}'),
        (None, b"[1]"),
        (None, b'"x"'),
    ]


def test_what_cannot_be_sent_is_refused_where_it_is_sent(
    broker: BrokerProcess, topic: Topic
) -> None:
    wrong: Any = {"h": "text"}
    with Producer(bootstrap_servers=broker.address, max_request_size=1_000) as producer:
        with pytest.raises(SerializationError, match="value_serializer"):
            producer.send(topic.name, "text")
        with pytest.raises(SerializationError, match="key_serializer"):
            producer.send(topic.name, b"v", key=5)
        with pytest.raises(SerializationError, match="Header 'h'"):
            producer.send(topic.name, b"v", headers=wrong)
        with pytest.raises(SerializationError, match="timestamp"):
            producer.send(topic.name, b"v", timestamp=-5)
        with pytest.raises(SerializationError):
            producer.send_many(topic.name, [b"v", "text"])
        with pytest.raises(InvalidPartitionsError):
            producer.send(topic.name, b"v", partition=1)
        with pytest.raises(MessageTooLargeError, match=r"max\.request\.size"):
            producer.send(topic.name, b"x" * 2_000).result(30)
    assert _values(topic) == []


def test_a_topic_comes_to_be_by_sending_to_it(broker: BrokerProcess) -> None:
    name = f"made-by-a-producer-{time.monotonic_ns()}"
    with Producer(bootstrap_servers=broker.address) as producer:
        assert producer.send(name, b"v").result(30).offset == 0
        with pytest.raises(InvalidTopicError):
            producer.send("no/topic", b"v")


def test_threads_share_a_producer_and_each_has_its_order(
    broker: BrokerProcess, topic: Topic
) -> None:
    with Producer(bootstrap_servers=broker.address, batch_size=2_000) as producer:

        def send(name: int) -> None:
            for number in range(2_000):
                producer.send(topic.name, b"%d %d" % (name, number))

        threads = [threading.Thread(target=send, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    pairs = [tuple(map(int, value.split())) for value in _values(topic) if value]
    assert len(pairs) == 8_000
    for name in range(4):
        assert [number for who, number in pairs if who == name] == list(range(2_000))


def test_deliveries_of_threads_say_where_their_own_record_is(
    broker: BrokerProcess, topic: Topic
) -> None:
    sent: list[tuple[bytes, Any]] = []
    with Producer(bootstrap_servers=broker.address) as producer:

        def send(name: int) -> None:
            for number in range(500):
                value = b"%d %d" % (name, number)
                sent.append((value, producer.send(topic.name, value)))

        threads = [threading.Thread(target=send, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        producer.flush(30)
    values = _values(topic)
    assert all(values[delivery.result(0).offset] == value for value, delivery in sent)


def test_confirms_are_acks_of_a_real_broker(broker: BrokerProcess, topic: Topic) -> None:
    acked: list[int] = []
    with Producer(bootstrap_servers=broker.address) as producer:
        confirms = Confirms(on_ack=lambda tag, metadata: acked.append(metadata.offset))
        for number in range(100):
            confirms.track(producer.send(topic.name, b"%d" % number))
        assert confirms.wait_for_confirms(30)
    assert acked == list(range(100))


def test_nothing_is_left_behind(broker: BrokerProcess, topic: Topic) -> None:
    threads, descriptors = _threads(), _descriptors()
    for _ in range(3):
        with Producer(bootstrap_servers=broker.address) as producer:
            producer.send(topic.name, b"v").result(30)
    assert _threads() == threads
    assert _descriptors() == descriptors


def test_an_idle_producer_uses_no_time(broker: BrokerProcess, topic: Topic) -> None:
    with Producer(bootstrap_servers=broker.address) as producer:
        producer.send(topic.name, b"v").result(30)
        before = time.process_time()
        threading.Event().wait(0.3)
        assert time.process_time() - before < 0.2


def test_a_closed_producer_refuses(broker: BrokerProcess, topic: Topic) -> None:
    producer = Producer(bootstrap_servers=broker.address)
    producer.send(topic.name, b"v")
    producer.close()
    producer.close()
    with pytest.raises(ClosedError):
        producer.send(topic.name, b"v")
    assert _values(topic) == [b"v"]


def test_a_callback_that_finds_no_room_is_told_instead_of_blocking_everything(
    broker: BrokerProcess, topic: Topic
) -> None:
    told: list[Exception] = []
    with Producer(bootstrap_servers=broker.address, buffer_memory=20_000) as producer:

        def flood(_: object) -> None:
            try:
                while True:
                    producer.send(topic.name, b"x" * 1_000)
            except BufferExhaustedError as error:
                told.append(error)

        producer.send(topic.name, b"v").add_done_callback(flood)
        wait_until(lambda: told, "the callback is told")
    assert "callback" in str(told[0])


@pytest.mark.parametrize("wait", ["flush", "result", "exception"])
def test_a_callback_that_waits_is_told_instead_of_waiting_for_itself(
    broker: BrokerProcess, topic: Topic, wait: str
) -> None:
    told: list[Exception] = []
    with Producer(bootstrap_servers=broker.address) as producer:

        def wait_for_itself(_: object) -> None:
            try:
                delivery = producer.send(topic.name, b"second")
                if wait == "flush":
                    producer.flush()
                else:
                    getattr(delivery, wait)()
            except RuntimeError as error:
                told.append(error)

        producer.send(topic.name, b"first").add_done_callback(wait_for_itself)
        wait_until(lambda: told, "the callback is told")
    assert "callback" in str(told[0])
    assert _values(topic) == [b"first", b"second"]


@pytest.mark.slow
def test_nothing_is_lost_when_the_interpreter_exits(broker: BrokerProcess, topic: Topic) -> None:
    program = f"""
from kafkalite import Producer
producer = Producer(bootstrap_servers={broker.address!r}, linger_ms=50_000)
for number in range(500):
    producer.send({topic.name!r}, b"%d" % number)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert _values(topic) == [b"%d" % number for number in range(500)]


@pytest.mark.slow
def test_nothing_is_lost_when_the_interpreter_exits_while_a_daemon_closes(
    broker: BrokerProcess, topic: Topic
) -> None:
    program = f"""
import threading, time
from kafkalite import Producer
producer = Producer(bootstrap_servers={broker.address!r}, linger_ms=50_000, batch_size=100)
for number in range(500):
    producer.send({topic.name!r}, b"%d" % number)
threading.Thread(target=producer.close, daemon=True).start()
while producer._core.is_open:
    time.sleep(0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=60, capture_output=True
    )
    assert _values(topic) == [b"%d" % number for number in range(500)]
    assert done.stderr == b""


@pytest.mark.slow
def test_a_forked_child_is_refused_and_the_parent_goes_on(
    broker: BrokerProcess, topic: Topic
) -> None:
    program = f"""
import os
from kafkalite import Producer
from kafkalite.client.errors import ClosedError
with Producer(bootstrap_servers={broker.address!r}, linger_ms=1_000) as producer:
    producer.send({topic.name!r}, b"before")
    child = os.fork()
    if child == 0:
        try:
            producer.send({topic.name!r}, b"child")
        except ClosedError as error:
            assert "fork" in str(error), error
            with Producer(bootstrap_servers={broker.address!r}) as own:
                own.send({topic.name!r}, b"own").result(30)
            producer.close()
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    producer.send({topic.name!r}, b"after")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert sorted(filter(None, _values(topic))) == [b"after", b"before", b"own"]


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.05, 0.11, 0.17, 0.23])
def test_an_interrupted_loop_of_sends_leaves_the_producer_whole(
    broker: BrokerProcess, topic: Topic, delay_s: float
) -> None:
    # A process of its own: in this one the interruption could come in a hook of the test runner.
    program = f"""
import json, signal, threading
from kafkalite import Producer

is_caught = threading.Event()

def interrupt():
    pause_s = {delay_s}
    while not is_caught.wait(pause_s):
        signal.raise_signal(signal.SIGINT)
        # Python drops an exception that comes while an object is being deleted.
        pause_s = 5

signal.signal(signal.SIGINT, signal.default_int_handler)
deliveries = []
with Producer(bootstrap_servers={broker.address!r}, batch_size=3_000) as producer:
    producer.send({topic.name!r}, b"first").result(30)
    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    number = 0
    try:
        while True:
            number += 1
            deliveries.append((number, producer.send({topic.name!r}, b"%d" % number)))
    except KeyboardInterrupt:
        is_caught.set()
    interrupting.join()
    producer.flush(30)
    producer.send({topic.name!r}, b"last").result(30)
    assert producer._core.memory.free == producer._core.memory.total
print(json.dumps([(number, delivery.result(0).offset) for number, delivery in deliveries]))
"""
    child = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=60, stdout=subprocess.PIPE
    )
    sent = json.loads(child.stdout)
    values = _values(topic)
    assert sent
    assert all(values[offset] == b"%d" % number for number, offset in sent)
    # What was being sent when it was interrupted may be there or not.
    assert 0 <= len(values) - len(sent) - 2 <= 1
    assert len(set(values)) == len(values)


def test_settings_that_are_wrong_are_refused_before_anything_runs() -> None:
    threads = _threads()
    with pytest.raises(ConfigError, match="linger_ms"):
        Producer(linger_mss=5)
    assert _threads() == threads


def test_a_send_without_any_broker_says_so_after_max_block_ms() -> None:
    with (
        Producer(bootstrap_servers=f"127.0.0.1:{free_port()}", max_block_ms=200) as producer,
        pytest.raises(RequestTimedOutError, match=r"max\.block\.ms"),
    ):
        producer.send("t", b"v")


@pytest.mark.slow
def test_a_broker_that_is_killed_again_and_again_stores_each_record_once_in_order(
    embedded_zookeeper: EmbeddedZooKeeper, tmp_path: Any
) -> None:
    connect = f"{embedded_zookeeper.hosts}/killed-under-producer"
    with BrokerProcess(tmp_path / "broker", connect) as broker:
        with BrokerClient(broker.url) as client:
            client.make_topic(name="killed")
        sent: list[bytes] = []
        with Producer(bootstrap_servers=broker.address, batch_size=2_000) as producer:
            stop = threading.Event()

            def send() -> None:
                while not stop.is_set():
                    value = b"%d" % len(sent)
                    producer.send("killed", value)
                    sent.append(value)
                    if len(sent) % 50 == 0:
                        stop.wait(0.001)

            thread = threading.Thread(target=send)
            thread.start()
            for _ in range(3):
                count = len(sent)
                wait_until(lambda: len(sent) > count + 2_000, "sending")  # noqa: B023 - at once
                broker.kill()
                broker.start()
            stop.set()
            thread.join()
            producer.flush(60)
        with BrokerClient(broker.url) as client:
            assert _values(Topic(client, "killed")) == sent


def test_any_broker_of_the_list_that_lives_is_enough(broker: BrokerProcess) -> None:
    dead = f"127.0.0.1:{free_port()}"
    with Producer(bootstrap_servers=(dead, broker.address)) as producer:
        assert producer.send(f"any-{time.monotonic_ns()}", b"v").result(30).offset == 0
