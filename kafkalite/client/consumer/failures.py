"""What a consumer raises beside the errors that brokers answer with.

ConsumerError
 +- WakeupError            `wakeup()` was called
 +- UnreadableError        a place in a partition cannot be read; names the place
 |   +- DeserializationError  a deserializer does not understand a record
 +- NoOffsetError          nothing says where to begin, and auto.offset.reset=none
 +- CommitFailedError      the group has given the partitions to somebody else
 +- NotAssignedError       the call is about a partition that is not consumed
 +- ConcurrentUseError     two threads or tasks at once
"""

from collections.abc import Collection

from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition


class ConsumerError(LogError):
    """The common base; the message is a sentence."""

    name = "CONSUMER_FAILED"
    text = "The consumer cannot go on."


class WakeupError(ConsumerError):
    """Another thread called `wakeup()`; nothing was lost, and the next call goes on."""

    name = "WAKEUP"
    text = "The consumer was woken up."


class UnreadableError(ConsumerError):
    """A place in a partition cannot be read; the position stays there, so `seek` leads past it."""

    name = "RECORD_UNREADABLE"

    def __init__(
        self, topic_partition: TopicPartition, offset: int, next_offset: int, cause: Exception
    ) -> None:
        """`next_offset` is where what can be read may go on."""
        super().__init__(f"{topic_partition} cannot be read at offset {offset}: {cause}")
        self.topic_partition = topic_partition
        self.offset = offset
        self.next_offset = next_offset
        self.cause = cause


class DeserializationError(UnreadableError):
    """A record that a deserializer does not understand; `key` and `value` are as they were."""

    name = "RECORD_DESERIALIZATION_FAILED"

    def __init__(
        self,
        topic_partition: TopicPartition,
        offset: int,
        cause: Exception,
        *,
        key: bytes | None,
        value: bytes | None,
    ) -> None:
        super().__init__(topic_partition, offset, offset + 1, cause)
        self.key = key
        self.value = value


class NoOffsetError(ConsumerError):
    """No committed offset, or one that is not in the log, where nothing says what to do then."""

    name = "NO_OFFSET_FOR_PARTITION"

    def __init__(self, partitions: Collection[TopicPartition]) -> None:
        names = ", ".join(map(str, sorted(partitions)))
        super().__init__(f"No offset to go on from in {names}, and auto.offset.reset is none")
        self.partitions = frozenset(partitions)


class CommitFailedError(ConsumerError):
    """The member is out of the group or has lost the partitions: others go on from elsewhere."""

    name = "COMMIT_FAILED"
    text = "The member is out of the group, so its offsets cannot be committed."


class NotAssignedError(ConsumerError):
    """The partition is not one that this consumer consumes at the moment."""

    name = "PARTITION_NOT_ASSIGNED"

    def __init__(self, topic_partition: TopicPartition) -> None:
        super().__init__(f"{topic_partition} is not assigned to this consumer")


class ConcurrentUseError(ConsumerError):
    """A consumer is for one thread or task at a time; only `wakeup` may be called by others."""

    name = "CONCURRENT_USE"

    def __init__(self) -> None:
        super().__init__(
            "The consumer is polled already: by another thread or task, or around a listener"
        )
