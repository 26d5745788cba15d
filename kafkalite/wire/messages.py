"""Bodies of the native data path: `POST /v1/produce` and `POST /v1/fetch`, as msgpack maps.

A result carries `error_code` 0 where all is well; else the error's code, name and what happened,
and, where another broker leads the partition, who does.

A replica fetches in a session, so that partitions where nothing happens cost nothing. One session
for each replica: its first request (`session_epoch` 0) names every partition, the n-th after it
those whose position changed and, in `forgotten`, those to leave out from now on. An answer in a
session names the partitions with batches, a divergence, an error or moved offsets, and no others.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from kafkalite.model.ids import ANY_EPOCH, NO_EPOCH, NO_LEADER
from kafkalite.model.offsets import NO_OFFSET
from kafkalite.model.record import NO_TIMESTAMP

MAX_WAIT_MS: Final = 3_600_000
"""The longest wait that a request may ask for."""

MAX_ENTRIES: Final = 2_000
"""Partitions in one request; more are asked for in another one."""

NO_REPLICA: Final = -1
"""What a fetch says that comes from a reader."""
NO_SESSION: Final = -1
FIRST_OF_SESSION: Final = 0

ACKS_ALL: Final = -1
ACKS_NONE: Final = 0
ACKS_LEADER: Final = 1

_Count = Annotated[int, Meta(ge=0)]
_Wait = Annotated[int, Meta(ge=0, le=MAX_WAIT_MS)]
_Offset = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class PartitionBatches(msgspec.Struct, frozen=True, gc=False):
    """What a producer sends to one partition."""

    topic: str
    partition: int
    batches: memoryview
    """Whole record batches, back to back."""


class ProduceRequest(msgspec.Struct, frozen=True, gc=False):
    """Batches for any number of partitions, appended in the order given."""

    partitions: Annotated[list[PartitionBatches], Meta(max_length=MAX_ENTRIES)]
    acks: int = ACKS_ALL
    timeout_ms: _Wait = 30_000
    forwarded: bool = False
    """Sent by a broker for a client of its own: it goes no further."""


class ProduceResult(msgspec.Struct, frozen=True, gc=False):
    """What became of the batches of one partition; one result for each entry of the request."""

    topic: str
    partition: int
    error_code: int = 0
    error: str = ""
    message: str = ""
    base_offset: int = NO_OFFSET
    """Offset of the first record; the others follow densely."""
    log_append_time: int = NO_TIMESTAMP
    """Set where the topic's timestamps are the broker's."""
    log_start_offset: int = NO_OFFSET
    leader_id: int = NO_LEADER
    """Who leads, where that is not the broker that was asked."""
    leader_url: str = ""


class ProduceResponse(msgspec.Struct, frozen=True, gc=False):
    """Answers a ProduceRequest."""

    partitions: list[ProduceResult]


class FetchPartition(msgspec.Struct, frozen=True, gc=False):
    """Where to read one partition from."""

    topic: str
    partition: int
    offset: _Offset
    max_bytes: _Count = 1 << 20
    """Bytes after which to stop; a first batch that is larger comes all the same."""
    leader_epoch: int = ANY_EPOCH
    last_fetched_epoch: int = NO_EPOCH
    """Of a replica: the leader epoch of the record before `offset`; the leader compares it."""
    topic_id: str = ""
    """Of a replica: which topic of that name its log is of; the leader's has to be the same."""
    is_damaged: bool = False
    """Of a replica: its log goes on at `offset`, with what cannot be read any more."""


class ForgottenPartition(msgspec.Struct, frozen=True, gc=False):
    """A partition that a session shall no longer hold."""

    topic: str
    partition: int


class FetchRequest(msgspec.Struct, frozen=True, gc=False):
    """Reads any number of partitions; waits while they hold less than `min_bytes` together.

    From a replica each entry also says that it has everything below `offset`, and the answer goes
    up to the leader's end; `min_bytes` is not looked at.
    """

    partitions: Annotated[list[FetchPartition], Meta(max_length=MAX_ENTRIES)]
    max_wait_ms: _Wait = 500
    min_bytes: _Count = 1
    max_bytes: _Count = 50 << 20
    replica_id: int = NO_REPLICA
    """The broker that replicates."""
    broker_epoch: int = -1
    """Of the replica's registration: what an earlier one sent is refused."""
    session_epoch: int = NO_SESSION
    """Where this request stands in its session; FIRST_OF_SESSION begins one."""
    forgotten: Annotated[list[ForgottenPartition], Meta(max_length=MAX_ENTRIES)] = []
    forwarded: bool = False
    """Sent by a broker for a client of its own: it goes no further."""


class FetchResult(msgspec.Struct, frozen=True, gc=False):
    """What one partition gave; one result for each entry of the request."""

    topic: str
    partition: int
    error_code: int = 0
    error: str = ""
    message: str = ""
    high_watermark: int = NO_OFFSET
    log_start_offset: int = NO_OFFSET
    leader_id: int = NO_LEADER
    leader_url: str = ""
    leader_epoch: int = NO_EPOCH
    """To a replica: the epoch in which the leader answers."""
    diverging_epoch: int = NO_EPOCH
    """To a replica whose log is not the leader's: the latest epoch that both may have, ..."""
    diverging_end_offset: int = NO_OFFSET
    """... and where it ends at the leader; NO_OFFSET where nothing diverges."""
    batches: bytes = b""
    """Whole batches; the first one may begin before the offset that was asked for."""


class FetchResponse(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Answers a FetchRequest; has an error where it could not be looked at as a whole."""

    error_code: int = 0
    error: str = ""
    message: str = ""
    partitions: list[FetchResult]
