"""Names of things: partitions, brokers, epochs."""

from typing import Final, NamedTuple, NewType

BrokerId = NewType("BrokerId", int)
LeaderEpoch = NewType("LeaderEpoch", int)
ControllerEpoch = NewType("ControllerEpoch", int)
TopicId = NewType("TopicId", str)

NO_LEADER: Final = BrokerId(-1)
NO_EPOCH: Final = -1
"""A leader epoch where there was none yet."""
ANY_EPOCH: Final = -1
"""What a request says that does not know the leader epoch."""


class TopicPartition(NamedTuple):
    """One partition of one topic; prints as Kafka's tools do: `flights-3`."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"
