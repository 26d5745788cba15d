"""The body of a produce request in parts, so that batches are not copied into it."""

from collections.abc import Sequence
from typing import Final

import msgspec

from kafkalite.client.producer.producer_batch import ProducerBatch
from kafkalite.wire.batch import Buffer

_SMALL: Final = 16 << 10
"""Copied after all: a part costs more than so many bytes."""
_encode = msgspec.msgpack.Encoder().encode
_TOPIC: Final = b"\x83" + _encode("topic")
_PARTITION: Final = _encode("partition")
_BATCHES: Final = _encode("batches") + b"\xc6"  # bin 32
_ACKS: Final = _encode("acks")
_TIMEOUT: Final = _encode("timeout_ms")
_PARTITIONS: Final = b"\x83" + _encode("partitions") + b"\xdd"  # array 32


def produce_body(batches: Sequence[ProducerBatch], *, acks: int, timeout_ms: int) -> list[Buffer]:
    """A ProduceRequest (wire/messages.py) with `batches`, one an entry, in msgpack."""
    parts: list[Buffer] = []
    small: list[Buffer] = [
        _PARTITIONS[:1] + _ACKS + _encode(acks) + _TIMEOUT + _encode(timeout_ms),
        _PARTITIONS[1:] + len(batches).to_bytes(4, "big"),
    ]
    for batch in batches:
        small += (
            _TOPIC + _encode(batch.topic) + _PARTITION + _encode(batch.partition),
            _BATCHES + batch.size.to_bytes(4, "big"),
        )
        if batch.size <= _SMALL:
            small.append(batch.body)
        else:
            parts += (b"".join(small), batch.body)
            small = []
    if small:
        parts.append(b"".join(small))
    return parts
