"""Every znode path. All are below the chroot, which the bridge puts in front.

Topics and numbers are names that ZooKeeper takes. Ids of groups and of their members are any text,
of which what ZooKeeper refuses in a name is percent-encoded, and so is `%`.
"""

import re
from typing import Final
from urllib.parse import quote, unquote

BROKER_IDS: Final = "/brokers/ids"
BROKER_ID_SEQUENCE: Final = "/brokers/seqid"
TOPICS: Final = "/brokers/topics"
STATE_CHANGES: Final = "/brokers/state_changes"
STATE_CHANGE_PREFIX: Final = "change_"
CONTROLLER: Final = "/controller"
CONTROLLER_EPOCH: Final = "/controller_epoch"
DELETE_TOPICS: Final = "/admin/delete_topics"
REASSIGN_PARTITIONS: Final = "/admin/reassign_partitions"
PREFERRED_REPLICA_ELECTION: Final = "/admin/preferred_replica_election"
TOPIC_CONFIGS: Final = "/config/topics"
BROKER_CONFIGS: Final = "/config/brokers"
CONFIG_CHANGES: Final = "/config/changes"
CONFIG_CHANGE_PREFIX: Final = "config_change_"
CLUSTER_ID: Final = "/cluster/id"
LATEST_PRODUCER_ID_BLOCK: Final = "/latest_producer_id_block"
CONSUMERS: Final = "/consumers"

PERSISTENT: Final = (
    BROKER_IDS,
    BROKER_ID_SEQUENCE,
    TOPICS,
    STATE_CHANGES,
    DELETE_TOPICS,
    TOPIC_CONFIGS,
    BROKER_CONFIGS,
    CONFIG_CHANGES,
    CONSUMERS,
    "/cluster",
)
"""What every broker makes sure of before it does anything else."""


def broker(broker_id: int) -> str:
    return f"{BROKER_IDS}/{broker_id}"


def topic(name: str) -> str:
    return f"{TOPICS}/{name}"


def partitions(name: str) -> str:
    return f"{TOPICS}/{name}/partitions"


def partition(name: str, number: int) -> str:
    return f"{TOPICS}/{name}/partitions/{number}"


def state(name: str, number: int) -> str:
    return f"{TOPICS}/{name}/partitions/{number}/state"


def topic_config(name: str) -> str:
    return f"{TOPIC_CONFIGS}/{name}"


def broker_config(entity: str) -> str:
    """Path of a broker's dynamic configuration; `entity` is its id or `<default>`."""
    return f"{BROKER_CONFIGS}/{entity}"


def delete_topic(name: str) -> str:
    return f"{DELETE_TOPICS}/{name}"


def state_change() -> str:
    """Path to create a sequential change notice with."""
    return f"{STATE_CHANGES}/{STATE_CHANGE_PREFIX}"


def config_change() -> str:
    """Path to create a sequential configuration notice with."""
    return f"{CONFIG_CHANGES}/{CONFIG_CHANGE_PREFIX}"


# -- consumer groups ------------------------------------------------------------------------------

_REFUSED: Final = re.compile(
    "[/%\x00-\x1f\x7f-\x9f\ue000-\uf8ff\ufff0-\uffff\U00010000-\U0010ffff]"
)
"""What ZooKeeper takes in no name (it counts in halves beyond U+FFFF), and our own `%`."""


def escape(name: str) -> str:
    """Any text without surrogates as the name of a znode; ordinary ones stay as they are."""
    if name in {".", ".."}:
        return name.replace(".", "%2E")
    return _REFUSED.sub(lambda match: quote(match[0], safe=""), name)


def unescape(name: str) -> str:
    """What `escape` made the name of."""
    return unquote(name)


def group(group_id: str) -> str:
    return f"{CONSUMERS}/{escape(group_id)}"


def group_state(group_id: str) -> str:
    return f"{group(group_id)}/state"


def group_life(group_id: str, life: str) -> str:
    return f"{group(group_id)}/life-{life}"


def group_offsets(group_id: str) -> str:
    return f"{group(group_id)}/offsets"


def group_topic_offsets(group_id: str, topic_name: str) -> str:
    return f"{group(group_id)}/offsets/{escape(topic_name)}"


def group_offset(group_id: str, topic_name: str, number: int) -> str:
    return f"{group(group_id)}/offsets/{escape(topic_name)}/{number}"


def group_metadata(group_id: str) -> str:
    return f"{group(group_id)}/offset_metadata"


def group_topic_metadata(group_id: str, topic_name: str) -> str:
    return f"{group(group_id)}/offset_metadata/{escape(topic_name)}"


def group_offset_metadata(group_id: str, topic_name: str, number: int) -> str:
    return f"{group(group_id)}/offset_metadata/{escape(topic_name)}/{number}"


def group_members(group_id: str) -> str:
    return f"{group(group_id)}/ids"


def group_member(group_id: str, member_id: str) -> str:
    return f"{group(group_id)}/ids/{escape(member_id)}"


def group_owners(group_id: str) -> str:
    return f"{group(group_id)}/owners"


def group_topic_owners(group_id: str, topic_name: str) -> str:
    return f"{group(group_id)}/owners/{escape(topic_name)}"


def group_owner(group_id: str, topic_name: str, number: int) -> str:
    return f"{group(group_id)}/owners/{escape(topic_name)}/{number}"


def group_instances(group_id: str) -> str:
    return f"{group(group_id)}/instances"


def group_instance(group_id: str, name: str) -> str:
    return f"{group(group_id)}/instances/{escape(name)}"
