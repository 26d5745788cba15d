"""Produces, consumes and commits with the client for Strimzi's bridge: BASE_URL"""

import asyncio
import json
import sys
from typing import Any, Final

from kafka_bridge_client import KafkaBridgeConsumer, KafkaBridgeProducer, Message

URL: Final = sys.argv[1]
TOPIC: Final = "bridge"


def consumer(proxy: str) -> Any:
    return KafkaBridgeConsumer(
        TOPIC,
        group_id=f"bridge-{proxy}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        bootstrap_server=URL,
        consumer_name="one",
        sleep_interval_seconds=0,
        proxy=proxy,
    )


async def consume(proxy: str) -> tuple[list[str], list[str]]:
    """What a group reads, and what it reads again once the client has committed all of that."""
    first = consumer(proxy)
    read = []
    async with first:
        async for record in first.get_records(timeout=5_000, max_bytes=100_000):
            read.append(record["value"])
            if len(read) == 4:
                break
        await first.commit()
    second = consumer(proxy)
    async with second:
        rest = await second.poll_records(timeout=200, max_bytes=100_000)
    return read, [record["value"] for record in rest]


producer = KafkaBridgeProducer(URL, timeout=30)
assert producer.send(TOPIC, Message(key="1", value="one"))
assert producer.sends(TOPIC, [Message(key=None, value="two"), Message(key="x", value="three")])
assert producer.send(TOPIC, Message(key="1", value=b"\x00\xff"), binary=True)
print(json.dumps({proxy: asyncio.run(consume(proxy)) for proxy in ("strimzi", "confluent")}))
