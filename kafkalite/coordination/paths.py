"""Every znode path. All are below the chroot, which the bridge puts in front."""

from typing import Final

BROKER_IDS: Final = "/brokers/ids"
BROKER_ID_SEQUENCE: Final = "/brokers/seqid"
TOPICS: Final = "/brokers/topics"
STATE_CHANGES: Final = "/brokers/state_changes"
STATE_CHANGE_PREFIX: Final = "change_"
CONTROLLER: Final = "/controller"
CONTROLLER_EPOCH: Final = "/controller_epoch"
DELETE_TOPICS: Final = "/admin/delete_topics"
TOPIC_CONFIGS: Final = "/config/topics"
BROKER_CONFIGS: Final = "/config/brokers"
CONFIG_CHANGES: Final = "/config/changes"
CONFIG_CHANGE_PREFIX: Final = "config_change_"
CLUSTER_ID: Final = "/cluster/id"

PERSISTENT: Final = (
    BROKER_IDS,
    BROKER_ID_SEQUENCE,
    TOPICS,
    STATE_CHANGES,
    DELETE_TOPICS,
    TOPIC_CONFIGS,
    BROKER_CONFIGS,
    CONFIG_CHANGES,
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
