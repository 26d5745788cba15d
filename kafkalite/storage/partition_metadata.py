"""Which topic a log is of: `partition.metadata`, Kafka's file in each log's directory.

version: 0
topic_id: ID
begun_anew: true        (ours; another log of the partition was in a directory that had failed)
"""

from pathlib import Path
from typing import Final, NamedTuple

from kafkalite.model.ids import TopicId
from kafkalite.storage.files import Disk, read_whole, replace_file

PARTITION_METADATA: Final = "partition.metadata"
_BEGUN_ANEW: Final = "begun_anew: true"


class PartitionMetadata(NamedTuple):
    """What the file says."""

    topic_id: TopicId
    begun_anew: bool = False
    """Of two logs of a partition on a broker this one counts, the other one is out of date."""


def read_metadata(disk: Disk, directory: Path) -> PartitionMetadata | None:
    """None where the file is missing or malformed: then nobody knows. Raises OSError."""
    try:
        text = read_whole(disk, directory / PARTITION_METADATA).decode()
        version, topic_id, *rest = text.splitlines()
    except (FileNotFoundError, ValueError):
        return None
    if version != "version: 0" or not topic_id.startswith("topic_id: "):
        return None
    return PartitionMetadata(TopicId(topic_id.removeprefix("topic_id: ")), _BEGUN_ANEW in rest)


def write_metadata(disk: Disk, directory: Path, metadata: PartitionMetadata) -> None:
    """Write the file durably. Raises OSError."""
    lines = ["version: 0", f"topic_id: {metadata.topic_id}"]
    if metadata.begun_anew:
        lines.append(_BEGUN_ANEW)
    text = "".join(f"{line}\n" for line in lines)
    replace_file(disk, directory / PARTITION_METADATA, text.encode())
