"""What kafka-dump-log prints of a snapshot of producers: a line each, as Kafka has it."""

import sys
from pathlib import Path

from kafkalite.storage import producer_snapshot
from kafkalite.storage.producer_snapshot import SnapshotError


def dump_snapshot(path: Path) -> bool:
    """Print the producers of a snapshot file, each with its last batch; False: it is not sound.

    Raises:
        OSError: it cannot be read.
    """
    try:
        producers = producer_snapshot.decode(path.read_bytes())
    except SnapshotError as error:
        print(f"{path} is not a sound snapshot: {error}", file=sys.stderr)
        return False
    for producer_id, known in producers.items():
        last = known.batches[-1]
        print(
            f"producerId: {producer_id} producerEpoch: {known.epoch} coordinatorEpoch: -1 "
            f"currentTxnFirstOffset: OptionalLong.empty lastTimestamp: {known.seen_ms} "
            f"firstSequence: {last.first_sequence} lastSequence: {last.last_sequence} "
            f"lastOffset: {last.last_offset} offsetDelta: {last.last_offset - last.base_offset} "
            f"timestamp: {last.timestamp}"
        )
    return True
