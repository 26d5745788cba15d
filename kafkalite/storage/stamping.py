"""Stamping: what a leader writes into batches, without copying them."""

from collections.abc import Sequence

from kafkalite.wire.batch import LENGTH_END, STAMP_SIZE, BatchHeader, Buffer, stamp


def stamped(
    batches: Buffer, headers: Sequence[BatchHeader], base_offset: int, leader_epoch: int
) -> tuple[list[Buffer], int]:
    """The batches with dense offsets from `base_offset` on and the leader's epoch.

    Returns:
        Two buffers a batch, to be written one after the other, and the offset after the last one.
    """
    view = memoryview(batches)
    buffers: list[Buffer] = []
    position = 0
    for header in headers:
        length = header.batch_length
        end = position + LENGTH_END + length
        buffers.append(stamp(base_offset, length, leader_epoch))
        buffers.append(view[position + STAMP_SIZE : end])
        base_offset += header.last_offset_delta + 1
        position = end
    return buffers, base_offset
