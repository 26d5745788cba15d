"""Every setting of a broker, once: type, default, bounds, whether it is live, what it does.

Those of topics are in `topic_overrides.py`. Names and defaults are Kafka's but for those marked
`ours`. An attribute is the key with underscores for dots. Everything else derives from here: what a
file, the environment and `--override` may say (`load.py`), what can be changed while running
(`broker_config.py`, `topic_config.py`) and docs/reference/configuration.md (`render.py`).
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from kafkalite.config.group_keys import GroupKeys
from kafkalite.config.http_keys import HttpKeys
from kafkalite.config.listener import Listener, parse_listener, reachable_host
from kafkalite.config.producer_keys import ProducerKeys
from kafkalite.config.rest_keys import RestKeys
from kafkalite.config.setting import (
    MAX_LONG,
    Boolean,
    Int,
    Long,
    NotNegative,
    NotNegativeLong,
    Positive,
    PositiveLong,
    Section,
    Text,
    setting,
)
from kafkalite.config.stream_keys import StreamKeys
from kafkalite.config.throttled_replicas import (
    NO_REPLICAS,
    ThrottledReplicas,
    parse_throttled_replicas,
)
from kafkalite.config.views import NO_LIMIT, FlushPolicy, ReplicaOptions
from kafkalite.config.zookeeper_connect import check_zookeeper_connect

HIGHEST_GIVEN_BROKER_ID = 1000
"""Generated ids begin above it (Kafka's reserved.broker.max.id)."""

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_MEBI = 1 << 20


def _listener(value: object) -> object:
    return parse_listener(value) if isinstance(value, str) else value


def _reachable(listener: Listener) -> Listener:
    if listener.is_everywhere:
        raise ValueError(f"{listener} names no host that a client could connect to")
    return listener


def _directories(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(Path(name.strip()) for name in value.split(",") if name.strip())


def _distinct(directories: tuple[Path, ...]) -> tuple[Path, ...]:
    if not directories:
        raise ValueError("at least one directory is needed")
    twice = {str(each) for each in directories if directories.count(each) > 1}
    if twice:
        raise ValueError(f"{', '.join(sorted(twice))} is named twice")
    return directories


def _not_zero(value: int) -> int:
    if value == 0:
        raise ValueError("0 would keep nothing: write -1 to keep for ever, or at least 1")
    return value


def _only_delete(value: object) -> object:
    policies = {part.strip() for part in value.split(",")} if isinstance(value, str) else {value}
    if "compact" in policies and policies <= {"compact", "delete"}:
        raise ValueError("compact is not supported yet; write delete")
    return value.strip() if isinstance(value, str) else value


def _normal_enum(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


Listeners = Annotated[Listener, BeforeValidator(_listener)]
AdvertisedListeners = Annotated[Listener, BeforeValidator(_listener), AfterValidator(_reachable)]
Directories = Annotated[tuple[Path, ...], BeforeValidator(_directories), AfterValidator(_distinct)]
ZooKeeperConnect = Annotated[Text, AfterValidator(check_zookeeper_connect)]
Policy = Annotated[FlushPolicy, BeforeValidator(_normal_enum)]

Throttled = Annotated[ThrottledReplicas, BeforeValidator(parse_throttled_replicas)]

OrNoLimit = Annotated[Long, Field(ge=NO_LIMIT)]
Retention = Annotated[OrNoLimit, AfterValidator(_not_zero)]
RetentionInt = Annotated[Int, Field(ge=NO_LIMIT), AfterValidator(_not_zero)]
SegmentBytes = Annotated[Int, Field(ge=14)]
IndexBytes = Annotated[Int, Field(ge=4)]
CleanupPolicy = Annotated[Literal["delete"], BeforeValidator(_only_delete)]
CompressionType = Literal["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"]
TimestampType = Literal["CreateTime", "LogAppendTime"]


class IdentityKeys(Section):
    """Who the broker is"""

    broker_id: Annotated[Int, Field(ge=-1)] = setting(
        -1, "The broker's number, different on each; -1: one is generated, from 1001 on."
    )
    broker_id_generation_enable: Boolean = setting(
        True, "Whether a broker without broker.id gets a generated one."
    )
    broker_rack: Text | None = setting(
        None, "Where the broker stands; replicas are spread over racks."
    )


class NetworkKeys(Section):
    """Connections and requests"""

    listeners: Listeners = setting(
        Listener("", 9092),
        "Where to listen, HTTP://host:port; an empty host: on every interface; port 0: a free one.",
        ours=True,
    )
    advertised_listeners: AdvertisedListeners | None = setting(
        None,
        "The address that clients and other brokers are told; not set: that of listeners, with "
        "the machine's host name for an empty host. Port 0: the port that the broker listens on.",
    )
    max_connections: Positive = setting(
        2**31 - 1, "How many connections may be open at once; one more is answered 503 and closed."
    )
    connections_max_idle_ms: PositiveLong = setting(
        600_000, "A connection without a request for so long is closed."
    )
    queued_max_requests: Positive = setting(
        500, "How many produce requests may be in work at once; one more is answered 429."
    )
    socket_request_max_bytes: Positive = setting(
        100 * _MEBI, "The largest body of a request; reading stops there."
    )
    fetch_max_bytes: Annotated[Int, Field(ge=1024)] = setting(
        55 * _MEBI,
        "The most bytes of batches in one answer, whatever the request asks for; a single larger "
        "batch is still delivered.",
    )
    fetch_max_wait_ms: NotNegative = setting(
        60_000, "The longest that a fetch waits for records, whatever it asks for.", ours=True
    )


class ZooKeeperKeys(Section):
    """ZooKeeper"""

    zookeeper_connect: ZooKeeperConnect = setting(
        ...,
        "The servers, host:port[,host:port...], and optionally a path below which all data lies: "
        "h1:2181,h2:2181,h3:2181/kafkalite.",
        scope="cluster",
    )
    zookeeper_session_timeout_ms: Positive = setting(
        6_000,
        "How long a broker may be out of touch before ZooKeeper takes it for dead.",
        ours=True,
    )
    zookeeper_connection_timeout_ms: Positive | None = setting(
        None,
        "How long a starting broker tries to reach ZooKeeper; not set: "
        "zookeeper.session.timeout.ms.",
    )


class TopicKeys(Section):
    """Topics"""

    num_partitions: Positive = setting(
        1, "Partitions of a topic that is created without a number.", scope="cluster"
    )
    default_replication_factor: Annotated[Int, Field(ge=1, le=32767)] = setting(
        1, "Replicas of a topic that is created without a number.", scope="cluster"
    )
    min_insync_replicas: Positive = setting(
        1,
        "With acks=all: how many replicas must be in sync for a record to be taken.",
        live=True,
        scope="cluster",
    )
    unclean_leader_election_enable: Boolean = setting(
        False,
        "Whether a replica that is not in sync may lead when no other is left; records may be "
        "lost.",
        live=True,
        scope="cluster",
    )
    auto_create_topics_enable: Boolean = setting(
        True, "Whether producing to a topic that does not exist creates it.", scope="cluster"
    )
    delete_topic_enable: Boolean = setting(True, "Whether topics can be deleted.", scope="cluster")
    message_max_bytes: NotNegative = setting(
        1_048_588,
        "The largest record batch, in bytes as sent (compressed).",
        live=True,
        scope="cluster",
    )
    message_max_decompressed_bytes: NotNegative = setting(
        32 * _MEBI,
        "The largest payload of a compressed batch, in bytes once decompressed: looking through "
        "it keeps everybody else waiting.",
        live=True,
        scope="cluster",
        ours=True,
    )
    compression_type: CompressionType = setting(
        "producer",
        "How batches are stored: as they come (`producer`), or compressed anew.",
        live=True,
        scope="cluster",
    )
    log_message_timestamp_type: TimestampType = setting(
        "CreateTime",
        "Whose clock counts: the producer's (`CreateTime`) or the broker's (`LogAppendTime`).",
        live=True,
        scope="cluster",
    )
    log_message_timestamp_before_max_ms: NotNegativeLong = setting(
        MAX_LONG,
        "With CreateTime: a record whose timestamp is further in the past is refused.",
        live=True,
        scope="cluster",
    )
    log_message_timestamp_after_max_ms: NotNegativeLong = setting(
        MAX_LONG,
        "With CreateTime: a record whose timestamp is further in the future is refused.",
        live=True,
        scope="cluster",
    )


class LogKeys(Section):
    """Logs on disk"""

    log_dir: Text = setting(
        "/tmp/kafkalite-logs",
        "The directory of the logs, if log.dirs is not set.",
        ours=True,
    )
    log_dirs: Directories | None = setting(
        None, "The directories of the logs, separated by commas; a new partition gets the emptiest."
    )
    num_recovery_threads_per_data_dir: Positive = setting(
        1, "How many logs of one directory are recovered at a time after an unclean stop."
    )
    log_segment_bytes: SegmentBytes = setting(
        1 << 30, "The size at which a segment ends and the next begins.", live=True
    )
    log_roll_hours: Positive = setting(
        168,
        "A record that is so much younger than the first of its segment begins the next; in hours.",
    )
    log_roll_ms: PositiveLong | None = setting(
        None,
        "A record that is so much younger than the first of its segment begins the next; not set: "
        "log.roll.hours.",
        live=True,
    )
    log_index_size_max_bytes: IndexBytes = setting(
        10 * _MEBI, "The size of an index; when it is full, the segment ends.", live=True
    )
    log_index_interval_bytes: NotNegative = setting(
        4096, "How many bytes of batches lie between two entries of an index.", live=True
    )
    log_segment_delete_delay_ms: NotNegativeLong = setting(
        60_000, "How long the files of a deleted segment stay.", live=True
    )


class RetentionKeys(Section):
    """Retention"""

    log_cleanup_policy: CleanupPolicy = setting("delete", "What happens to old segments.")
    log_retention_hours: RetentionInt = setting(
        168, "How long records are kept, in hours; -1: for ever."
    )
    log_retention_minutes: RetentionInt | None = setting(
        None, "How long records are kept, in minutes; not set: log.retention.hours."
    )
    log_retention_ms: Retention | None = setting(
        None, "How long records are kept; not set: log.retention.minutes.", live=True
    )
    log_retention_bytes: OrNoLimit = setting(
        NO_LIMIT, "How much of a partition is kept; -1: all of it.", live=True
    )
    log_retention_check_interval_ms: PositiveLong = setting(
        300_000, "How often segments are looked through for what may go."
    )


class ScrubKeys(Section):
    """Damage"""

    log_scrub_interval_hours: NotNegative = setting(
        168,
        "In how many hours each segment is read once to find what the disk has damaged; 0: never.",
        ours=True,
    )
    log_scrub_interval_ms: NotNegativeLong | None = setting(
        None, "The same in milliseconds; not set: log.scrub.interval.hours.", ours=True
    )
    log_scrub_bytes_per_second: Positive = setting(
        10 * _MEBI,
        "The most that is read for that in a second, even where the interval is then too short.",
        ours=True,
    )


class FlushKeys(Section):
    """Durability"""

    log_flush_policy: Policy = setting(
        FlushPolicy.COMMIT,
        "When records are made durable. `commit`: acks=all is answered, and a record is shown to "
        "readers, only once it is on disk. `interval`: after log.flush.interval.*. `os`: when the "
        "operating system writes its page cache back, which is what Kafka does.",
        scope="cluster",
        ours=True,
    )
    log_flush_interval_messages: PositiveLong = setting(
        MAX_LONG, "With `interval`: flush a log after so many records.", live=True
    )
    log_flush_interval_ms: NotNegativeLong | None = setting(
        None,
        "With `interval`: flush a log when a record has waited so long; not set: "
        "log.flush.scheduler.interval.ms.",
        live=True,
    )
    log_flush_scheduler_interval_ms: PositiveLong = setting(
        MAX_LONG, "With `interval`: how often logs are looked through for what must be flushed."
    )
    log_flush_offset_checkpoint_interval_ms: Positive = setting(
        60_000, "How often the offsets are noted from which recovery would begin."
    )
    log_flush_start_offset_checkpoint_interval_ms: Positive = setting(
        60_000, "How often the first offsets of the logs are noted."
    )
    replica_high_watermark_checkpoint_interval_ms: PositiveLong = setting(
        5_000, "How often the high watermarks are noted."
    )


class ReplicationKeys(Section):
    """Replication"""

    replica_lag_time_max_ms: PositiveLong = setting(
        30_000,
        "A follower that has not caught up with the leader's end for so long is taken out of the "
        "in-sync replicas.",
        scope="cluster",
    )
    replica_fetch_max_bytes: NotNegative = setting(
        _MEBI,
        "How much a follower asks for of one partition at a time, while others have something, "
        "too; a single larger batch still comes.",
    )
    replica_fetch_response_max_bytes: Positive = setting(
        10 * _MEBI,
        "The most bytes of batches in one answer to a follower; a single larger batch still comes.",
    )
    replica_fetch_buffer_bytes: Positive = setting(
        64 * _MEBI,
        "The most bytes of batches that a follower asks of all its leaders together, so that "
        "catching up takes a bounded amount of memory.",
        ours=True,
    )
    replica_fetch_wait_max_ms: Positive = setting(
        500, "The longest that a follower's fetch waits for records at the leader."
    )
    replica_fetch_backoff_ms: Positive = setting(
        1_000, "The longest pause before a follower tries again what failed; it begins shorter."
    )
    replica_socket_timeout_ms: Positive = setting(
        30_000,
        "A leader that has not answered a follower's fetch for so long is tried anew; beyond "
        "replica.fetch.wait.max.ms.",
    )
    leader_replication_throttled_rate: PositiveLong = setting(
        MAX_LONG,
        "Bytes a second that this broker sends of the partitions in "
        "leader.replication.throttled.replicas to followers that are not in sync.",
        live=True,
    )
    follower_replication_throttled_rate: PositiveLong = setting(
        MAX_LONG,
        "Bytes a second that this broker fetches of the partitions in "
        "follower.replication.throttled.replicas while it is not in sync.",
        live=True,
    )


class ControllerKeys(Section):
    """Leaders"""

    auto_leader_rebalance_enable: Boolean = setting(
        True,
        "Whether the controller has preferred leaders lead again, where they live and are in sync.",
        scope="cluster",
    )
    leader_imbalance_check_interval_seconds: Positive = setting(
        300, "How often it looks for that.", scope="cluster"
    )
    leader_imbalance_per_broker_percentage: NotNegative = setting(
        10,
        "How many in a hundred of the partitions that prefer a broker may be led by others before "
        "their leaders are moved back.",
        scope="cluster",
    )
    controlled_shutdown_enable: Boolean = setting(
        True, "Whether a broker has others lead its partitions before it stops."
    )
    controlled_shutdown_max_retries: NotNegative = setting(
        3, "How often it asks for that again while it still leads some that others could."
    )
    controlled_shutdown_retry_backoff_ms: Positive = setting(5_000, "How long it waits in between.")


SECTIONS: tuple[type[Section], ...] = (
    IdentityKeys,
    NetworkKeys,
    HttpKeys,
    ZooKeeperKeys,
    TopicKeys,
    LogKeys,
    RetentionKeys,
    ScrubKeys,
    FlushKeys,
    ReplicationKeys,
    ControllerKeys,
    ProducerKeys,
    GroupKeys,
    RestKeys,
    StreamKeys,
)


class BrokerSettings(
    IdentityKeys,
    NetworkKeys,
    HttpKeys,
    ZooKeeperKeys,
    TopicKeys,
    LogKeys,
    RetentionKeys,
    ScrubKeys,
    FlushKeys,
    ReplicationKeys,
    ControllerKeys,
    ProducerKeys,
    GroupKeys,
    RestKeys,
    StreamKeys,
):
    """The settings of one broker. Immutable; made by `load.py`, or by tests from attributes."""

    @property
    def log_directories(self) -> tuple[Path, ...]:
        """The directories of the logs: log.dirs, or else log.dir."""
        return self.log_dirs or (Path(self.log_dir),)

    @property
    def retention_ms(self) -> int:
        """How long records are kept, in ms; NO_LIMIT: for ever."""
        if self.log_retention_ms is not None:
            return self.log_retention_ms
        if self.log_retention_minutes is not None:
            return max(self.log_retention_minutes * _MINUTE_MS, NO_LIMIT)
        return max(self.log_retention_hours * _HOUR_MS, NO_LIMIT)

    @property
    def scrub_interval_ms(self) -> int:
        """In which each segment is read once; 0: they are not."""
        if self.log_scrub_interval_ms is not None:
            return self.log_scrub_interval_ms
        return self.log_scrub_interval_hours * _HOUR_MS

    @property
    def roll_ms(self) -> int:
        """The age at which a segment ends, in ms."""
        return self.log_roll_hours * _HOUR_MS if self.log_roll_ms is None else self.log_roll_ms

    @property
    def flush_interval_ms(self) -> int:
        """With `interval`: how long a record may wait for the flush, in ms."""
        if self.log_flush_interval_ms is None:
            return self.log_flush_scheduler_interval_ms
        return self.log_flush_interval_ms

    @property
    def connection_timeout_ms(self) -> int:
        """How long a starting broker tries to reach ZooKeeper."""
        if self.zookeeper_connection_timeout_ms is None:
            return self.zookeeper_session_timeout_ms
        return self.zookeeper_connection_timeout_ms

    @property
    def replica_options(self) -> ReplicaOptions:
        """How this broker fetches from the leaders that it follows."""
        return ReplicaOptions(
            partition_max_bytes=self.replica_fetch_max_bytes,
            answer_max_bytes=self.replica_fetch_response_max_bytes,
            buffer_bytes=self.replica_fetch_buffer_bytes,
            wait_max_ms=self.replica_fetch_wait_max_ms,
            backoff_max_ms=self.replica_fetch_backoff_ms,
            timeout_ms=self.replica_socket_timeout_ms,
        )

    @property
    def throttled_replicas(self) -> ThrottledReplicas:
        """The replicas that are throttled of a topic which names none."""
        return NO_REPLICAS

    def advertised_listener(self, bound_port: int) -> Listener:
        """The address to register: what is advertised, else where the broker listens.

        Args:
            bound_port: the port that the broker listens on, in place of a port 0. Looks up the
                machine's host name where no host is set.
        """
        chosen = self.advertised_listeners or self.listeners
        host = reachable_host() if chosen.is_everywhere else chosen.host
        return Listener(host, chosen.port or bound_port)
