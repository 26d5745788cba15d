"""Where the batches of one append are in a log, whether they are new or were stored before."""

from collections.abc import Sequence
from typing import NamedTuple

from kafkalite.model.offsets import NO_OFFSET
from kafkalite.model.record import NO_TIMESTAMP
from kafkalite.storage.producer_state import StoredBatch


class Appended(NamedTuple):
    """Offsets `base_offset <= offset < end_offset`, without a gap."""

    base_offset: int
    """NO_OFFSET where an idempotent producer's batches are not one behind the other: then some of
    them had been stored before, and others came between."""
    end_offset: int
    log_append_time: int
    """Milliseconds since the epoch, or NO_TIMESTAMP where the records keep their own time."""
    record_count: int
    """Of the new ones; 0 where all were stored before."""


def stored_before(stored: Sequence[StoredBatch], *, has_append_time: bool) -> Appended:
    """Where batches are that were all stored before."""
    base_offset = due = stored[0].base_offset
    for batch in stored:
        if batch.base_offset != due:
            base_offset = NO_OFFSET
        due = batch.last_offset + 1
    end_offset = max(batch.last_offset for batch in stored) + 1
    return Appended(base_offset, end_offset, _append_time(stored, has_append_time), 0)


def joined(before: Appended, rest: Appended) -> Appended:
    """Where batches are of which the first ones were stored before, and the rest is new."""
    is_dense = before.base_offset != NO_OFFSET and before.end_offset == rest.base_offset
    return rest._replace(base_offset=before.base_offset if is_dense else NO_OFFSET)


def _append_time(stored: Sequence[StoredBatch], has_append_time: bool) -> int:
    return stored[-1].timestamp if has_append_time else NO_TIMESTAMP
