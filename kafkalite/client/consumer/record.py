"""A record as a consumer sees it.

It is what msgspec makes of the bytes, with two fields set afterwards: nothing is built a second
time. What is the same for a whole batch lies in one object that all of its records point to.
"""

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from kafkalite.model.ids import NO_EPOCH, TopicPartition
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.model.record import Header

if TYPE_CHECKING:
    Payload: TypeAlias = Any  # whatever the deserializer gives; bytes or None without one
else:
    Payload = bytes | None

TimestampType = Literal["CreateTime", "LogAppendTime"]


class BatchOrigin(msgspec.Struct, frozen=True, gc=False):
    """What the records of one batch have in common."""

    topic: str
    partition: int
    base_timestamp: int
    is_append_time: bool
    """The leader's time stands for every record, whatever its producer said."""
    leader_epoch: int = NO_EPOCH


class ConsumerRecord(
    msgspec.Struct, array_like=True, gc=False, eq=False, forbid_unknown_fields=True
):
    """One record that was read; treat it as immutable.

    The first four fields are the grammar of `wire/records.py`, decoded as they lie there; the
    others are set by the batch that the record was in.
    """

    _timestamp_delta: int
    key: Payload
    value: Payload
    _headers: tuple[tuple[str, bytes | None], ...] | None
    offset: int = NO_OFFSET
    """Its place in the partition."""
    _origin: BatchOrigin = BatchOrigin("", -1, 0, is_append_time=False)

    @property
    def topic(self) -> str:
        """The topic it was read from."""
        return self._origin.topic

    @property
    def partition(self) -> int:
        """The partition it was read from."""
        return self._origin.partition

    @property
    def topic_partition(self) -> TopicPartition:
        """Both of them."""
        return TopicPartition(self._origin.topic, self._origin.partition)

    @property
    def timestamp(self) -> int:
        """Milliseconds since the Unix epoch; see `timestamp_type`."""
        origin = self._origin
        if origin.is_append_time:
            return origin.base_timestamp
        return origin.base_timestamp + self._timestamp_delta

    @property
    def timestamp_type(self) -> TimestampType:
        """Whether the time is its producer's or that of its leader."""
        return "LogAppendTime" if self._origin.is_append_time else "CreateTime"

    @property
    def headers(self) -> tuple[Header, ...]:
        """Names with values, in the order that the producer gave."""
        return self._headers or ()

    @property
    def leader_epoch(self) -> int:
        """The leader epoch in which it was appended."""
        return self._origin.leader_epoch

    def __repr__(self) -> str:
        return (
            f"ConsumerRecord(topic={self.topic!r}, partition={self.partition}, "
            f"offset={self.offset}, timestamp={self.timestamp}, key={self.key!r}, "
            f"value={self.value!r}, headers={self.headers!r})"
        )
