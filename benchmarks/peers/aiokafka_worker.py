"""aiokafka at work: `python -m benchmarks.peers.aiokafka_worker`, tasks on its stdin."""

import time
from typing import Final

import uvloop
from aiokafka import AIOKafkaProducer

from benchmarks.peers.task import Outcome, Stopwatch, Task, serve
from benchmarks.peers.values import make_values

_ACKS: Final[dict[str, int | str]] = {"0": 0, "1": 1, "all": "all"}


def one_at_a_time(task: Task) -> Outcome:
    """Send a record, wait until it is acknowledged, and so on."""
    return uvloop.run(_one_at_a_time(task))


async def _one_at_a_time(task: Task) -> Outcome:
    value = make_values(task.values)[0]
    latencies = []
    async with AIOKafkaProducer(
        bootstrap_servers=task.servers, acks=_ACKS[task.acks], linger_ms=0
    ) as producer:
        await producer.partitions_for(task.topic)
        watch = Stopwatch()
        for _ in range(task.count):
            started = time.perf_counter()
            await producer.send_and_wait(task.topic, value)
            latencies.append((time.perf_counter() - started) * 1e3)
        return watch.outcome(task.count, task.count * len(value), latencies)


if __name__ == "__main__":
    serve({"one_at_a_time": one_at_a_time})
