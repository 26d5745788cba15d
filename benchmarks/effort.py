"""How much is done: all of it, or as much as shows that everything works."""

from typing import Final, NamedTuple


class Effort(NamedTuple):
    """Sizes of the cases; what is compared takes turns, `rounds` times."""

    rounds: int
    seconds: int
    """Of one measurement of requests by the second or of their latency."""
    batches: int
    """Sent in one measurement of raw batches."""
    starts: int
    """Of a broker, to time them."""
    partitions: int
    """Of the broker that has many."""
    read_bytes: int
    """Of the log that is read beside single produces."""
    peer_batches: int
    """Of a thousand 100-byte records, sent or read in one measurement beside Kafka's clients."""
    warm_seconds: float
    """For which Kafka is put to work before it is measured."""


FULL: Final = Effort(
    rounds=5,
    seconds=2,
    batches=600,
    starts=5,
    partitions=2000,
    read_bytes=1 << 30,
    peer_batches=1_500,
    warm_seconds=20,
)
QUICK: Final = Effort(
    rounds=2,
    seconds=1,
    batches=150,
    starts=2,
    partitions=2000,
    read_bytes=128 << 20,
    peer_batches=300,
    warm_seconds=4,
)
