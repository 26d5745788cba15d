"""A snapshot of what a log knew of idempotent producers at one of its offsets.

    <offset, 20 digits>.snapshot
    snapshot  = version:u16 checksum:u32 producers     ; big-endian
    version   = 1
    checksum  = CRC-32C of `producers`
    producers = msgpack array of [producer_id, epoch, seen_ms, [batch, ...]]
    batch     = [first_sequence, last_sequence, base_offset, last_offset, timestamp]

The producers are in the order in which they were last heard of; of each there are one to five
batches, the oldest first. A snapshot says what followed from all batches below its offset. It can
be made again from the log as long as that has them, so it is checked and never trusted.
"""

import struct
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from kafkalite.storage.producer_state import REMEMBERED_BATCHES, Producer, StoredBatch
from kafkalite.wire.batch import checksum

SNAPSHOT_SUFFIX: Final = ".snapshot"

_VERSION: Final = 1
_HEAD = struct.Struct(">HI")

_Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Sequence = Annotated[int, Meta(ge=0, le=2**31 - 1)]
_Epoch = Annotated[int, Meta(ge=0, le=2**15 - 1)]
_Batch = tuple[_Sequence, _Sequence, _Id, _Id, int]
_Entry = tuple[
    _Id, _Epoch, int, Annotated[list[_Batch], Meta(min_length=1, max_length=REMEMBERED_BATCHES)]
]
_decode = msgspec.msgpack.Decoder(list[_Entry]).decode
_encode = msgspec.msgpack.Encoder().encode


class SnapshotError(Exception):
    """A snapshot that is torn, altered or of another version."""


def encode(producers: dict[int, Producer]) -> bytes:
    """The bytes of a snapshot file."""
    body = _encode([(producer_id, *known) for producer_id, known in producers.items()])
    return _HEAD.pack(_VERSION, checksum(body)) + body


def decode(data: bytes) -> dict[int, Producer]:
    """What a snapshot file says.

    Raises:
        SnapshotError: it is not a sound one.
    """
    if len(data) < _HEAD.size:
        raise SnapshotError("it is cut off")
    version, expected = _HEAD.unpack_from(data)
    if version != _VERSION:
        raise SnapshotError(f"its version is {version}, not {_VERSION}")
    body = data[_HEAD.size :]
    if checksum(body) != expected:
        raise SnapshotError("its checksum does not fit")
    try:
        entries = _decode(body)
    except msgspec.DecodeError as error:
        raise SnapshotError(str(error)) from error
    return {
        producer_id: Producer(epoch, seen_ms, tuple(StoredBatch(*batch) for batch in batches))
        for producer_id, epoch, seen_ms, batches in entries
    }
