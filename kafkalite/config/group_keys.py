"""Settings of consumer groups; a section of `keys.py`, where all of them come together."""

from kafkalite.config.setting import NotNegative, Positive, PositiveLong, Section, setting


class GroupKeys(Section):
    """Consumer groups"""

    group_max_size: Positive = setting(
        1_000, "Members that one group may have.", scope="cluster", ours=True
    )
    group_min_session_timeout_ms: Positive = setting(
        6_000,
        "The shortest session timeout that a member may ask for.",
        scope="cluster",
    )
    group_max_session_timeout_ms: Positive = setting(
        1_800_000,
        "The longest session timeout that a member may ask for.",
        scope="cluster",
    )
    group_consumer_session_timeout_ms: Positive = setting(
        45_000,
        "After how long without a heartbeat a member is out that asks for no session timeout.",
        scope="cluster",
    )
    group_consumer_heartbeat_interval_ms: Positive = setting(
        3_000, "How often members are told to send heartbeats.", scope="cluster", ours=True
    )
    offset_metadata_max_bytes: NotNegative = setting(
        4_096, "The largest text that may be committed with an offset.", scope="cluster"
    )
    offsets_retention_minutes: Positive = setting(
        10_080,
        "A group without members goes, with its offsets, when nothing has been committed for so "
        "long.",
        scope="cluster",
    )
    offsets_retention_check_interval_ms: PositiveLong = setting(
        600_000, "How often that is looked for, and offsets of topics that are gone."
    )
    group_coordinator_max_groups: Positive = setting(
        10_000,
        "Groups that the broker holds in memory at once; one more that has members is refused.",
        ours=True,
    )
    group_coordinator_max_waiting_heartbeats: NotNegative = setting(
        20_000,
        "Heartbeats that may wait for news at once; one more is answered without waiting.",
        ours=True,
    )
    group_coordinator_max_gathered_offsets: Positive = setting(
        200_000,
        "Offsets that may wait to be committed at once; more are told to come back later.",
        ours=True,
    )
    group_max_streams: NotNegative = setting(
        1_000,
        "Streams (GET /v1/groups/G/stream) that the broker serves at once; one more is answered "
        "503.",
        ours=True,
    )
