"""Our client at work: `python -m benchmarks.peers.kafkalite_worker`, tasks on its stdin."""

import time
from typing import Final

import uvloop

from benchmarks.peers.task import Outcome, Stopwatch, Task, serve
from benchmarks.peers.values import LIST_RECORDS, make_values
from kafkalite import AsyncProducer, Consumer, Producer
from kafkalite.model.ids import TopicPartition

_WAIT_S: Final = 30.0
_POLLED_RECORDS: Final = 10_000


def _producer(task: Task) -> Producer:
    return Producer(
        bootstrap_servers=task.servers, acks=task.acks, compression_type=task.compression
    )


def _consumer(task: Task) -> Consumer:
    consumer = Consumer(bootstrap_servers=task.servers, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(task.topic, 0)])
    return consumer


def produce(task: Task) -> Outcome:
    """A loop over single records."""
    values = make_values(task.values)
    with _producer(task) as producer:
        send, topic = producer.send, task.topic
        records = size = 0
        watch = Stopwatch()
        while records < task.count:
            for value in values:
                last = send(topic, value)
                size += len(value)
            records += len(values)
        producer.flush(_WAIT_S)
        outcome = watch.outcome(records, size)
        _check_last(last.result(0).offset, records)
    return outcome


def produce_lists(task: Task) -> Outcome:
    """Lists of records, each with one call."""
    values = make_values(task.values)[:LIST_RECORDS]
    list_size = sum(map(len, values))
    with _producer(task) as producer:
        records = size = 0
        watch = Stopwatch()
        while records < task.count:
            last = producer.send_many(task.topic, values)
            records += len(values)
            size += list_size
        producer.flush(_WAIT_S)
        outcome = watch.outcome(records, size)
        _check_last(last.result(0)[-1].offset, records)
    return outcome


def consume(task: Task) -> Outcome:
    """Read the topic from its start; each record's value is looked at."""
    with _consumer(task) as consumer:
        records = size = 0
        last = -1
        watch = Stopwatch()
        while records < task.count:
            polled = consumer.poll(_WAIT_S, max_records=_POLLED_RECORDS)
            if not polled:
                raise TimeoutError(f"no record after {records}")
            for record in polled:
                size += len(record.value)
            records += len(polled)
            last = record.offset
        outcome = watch.outcome(records, size)
    _check_last(last, task.count)
    return outcome


def consume_values(task: Task) -> Outcome:
    """The same for a program that wants nothing but the values."""
    with _consumer(task) as consumer:
        records = size = 0
        last = -1
        watch = Stopwatch()
        while records < task.count:
            polled = consumer.poll(_WAIT_S, max_records=_POLLED_RECORDS)
            if not polled:
                raise TimeoutError(f"no record after {records}")
            for value in polled.values():
                size += len(value)
            records += len(polled)
            last = polled.batches[-1].next_offset - 1
        outcome = watch.outcome(records, size)
    _check_last(last, task.count)
    return outcome


def one_at_a_time(task: Task) -> Outcome:
    """Send a record, wait until it is acknowledged, and so on; on an event loop."""
    return uvloop.run(_one_at_a_time(task))


async def _one_at_a_time(task: Task) -> Outcome:
    value = make_values(task.values)[0]
    latencies = []
    async with AsyncProducer(bootstrap_servers=task.servers, acks=task.acks) as producer:
        watch = Stopwatch()
        for _ in range(task.count):
            started = time.perf_counter()
            last = await (await producer.send(task.topic, value))
            latencies.append((time.perf_counter() - started) * 1e3)
        outcome = watch.outcome(task.count, task.count * len(value), latencies)
    _check_last(last.offset, task.count)
    return outcome


def end_to_end(task: Task) -> Outcome:
    """Send a record, wait until it is acknowledged and then until it has come, and so on."""
    value = make_values(task.values)[0]
    latencies = []
    with _producer(task) as producer, _consumer(task) as consumer:
        watch = Stopwatch()
        for number in range(task.count):
            started = time.perf_counter()
            producer.send(task.topic, value).result(_WAIT_S)
            (record,) = consumer.poll(_WAIT_S)
            latencies.append((time.perf_counter() - started) * 1e3)
            _check_last(record.offset, number + 1)
        return watch.outcome(task.count, task.count * len(value), latencies)


def _check_last(offset: int, count: int) -> None:
    if offset != count - 1:
        raise ValueError(f"the last record was {offset}, not {count - 1}")


if __name__ == "__main__":
    serve(
        {
            action.__name__: action
            for action in (
                produce, produce_lists, consume, consume_values, one_at_a_time, end_to_end,
            )
        }
    )  # fmt: skip
