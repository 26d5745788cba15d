"""Batches of idempotent producers, and a plain model of what a log should know of them."""

from collections.abc import Iterable, Sequence

from kafkalite.model.record import Record
from kafkalite.storage.producer_state import REMEMBERED_BATCHES, ProducerState
from kafkalite.wire.batch import HEADER_SIZE, BatchHeader, seal
from kafkalite.wire.records import encode_batch_with_header

Known = dict[int, tuple[int, list[tuple[int, int, int]]]]
"""Producer id -> its epoch, and (first sequence, base offset, last offset) of its last batches."""


def idempotent(
    *values: bytes, sequence: int, producer_id: int = 7, epoch: int = 0, timestamp: int = 1000
) -> tuple[bytes, BatchHeader]:
    """One batch of an idempotent producer."""
    data, header = encode_batch_with_header([Record(value) for value in values], now_ms=timestamp)
    header = header._replace(producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence)
    return seal(header, data[HEADER_SIZE:])


def known_of(state: ProducerState) -> Known:
    """What a log knows, without times."""
    return {
        producer_id: (
            known.epoch,
            [(each.first_sequence, each.base_offset, each.last_offset) for each in known.batches],
        )
        for producer_id, known in state
    }


def known_from(batches: Iterable[tuple[int, BatchHeader]]) -> Known:
    """What a log should know that was ever given these batches, each at its base offset."""
    known: Known = {}
    for base_offset, header in batches:
        if header.producer_id < 0:
            continue
        epoch, before = known.get(header.producer_id, (-1, []))
        entry = header.base_sequence, base_offset, base_offset + header.last_offset_delta
        earlier: Sequence[tuple[int, int, int]] = before if epoch == header.producer_epoch else ()
        last = [*earlier, entry][-REMEMBERED_BATCHES:]
        known[header.producer_id] = header.producer_epoch, last
    return known
