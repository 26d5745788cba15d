"""What a topic can set for itself, declared once; the rest is its broker's (`keys.py`)."""

from kafkalite.config.keys import (
    CleanupPolicy,
    CompressionType,
    IndexBytes,
    OrNoLimit,
    SegmentBytes,
    Throttled,
    TimestampType,
)
from kafkalite.config.setting import (
    Boolean,
    NotNegative,
    NotNegativeLong,
    Positive,
    PositiveLong,
    Section,
)
from kafkalite.config.setting import topic_setting as topic


class TopicOverrides(Section):
    """What a topic sets for itself; None: the broker's value counts."""

    cleanup_policy: CleanupPolicy | None = topic(
        "What happens to old segments.", default_of="log_cleanup_policy"
    )
    compression_type: CompressionType | None = topic(
        "How batches are stored: as they come (`producer`), or compressed anew.",
        default_of="compression_type",
    )
    file_delete_delay_ms: NotNegativeLong | None = topic(
        "How long the files of a deleted segment stay.", default_of="log_segment_delete_delay_ms"
    )
    flush_messages: PositiveLong | None = topic(
        "With log.flush.policy=interval: flush after so many records.",
        default_of="log_flush_interval_messages",
    )
    flush_ms: NotNegativeLong | None = topic(
        "With log.flush.policy=interval: flush when a record has waited so long.",
        default_of="flush_interval_ms",
        synonyms=("log.flush.interval.ms", "log.flush.scheduler.interval.ms"),
    )
    follower_replication_throttled_replicas: Throttled | None = topic(
        "Replicas that fetch at no more than follower.replication.throttled.rate while they are "
        "not in sync: partition:broker, separated by commas, or *.",
        default_of="throttled_replicas",
        synonyms=(),
    )
    index_interval_bytes: NotNegative | None = topic(
        "How many bytes of batches lie between two entries of an index.",
        default_of="log_index_interval_bytes",
    )
    leader_replication_throttled_replicas: Throttled | None = topic(
        "Replicas from which no more than leader.replication.throttled.rate is fetched by "
        "followers that are not in sync: partition:broker, separated by commas, or *.",
        default_of="throttled_replicas",
        synonyms=(),
    )
    max_message_bytes: NotNegative | None = topic(
        "The largest record batch, in bytes as sent (compressed).", default_of="message_max_bytes"
    )
    message_timestamp_after_max_ms: NotNegativeLong | None = topic(
        "With CreateTime: a record whose timestamp is further in the future is refused.",
        default_of="log_message_timestamp_after_max_ms",
    )
    message_timestamp_before_max_ms: NotNegativeLong | None = topic(
        "With CreateTime: a record whose timestamp is further in the past is refused.",
        default_of="log_message_timestamp_before_max_ms",
    )
    message_timestamp_type: TimestampType | None = topic(
        "Whose clock counts: the producer's (`CreateTime`) or the broker's (`LogAppendTime`).",
        default_of="log_message_timestamp_type",
    )
    min_insync_replicas: Positive | None = topic(
        "With acks=all: how many replicas must be in sync for a record to be taken.",
        default_of="min_insync_replicas",
    )
    retention_bytes: OrNoLimit | None = topic(
        "How much of a partition is kept; -1: all of it.", default_of="log_retention_bytes"
    )
    retention_ms: OrNoLimit | None = topic(
        "How long records are kept; -1: for ever.",
        default_of="retention_ms",
        synonyms=("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
    )
    segment_bytes: SegmentBytes | None = topic(
        "The size at which a segment ends and the next begins.", default_of="log_segment_bytes"
    )
    segment_index_bytes: IndexBytes | None = topic(
        "The size of an index; when it is full, the segment ends.",
        default_of="log_index_size_max_bytes",
    )
    segment_ms: PositiveLong | None = topic(
        "A record that is so much younger than the first of its segment begins the next.",
        default_of="roll_ms",
        synonyms=("log.roll.ms", "log.roll.hours"),
    )
    unclean_leader_election_enable: Boolean | None = topic(
        "Whether a replica that is not in sync may lead when no other is left; records may be "
        "lost.",
        default_of="unclean_leader_election_enable",
    )
