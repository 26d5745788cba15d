"""Settings of consumer groups; a section of `keys.py`, where all of them come together."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from kafkalite.config.names import key_of
from kafkalite.config.setting import Int, Long, setting

_Positive = Annotated[Int, Field(ge=1)]
_PositiveLong = Annotated[Long, Field(ge=1)]
_NotNegative = Annotated[Int, Field(ge=0)]


class GroupKeys(BaseModel):
    """Consumer groups"""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=key_of,
        validate_by_name=True,
        validate_by_alias=True,
    )

    group_max_size: _Positive = setting(
        1_000, "Members that one group may have.", scope="cluster", ours=True
    )
    group_min_session_timeout_ms: _Positive = setting(
        6_000,
        "The shortest session timeout that a member may ask for.",
        scope="cluster",
    )
    group_max_session_timeout_ms: _Positive = setting(
        1_800_000,
        "The longest session timeout that a member may ask for.",
        scope="cluster",
    )
    group_consumer_session_timeout_ms: _Positive = setting(
        45_000,
        "After how long without a heartbeat a member is out that asks for no session timeout.",
        scope="cluster",
    )
    group_consumer_heartbeat_interval_ms: _Positive = setting(
        3_000, "How often members are told to send heartbeats.", scope="cluster", ours=True
    )
    offset_metadata_max_bytes: _NotNegative = setting(
        4_096, "The largest text that may be committed with an offset.", scope="cluster"
    )
    offsets_retention_minutes: _Positive = setting(
        10_080,
        "A group without members goes, with its offsets, when nothing has been committed for so "
        "long.",
        scope="cluster",
    )
    offsets_retention_check_interval_ms: _PositiveLong = setting(
        600_000, "How often that is looked for, and offsets of topics that are gone."
    )
    group_coordinator_max_groups: _Positive = setting(
        10_000,
        "Groups that the broker holds in memory at once; one more that has members is refused.",
        ours=True,
    )
    group_coordinator_max_waiting_heartbeats: _NotNegative = setting(
        20_000,
        "Heartbeats that may wait for news at once; one more is answered without waiting.",
        ours=True,
    )
    group_coordinator_max_gathered_offsets: _Positive = setting(
        200_000,
        "Offsets that may wait to be committed at once; more are told to come back later.",
        ours=True,
    )
    group_max_streams: _NotNegative = setting(
        1_000,
        "Streams (GET /v1/groups/G/stream) that the broker serves at once; one more is answered "
        "503.",
        ours=True,
    )
