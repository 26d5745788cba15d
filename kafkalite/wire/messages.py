"""Bodies of the native data path: `POST /v1/produce` and `POST /v1/fetch`, as msgpack maps.

A result carries `error_code` 0 where all is well; else the error's code, name and what happened,
and, where another broker leads the partition, who does.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

NO_OFFSET: Final = -1
NO_TIMESTAMP: Final = -1
NO_BROKER: Final = -1
ANY_EPOCH: Final = -1
"""What a request says that does not know the leader epoch."""

MAX_WAIT_MS: Final = 3_600_000
"""The longest wait that a request may ask for."""

MAX_ENTRIES: Final = 2_000
"""Partitions in one request; more are asked for in another one."""

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
    leader_id: int = NO_BROKER
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


class FetchRequest(msgspec.Struct, frozen=True, gc=False):
    """Reads any number of partitions; waits while they hold less than `min_bytes` together."""

    partitions: Annotated[list[FetchPartition], Meta(max_length=MAX_ENTRIES)]
    max_wait_ms: _Wait = 500
    min_bytes: _Count = 1
    max_bytes: _Count = 50 << 20


class FetchResult(msgspec.Struct, frozen=True, gc=False):
    """What one partition gave; one result for each entry of the request."""

    topic: str
    partition: int
    error_code: int = 0
    error: str = ""
    message: str = ""
    high_watermark: int = NO_OFFSET
    log_start_offset: int = NO_OFFSET
    leader_id: int = NO_BROKER
    leader_url: str = ""
    batches: bytes = b""
    """Whole batches; the first one may begin before the offset that was asked for."""


class FetchResponse(msgspec.Struct, frozen=True, gc=False):
    """Answers a FetchRequest."""

    partitions: list[FetchResult]
