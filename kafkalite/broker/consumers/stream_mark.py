"""The id of an event: all that is needed to commit what a stream has sent, wherever it is taken.

    id    = base64url of msgpack, without padding
          = [1, broker, instance id, member id, member epoch, [topic, ...]]
    topic = [name, beginning of its topic id, partition, committed, delivered - committed, ...]

Three numbers for each partition of which more was sent than is committed; what is committed needs
no word. MarkRoom bounds how many there may be, so that an id fits into a header of any server.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from kafkalite.model.ids import BrokerId, TopicPartition

MAX_MARK_CHARACTERS: Final = 32 << 10
"""Of an id: a little more than MarkRoom lets any become."""

_ROOM_BYTES: Final = 4 << 10
_PARTITION_BYTES: Final = 20
_TOPIC_BYTES: Final = 16
_TOPIC_ID_CHARACTERS: Final = 8
_NUMBERS: Final = 3

_Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Name = Annotated[str, Meta(min_length=1, max_length=256)]


class Progress(NamedTuple):
    """How far a stream is in one partition."""

    committed: int
    """What is below was committed when the mark was made, or the stream began there."""
    delivered: int
    """What is below was sent."""
    topic_id: str = ""
    """Beginning of the topic's id: another topic of that name is another matter."""


class _Topic(msgspec.Struct, frozen=True, array_like=True):
    name: _Name
    topic_id: str
    numbers: list[_Number]


class _Written(msgspec.Struct, frozen=True, array_like=True):
    version: Literal[1]
    broker_id: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    instance_id: _Name
    member_id: _Name
    member_epoch: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    topics: list[_Topic]


class StreamMark(NamedTuple):
    """A place in a stream."""

    broker_id: BrokerId
    """Who sent it."""
    instance_id: str
    member_id: str
    member_epoch: int
    progress: Mapping[TopicPartition, Progress]

    def encode(self) -> str:
        """The id of the event that ends here."""
        topics: dict[str, _Topic] = {}
        for (name, number), (committed, delivered, topic_id) in self.progress.items():
            topic = topics.setdefault(name, _Topic(name, topic_id[:_TOPIC_ID_CHARACTERS], []))
            topic.numbers.extend((number, committed, delivered - committed))
        written = _Written(
            1,
            self.broker_id,
            self.instance_id,
            self.member_id,
            self.member_epoch,
            list(topics.values()),
        )
        return urlsafe_b64encode(msgspec.msgpack.encode(written)).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> "StreamMark | None":
        """What `encode` made; None for anything else."""
        if not text.isascii() or len(text) > MAX_MARK_CHARACTERS:
            return None
        try:
            data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            written = msgspec.msgpack.decode(data, type=_Written)
        except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
            return None
        progress: dict[TopicPartition, Progress] = {}
        for topic in written.topics:
            if len(topic.numbers) % _NUMBERS:
                return None
            numbers = iter(topic.numbers)
            for number, committed, more in zip(numbers, numbers, numbers, strict=True):
                if number >= 2**31 or committed + more >= 2**63:
                    return None
                progress[TopicPartition(topic.name, number)] = Progress(
                    committed, committed + more, topic.topic_id
                )
        return cls(
            BrokerId(written.broker_id),
            written.instance_id,
            written.member_id,
            written.member_epoch,
            progress,
        )


class MarkRoom:
    """How many partitions may have something that is not acknowledged. Made for one event."""

    def __init__(self, taken: Iterable[TopicPartition]) -> None:
        """Begin with those that have."""
        self._partitions: set[TopicPartition] = set()
        self._topics: set[str] = set()
        self._left = _ROOM_BYTES
        self.was_refused = False
        """Whether some partition has to wait until others are acknowledged."""
        for partition in taken:
            self._take(partition)

    def admits(self, partition: TopicPartition) -> bool:
        """Whether there is room for this one, too; it has it then."""
        if partition in self._partitions:
            return True
        if self._left <= 0:
            self.was_refused = True
            return False
        self._take(partition)
        return True

    def _take(self, partition: TopicPartition) -> None:
        self._partitions.add(partition)
        self._left -= _PARTITION_BYTES
        if partition.topic not in self._topics:
            self._topics.add(partition.topic)
            self._left -= _TOPIC_BYTES + len(partition.topic)
