"""Names of things: partitions, brokers, epochs."""

from typing import NamedTuple, NewType

BrokerId = NewType("BrokerId", int)
LeaderEpoch = NewType("LeaderEpoch", int)
ControllerEpoch = NewType("ControllerEpoch", int)
TopicId = NewType("TopicId", str)

NO_LEADER = BrokerId(-1)


class TopicPartition(NamedTuple):
    """One partition of one topic; prints as Kafka's tools do: `flights-3`."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"
