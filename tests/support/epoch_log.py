"""A log as nothing but the leader epoch of each record: the plainest thing with epochs' ends."""

from collections.abc import Sequence

from kafkalite.model.ids import NO_EPOCH
from kafkalite.model.offsets import NO_OFFSET


class EpochLog:
    """Implements replication.divergence.EpochEnds; nothing is remembered but what is there."""

    def __init__(self, epochs: Sequence[int], *, start: int = 0) -> None:
        """`epochs` are of the records from `start` on."""
        self.epochs = list(epochs)
        self.start_offset = start

    @property
    def end_offset(self) -> int:
        return self.start_offset + len(self.epochs)

    @property
    def leader_epoch(self) -> int:
        return self.epochs[-1] if self.epochs else NO_EPOCH

    def epoch_end_offset(self, epoch: int) -> tuple[int, int]:
        known = [each for each in self.epochs if each <= epoch]
        if not known:
            return NO_EPOCH, NO_OFFSET
        return known[-1], self.start_offset + len(known)

    def truncate_to(self, offset: int) -> None:
        del self.epochs[max(offset - self.start_offset, 0) :]
