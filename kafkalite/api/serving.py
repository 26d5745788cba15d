"""How a handler of the control plane gets at the broker, and at one of its partitions."""

from typing import Annotated

from fastapi import Depends, Path, Request

from kafkalite.broker.broker import Broker
from kafkalite.broker.partition import Partition
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import BrokerNotAvailableError, UnknownTopicOrPartitionError


async def any_broker(request: Request) -> Broker:
    """The broker in whatever state it is; for probes and metrics."""
    broker: Broker = request.app.state.broker
    return broker


async def running_broker(request: Request) -> Broker:
    """The broker, provided that its picture of the cluster can be trusted.

    Raises:
        BrokerNotAvailableError: it is starting or stopping.
    """
    broker = await any_broker(request)
    if broker.state != "running":
        raise BrokerNotAvailableError(f"Broker {broker.id} is {broker.state}; see /readyz.")
    return broker


AnyBroker = Annotated[Broker, Depends(any_broker)]
RunningBroker = Annotated[Broker, Depends(running_broker)]
TopicName = Annotated[str, Path(description="Name of a topic.", examples=["flights"])]
PartitionNumber = Annotated[int, Path(ge=0, description="Number of a partition, from 0 on.")]


def known_topic(broker: Broker, name: str) -> Topic:
    """The topic of that name.

    Raises:
        UnknownTopicOrPartitionError: there is none.
    """
    topic = broker.view.topics.get(name)
    if topic is None:
        raise UnknownTopicOrPartitionError(f"Topic '{name}' does not exist.")
    return topic


async def led_partition(
    broker: RunningBroker, topic: TopicName, partition: PartitionNumber
) -> Partition:
    """The partition that a path names, which this broker must lead.

    Raises:
        LogError: there is no such partition, it has no leader, or another broker leads it.
    """
    found = broker.partitions.get(topic, partition)
    found.check_leads()
    return found


LedPartition = Annotated[Partition, Depends(led_partition)]
