"""confluent-kafka at work: `python -m benchmarks.peers.confluent_worker`, tasks on its stdin."""

import time
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.peers.task import Outcome, Stopwatch, Task, serve
from benchmarks.peers.values import LIST_RECORDS, make_values

_CREATE_TIMEOUT_S: Final = 90.0
_POLL_S: Final = 0.1
_WAIT_S: Final = 30.0
_POLLED_RECORDS: Final = 10_000
_QUEUED_RECORDS: Final = 1_000_000
_BACKOFF_MS: Final = 1


def _producer(task: Task, **settings: Any) -> Producer:  # noqa: ANN401 - of many types
    return Producer(
        {
            "bootstrap.servers": task.servers,
            "acks": task.acks,
            "compression.type": task.compression,
            "queue.buffering.max.messages": _QUEUED_RECORDS,
            **{name.replace("_", "."): value for name, value in settings.items()},
        }
    )


def _consumer(task: Task, offset: int, **settings: Any) -> Consumer:  # noqa: ANN401
    consumer = Consumer(
        {
            "bootstrap.servers": task.servers,
            "group.id": "benchmark",
            "enable.auto.commit": False,
            # As they come, it stops for a second whenever 100,000 records wait for the program.
            "queued.min.messages": _QUEUED_RECORDS,
            "fetch.queue.backoff.ms": _BACKOFF_MS,
            **{name.replace("_", "."): value for name, value in settings.items()},
        }
    )
    consumer.assign([TopicPartition(task.topic, 0, offset)])
    return consumer


def create(task: Task) -> Outcome:
    """Make a topic of one partition, once there are brokers enough."""
    admin = AdminClient({"bootstrap.servers": task.servers})
    deadline = time.monotonic() + _CREATE_TIMEOUT_S
    while True:
        made = admin.create_topics([NewTopic(task.topic, 1, task.replicas)])[task.topic]
        try:
            made.result()
            break
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)
    while True:
        topic = admin.list_topics(timeout=_WAIT_S).topics.get(task.topic)
        if topic is not None and all(
            each.leader >= 0 and len(each.isrs) == task.replicas
            for each in topic.partitions.values()
        ):
            return Outcome()
        if time.monotonic() > deadline:
            raise TimeoutError(f"The replicas of {task.topic} do not get in sync")
        time.sleep(_POLL_S)


def delete(task: Task) -> Outcome:
    """Delete a topic and what it holds."""
    admin = AdminClient({"bootstrap.servers": task.servers})
    admin.delete_topics([task.topic])[task.topic].result()
    return Outcome()


def end(task: Task) -> Outcome:
    """The offset after the last record."""
    consumer = _consumer(task, 0)
    _, high = consumer.get_watermark_offsets(TopicPartition(task.topic, 0), timeout=_WAIT_S)
    consumer.close()
    return Outcome(end_offset=high)


def produce(task: Task) -> Outcome:
    """A loop over single records."""
    values = make_values(task.values)
    producer = _producer(task)
    producer.list_topics(task.topic, timeout=_WAIT_S)
    send, poll, topic = producer.produce, producer.poll, task.topic
    records = size = 0
    watch = Stopwatch()
    while records < task.count:
        for value in values:
            while True:
                try:
                    send(topic, value)
                    break
                except BufferError:
                    poll(_POLL_S)
            size += len(value)
        records += len(values)
        poll(0)
    left = producer.flush(_WAIT_S)
    outcome = watch.outcome(records, size)
    if left:
        raise TimeoutError(f"{left} records were not delivered")
    return outcome


def produce_lists(task: Task) -> Outcome:
    """Lists of records, each with one call."""
    values = make_values(task.values)[:LIST_RECORDS]
    producer = _producer(task)
    producer.list_topics(task.topic, timeout=_WAIT_S)
    list_size = sum(map(len, values))
    records = size = 0
    watch = Stopwatch()
    while records < task.count:
        # Its dictionaries are made anew: that is how a list of values gets there.
        messages = [{"value": value} for value in values]
        while messages:
            taken = producer.produce_batch(task.topic, messages)
            messages = messages[taken:]
            if messages:
                producer.poll(_POLL_S)
        records += len(values)
        size += list_size
        producer.poll(0)
    left = producer.flush(_WAIT_S)
    outcome = watch.outcome(records, size)
    if left:
        raise TimeoutError(f"{left} records were not delivered")
    return outcome


def consume(task: Task) -> Outcome:
    """Read the topic from its start; each record's value is looked at."""
    consumer = _consumer(task, 0)
    records = size = 0
    last = -1
    watch = Stopwatch()
    while records < task.count:
        # It waits until it has as many as it is asked for: not more than there are.
        messages = consumer.consume(min(_POLLED_RECORDS, task.count - records), _WAIT_S)
        if not messages:
            raise TimeoutError(f"no record after {records}")
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
            size += len(message.value())
        records += len(messages)
        last = messages[-1].offset()
    outcome = watch.outcome(records, size)
    consumer.close()
    if last != task.count - 1:
        raise ValueError(f"the last record was {last}, not {task.count - 1}")
    return outcome


def one_at_a_time(task: Task) -> Outcome:
    """Send a record, wait until it is acknowledged, and so on."""
    value = make_values(task.values)[0]
    producer = _producer(task, linger_ms=0)
    producer.list_topics(task.topic, timeout=_WAIT_S)
    latencies = []
    watch = Stopwatch()
    for _ in range(task.count):
        started = time.perf_counter()
        producer.produce(task.topic, value)
        if producer.flush(_WAIT_S):
            raise TimeoutError("a record was not delivered")
        latencies.append((time.perf_counter() - started) * 1e3)
    return watch.outcome(task.count, task.count * len(value), latencies)


def end_to_end(task: Task) -> Outcome:
    """Send a record, wait until it is acknowledged and then until it has come, and so on."""
    value = make_values(task.values)[0]
    producer = _producer(task, linger_ms=0)
    consumer = _consumer(task, 0)
    producer.list_topics(task.topic, timeout=_WAIT_S)
    latencies = []
    watch = Stopwatch()
    for number in range(task.count):
        started = time.perf_counter()
        producer.produce(task.topic, value)
        if producer.flush(_WAIT_S):
            raise TimeoutError("a record was not delivered")
        message = consumer.poll(_WAIT_S)
        if message is None or message.error() is not None or message.offset() != number:
            raise ValueError(f"not record {number}, but {message}")
        latencies.append((time.perf_counter() - started) * 1e3)
    outcome = watch.outcome(task.count, task.count * len(value), latencies)
    consumer.close()
    return outcome


if __name__ == "__main__":
    serve(
        {
            action.__name__: action
            for action in (
                create, delete, end, produce, produce_lists, consume, one_at_a_time, end_to_end,
            )
        }
    )  # fmt: skip
