"""Which topic a log is of: `partition.metadata`, Kafka's file in each log's directory.

version: 0
topic_id: ID
"""

from pathlib import Path
from typing import Final

from kafkalite.model.ids import TopicId
from kafkalite.storage.files import Disk, read_whole, replace_file

PARTITION_METADATA: Final = "partition.metadata"


def read_topic_id(disk: Disk, directory: Path) -> TopicId | None:
    """None where the file is missing or malformed: then nobody knows. Raises OSError."""
    try:
        version, topic_id = read_whole(disk, directory / PARTITION_METADATA).decode().splitlines()
    except (FileNotFoundError, ValueError):
        return None
    if version != "version: 0" or not topic_id.startswith("topic_id: "):
        return None
    return TopicId(topic_id.removeprefix("topic_id: "))


def write_topic_id(disk: Disk, directory: Path, topic_id: TopicId) -> None:
    """Write the file durably. Raises OSError."""
    text = f"version: 0\ntopic_id: {topic_id}\n"
    replace_file(disk, directory / PARTITION_METADATA, text.encode())
