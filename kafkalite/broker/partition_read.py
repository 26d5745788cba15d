"""What one partition gives to a fetch."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from kafkalite.model.cluster import Broker
from kafkalite.model.errors import LogError
from kafkalite.model.ids import NO_EPOCH
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.wire.batch import Buffer


class ReadPiece(Protocol):
    """Whole batches that are yet to be read: a LogRead, or what another broker has sent."""

    @property
    def size(self) -> int: ...

    @property
    def next_offset(self) -> int: ...

    @property
    def buffers(self) -> Sequence[Buffer]:
        """What is in memory already, one after the other; empty where it is yet to be read."""

    def try_read(self) -> bytes | None: ...

    def read(self) -> bytes: ...


class PartitionRead(NamedTuple):
    """What one partition gives to a fetch: where it stands, and bytes that are not read yet."""

    topic: str
    partition: int
    pieces: Sequence[ReadPiece] = ()
    high_watermark: int = NO_OFFSET
    log_start_offset: int = NO_OFFSET
    error: LogError | None = None
    leader_epoch: int = NO_EPOCH
    """To a replica: the epoch in which the leader answers."""
    diverging_epoch: int = NO_EPOCH
    diverging_end_offset: int = NO_OFFSET
    """To a replica: where its log stops being the leader's, as FetchResult says it."""
    leader: Broker | None = None
    """Who gave it, where that is another broker."""

    @property
    def size(self) -> int:
        """Bytes of batches that the pieces will give."""
        pieces = self.pieces
        return pieces[0].size if len(pieces) == 1 else sum([piece.size for piece in pieces])
