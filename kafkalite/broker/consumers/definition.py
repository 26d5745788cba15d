"""What a consumer instance is: all of it that outlives the broker that serves it.

    /consumers/G/instances/NAME = JSON of a ConsumerDefinition

Written whenever it changes, before the client is answered; read by whichever broker serves the
instance next. Positions are not part of it: those follow from what the group has committed, and
where it has committed nothing, from `starts` or `auto_offset_reset`.
"""

from typing import Literal

import msgspec

from kafkalite.model.ids import TopicPartition
from kafkalite.wire.rest_records import EmbeddedFormat

Dialect = Literal["confluent", "strimzi"]
OffsetReset = Literal["earliest", "latest", "none"]


class ConsumerDefinition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an instance was created, and what it reads."""

    version: Literal[1] = 1
    format: EmbeddedFormat = EmbeddedFormat.BINARY
    dialect: Dialect = "confluent"
    auto_offset_reset: OffsetReset = "latest"
    auto_commit: bool = True
    fetch_min_bytes: int = 1
    request_timeout_ms: int | None = None
    """How long a poll waits that names no time itself; None: as the server has it."""
    topics: tuple[str, ...] = ()
    """Subscribed to; at most one of these three says something."""
    pattern: str | None = None
    assignment: tuple[TopicPartition, ...] = ()
    """Chosen by the client itself: no member of the group."""
    starts: tuple[tuple[str, int, int], ...] = ()
    """Topic, partition, offset: where reading began at the end of a partition (`latest`).

    Without it, the next broker would begin at a later end, and miss what came in between.
    """
    idle_since_ms: int | None = None
    """Set once its client was not heard of for so long that it was let go (wall clock)."""

    @property
    def is_subscribed(self) -> bool:
        return bool(self.topics) or self.pattern is not None

    def encode(self) -> bytes:
        """The payload of its znode."""
        return msgspec.json.encode(self, order="deterministic")

    @classmethod
    def decode(cls, payload: bytes) -> "ConsumerDefinition | None":
        """What a znode holds; None where a newer version, or nobody, could have written it."""
        try:
            return _decoder.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None


_decoder = msgspec.json.Decoder(ConsumerDefinition)
