"""What a follower takes of its leader's log: whether it continues its own, and how much fits."""

from collections.abc import Sequence

from kafkalite.config.views import LogOptions
from kafkalite.model.errors import CorruptMessageError
from kafkalite.storage.segment import Segment
from kafkalite.wire.batch import BatchHeader


def check_continues(
    headers: Sequence[BatchHeader], start_offset: int, end_offset: int, epoch: int
) -> None:
    """Check that batches follow a log which reaches from `start_offset` to `end_offset`.

    Args:
        headers: of batches without gaps between them.
        start_offset: of the log.
        end_offset: of the log; where that is empty, the first batch may begin before it.
        epoch: of the log's last record.

    Raises:
        CorruptMessageError: they do not begin there, or a leader epoch is below an earlier one.
    """
    first = headers[0]
    if first.base_offset != end_offset and not (
        start_offset == end_offset and first.base_offset < end_offset < first.next_offset
    ):
        raise CorruptMessageError(
            f"Batches from offset {first.base_offset} on do not continue a log that ends at "
            f"{end_offset}"
        )
    for header in headers:
        if header.leader_epoch < epoch:
            raise CorruptMessageError(
                f"The batch at {header.base_offset} is of epoch {header.leader_epoch}, "
                f"what precedes it of epoch {epoch}"
            )
        epoch = header.leader_epoch


def first_run(
    segment: Segment, headers: Sequence[BatchHeader], options: LogOptions
) -> tuple[int, int]:
    """How many of the first batches belong in `segment`, and their bytes; (0, 0): none.

    An empty segment takes one batch at least: its leader had room for it.
    """
    total = sum(header.size for header in headers)
    newest = max(header.max_timestamp for header in headers)
    if not segment.is_full(total, headers[-1].next_offset, newest, options):
        return len(headers), total
    count = size = 0
    for header in headers:
        after = size + header.size
        takes_any = not segment.size and not count
        if not takes_any and segment.is_full(
            after, header.next_offset, header.max_timestamp, options
        ):
            break
        count, size = count + 1, after
    return count, size
