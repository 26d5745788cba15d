"""What consumer instances need of the rest of the broker, as Protocols."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from kafkalite.broker.offset_lookup import Found
from kafkalite.broker.partition_read import PartitionRead, ReadPiece
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition
from kafkalite.model.offsets import OffsetRange
from kafkalite.model.record import Record
from kafkalite.wire.group_messages import (
    HeartbeatRequest,
    HeartbeatResponse,
    OffsetCommitRequest,
)
from kafkalite.wire.messages import FetchRequest


class Committed(Protocol):
    """A committed offset, as its group's coordinator knows it."""

    @property
    def offset(self) -> int: ...

    @property
    def metadata(self) -> str: ...


class Groups(Protocol):
    """The groups that this broker coordinates; a GroupCoordinator is one."""

    async def heartbeat(
        self, group: str, request: HeartbeatRequest, host: str
    ) -> HeartbeatResponse:
        """Join, live, let go or leave; waits for news as the request says. May be cancelled.

        Raises:
            LogError: it is refused.
        """

    async def commit(self, group: str, request: OffsetCommitRequest) -> Sequence[LogError | None]:
        """Commit offsets; what became of each, in the order of the request.

        Raises:
            LogError: it is refused as a whole.
        """

    async def committed(self, group: str) -> Mapping[TopicPartition, Committed]:
        """All committed offsets of a group; none of one that is not known."""


class InstanceStore(Protocol):
    """Where the definitions of consumer instances are kept; a GroupStore is one.

    Every method may raise StoreError.
    """

    async def save_instance(self, group: str, name: str, payload: bytes) -> None:
        """Keep what an instance is, in place of what was kept before."""

    async def load_instances(self, group: str) -> Mapping[str, bytes]:
        """All instances of a group that are kept, by name."""

    async def delete_instance(self, group: str, name: str) -> None:
        """Forget an instance; nothing where there is none."""


class Reads(Protocol):
    """Reads partitions, whoever leads them; a FetchPath is one."""

    def try_fetch(self, request: FetchRequest) -> list[PartitionRead] | None: ...

    async def fetch(self, request: FetchRequest) -> list[PartitionRead]: ...

    async def read_piece(self, piece: ReadPiece) -> bytes: ...


class ReadPage(Protocol):
    """What a reader fills; a ConsumerPage is one."""

    left: int
    """Bytes that it still takes."""
    size: int
    """Bytes of the keys and values in it."""
    next_offsets: dict[TopicPartition, int]
    """Of every partition that it brings forward: where it goes on."""
    is_closed: bool
    """Whether it ends here."""

    @property
    def is_empty(self) -> bool: ...

    def take(self, partition: TopicPartition, records: Sequence[Record], begin: int) -> int:
        """Take what fits of `records[begin:]`; gives the index of the first that is left."""


class Offsets(Protocol):
    """Says where partitions stand, whoever leads them; an OffsetLookup is one."""

    async def readable(self, wanted: Iterable[TopicPartition]) -> Found[OffsetRange]: ...

    async def at_time(self, wanted: Iterable[TopicPartition], time_ms: int) -> Found[int]: ...
