"""What a consumer can be told, by Kafka's names."""

from typing import Annotated, Any, Final, Literal

from kafkalite.client.consumer.decoding import Decoding
from kafkalite.client.consumer.fetcher import FetchOptions
from kafkalite.client.consumer.starts import ResetPolicy
from kafkalite.client.deserializers import deserializer
from kafkalite.client.errors import ConfigError
from kafkalite.client.settings import MAX_INT, MAX_LONG, ClientSettings, setting

_KAFKAS_ASSIGNORS: Final = {
    "RangeAssignor": "range",
    "RoundRobinAssignor": "roundrobin",
    "StickyAssignor": "sticky",
    "CooperativeStickyAssignor": "sticky",
}
"""Kafka's classes, by the end of their names."""


class ConsumerSettings(ClientSettings, frozen=True, kw_only=True):
    """What a Consumer can be told."""

    group_id: Annotated[
        str | None, setting("The group to join; without it nothing is shared or remembered.")
    ] = None
    group_instance_id: Annotated[
        str | None,
        setting("A static member's name for ever: back within the session, it has its share."),
    ] = None
    client_rack: Annotated[str | None, setting("Where this consumer is.")] = None
    partition_assignment_strategy: Annotated[
        str | None,
        setting("How the group shares: `sticky`, `range` or `roundrobin`; or Kafka's classes."),
    ] = None
    session_timeout_ms: Annotated[
        int, setting("After so long without a heartbeat a member is out.", ge=0, le=MAX_INT)
    ] = 45_000
    heartbeat_interval_ms: Annotated[
        int, setting("Without effect: the coordinator says how often.", ge=0, le=MAX_INT)
    ] = 3_000
    max_poll_interval_ms: Annotated[
        int,
        setting("After so long between two polls a member leaves its group.", ge=1, le=MAX_INT),
    ] = 300_000
    max_poll_records: Annotated[
        int, setting("How many records a poll gives at most.", ge=1, le=MAX_INT)
    ] = 500
    auto_offset_reset: Annotated[
        Literal["earliest", "latest", "none"],
        setting("Where to begin without an offset to go on from; `none` raises NoOffsetError."),
    ] = "latest"
    offset_out_of_range: Annotated[
        Literal["reset", "nearest"],
        setting(
            "Where to go on when the log does not hold the position: as auto.offset.reset says, or "
            "at the end that is nearer. Kafka has no such setting."
        ),
    ] = "reset"
    enable_auto_commit: Annotated[
        bool, setting("Whether polls commit what earlier polls gave, now and then.")
    ] = True
    auto_commit_interval_ms: Annotated[int, setting("How often they do.", ge=0, le=MAX_INT)] = 5_000
    fetch_min_bytes: Annotated[
        int, setting("How much a broker waits for before it answers.", ge=0, le=MAX_INT)
    ] = 1
    fetch_max_wait_ms: Annotated[int, setting("How long it waits at most.", ge=0, le=MAX_INT)] = 500
    fetch_max_bytes: Annotated[
        int, setting("How much a broker may send at once.", ge=0, le=MAX_INT)
    ] = 52_428_800
    # So many pass from the socket to the program through the processor's caches. With 8 MiB,
    # records of 1 KB took a third more time.
    max_partition_fetch_bytes: Annotated[
        int,
        setting("How much of it may be of one partition (Kafka: 1 MiB).", ge=0, le=MAX_INT),
    ] = 2 << 20
    fetch_buffer_bytes: Annotated[
        int,
        setting(
            "How many bytes may have come, or be on their way, that no poll has given yet; at "
            "least one batch. Kafka has no such setting.",
            ge=1,
            le=MAX_LONG,
        ),
    ] = 64 << 20
    check_crcs: Annotated[bool, setting("Whether every batch's checksum is looked at again.")] = (
        True
    )
    isolation_level: Annotated[
        Literal["read_uncommitted", "read_committed"],
        setting("Both are the same as long as there are no transactions."),
    ] = "read_uncommitted"
    key_deserializer: Annotated[
        Any,
        setting("How keys are read: a callable, `str`, `json`, `msgpack`, `long`, ..."),
    ] = None
    value_deserializer: Annotated[Any, setting("The same for values.")] = None
    on_poison: Annotated[
        Any,
        setting(
            "What becomes of a record that a deserializer does not understand: `raise`, `skip`, or "
            "a callable that is given the error, after which it is skipped. Kafka has none."
        ),
    ] = "raise"
    default_api_timeout_ms: Annotated[
        int, setting("How long a call may take that says no timeout.", ge=1, le=MAX_INT)
    ] = 60_000
    consumer_timeout_ms: Annotated[
        int,
        setting("Iteration ends when nothing has come for so long; -1: never.", ge=-1, le=MAX_INT),
    ] = -1

    def check(self) -> None:
        """See that settings go with each other; raises ConfigError."""
        super().check()
        if not (self.on_poison in ("raise", "skip") or callable(self.on_poison)):
            raise ConfigError(
                f"on.poison: {self.on_poison!r} does not do: `raise`, `skip` or a callable"
            )
        _ = self.decoding

    @property
    def decoding(self) -> Decoding:
        """How records are read."""
        return Decoding(
            deserializer(self.key_deserializer),
            deserializer(self.value_deserializer),
            self.on_poison,
        )

    @property
    def reset_policy(self) -> ResetPolicy:
        """What to do where there is no offset to go on from."""
        return ResetPolicy(self.auto_offset_reset, self.offset_out_of_range)

    @property
    def fetch_options(self) -> FetchOptions:
        """How much to ask for."""
        return FetchOptions(
            self.fetch_max_bytes,
            self.max_partition_fetch_bytes,
            self.fetch_min_bytes,
            self.fetch_max_wait_ms,
            self.request_timeout_ms,
        )

    @property
    def assignor(self) -> str | None:
        """The assignor by our name."""
        named = self.partition_assignment_strategy
        return None if named is None else _KAFKAS_ASSIGNORS.get(named.rpartition(".")[2], named)
