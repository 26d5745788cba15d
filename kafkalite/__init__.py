"""A partitioned, durable commit log with Kafka's model, spoken over HTTP.

    from kafkalite import AdminClient, Consumer, Producer

and their asynchronous twins are the Python client; `kafkalite.errors` has what they raise. Each is
loaded when it is first asked for: brokers and tools that import the package do not pay for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kafkalite.client.admin.admin_client import AdminClient
    from kafkalite.client.admin.async_admin_client import AsyncAdminClient
    from kafkalite.client.admin.topic_calls import NewTopic
    from kafkalite.client.consumer.async_consumer import AsyncConsumer
    from kafkalite.client.consumer.commits import OffsetAndMetadata
    from kafkalite.client.consumer.consumer import Consumer
    from kafkalite.client.consumer.fetched_batch import FetchedBatch
    from kafkalite.client.consumer.listener import Listener, RebalanceListener
    from kafkalite.client.consumer.log_requests import OffsetAndTimestamp
    from kafkalite.client.consumer.record import ConsumerRecord
    from kafkalite.client.consumer.records import Records
    from kafkalite.client.producer.async_producer import AsyncProducer
    from kafkalite.client.producer.confirms import Confirms
    from kafkalite.client.producer.delivery import Deliveries, Delivery
    from kafkalite.client.producer.producer import Producer
    from kafkalite.client.producer.record_metadata import RecordMetadata
    from kafkalite.model.ids import TopicPartition

__all__ = [
    "AdminClient",
    "AsyncAdminClient",
    "AsyncConsumer",
    "AsyncProducer",
    "Confirms",
    "Consumer",
    "ConsumerRecord",
    "Deliveries",
    "Delivery",
    "FetchedBatch",
    "Listener",
    "NewTopic",
    "OffsetAndMetadata",
    "OffsetAndTimestamp",
    "Producer",
    "RebalanceListener",
    "RecordMetadata",
    "Records",
    "TopicPartition",
]

_HOMES: Final = {
    "AdminClient": "client.admin.admin_client",
    "AsyncAdminClient": "client.admin.async_admin_client",
    "NewTopic": "client.admin.topic_calls",
    "AsyncConsumer": "client.consumer.async_consumer",
    "Consumer": "client.consumer.consumer",
    "FetchedBatch": "client.consumer.fetched_batch",
    "Listener": "client.consumer.listener",
    "OffsetAndMetadata": "client.consumer.commits",
    "OffsetAndTimestamp": "client.consumer.log_requests",
    "RebalanceListener": "client.consumer.listener",
    "ConsumerRecord": "client.consumer.record",
    "Records": "client.consumer.records",
    "AsyncProducer": "client.producer.async_producer",
    "Confirms": "client.producer.confirms",
    "Deliveries": "client.producer.delivery",
    "Delivery": "client.producer.delivery",
    "Producer": "client.producer.producer",
    "RecordMetadata": "client.producer.record_metadata",
    "TopicPartition": "model.ids",
}


if not TYPE_CHECKING:  # a checker that saw it would take any name for one of ours

    def __getattr__(name: str) -> Any:  # noqa: ANN401 - each name has its own type, seen above
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
