"""The files of kafka-reassign-partitions: where partitions shall be, and which topics to move.

{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["any","any"]}]}
{"version":1,"topics":[{"topic":"t"}]}
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from kafkalite.cli.failure import CommandError
from kafkalite.cli.json_file import VERSION, read_json_file
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.admin_messages import PartitionAssignment

_ANY: Final = "any"
"""Whatever log directory the broker chooses."""
_Natural = Annotated[int, Meta(ge=0, lt=1 << 31)]

Targets = Mapping[TopicPartition, Sequence[int]]


class _Target(msgspec.Struct, frozen=True):
    topic: str
    partition: _Natural
    replicas: list[_Natural]
    log_dirs: list[str] | None = None


class _Targets(msgspec.Struct, frozen=True):
    partitions: list[_Target] = []
    version: int = VERSION


class _Topic(msgspec.Struct, frozen=True):
    topic: str


class _Topics(msgspec.Struct, frozen=True):
    topics: list[_Topic] = []
    version: int = VERSION


def read_targets(file: str) -> Targets:
    """The partitions that a file names, in its order, each with the brokers it shall be on.

    Raises:
        CommandError: the file is not what it should be; in Kafka's words where it has some.
    """
    content = read_json_file(file, _Targets, "list of partitions and replicas")
    if not content.partitions:
        raise CommandError("Partition reassignment list cannot be empty")
    targets: dict[TopicPartition, Sequence[int]] = {}
    twice: list[str] = []
    for entry in content.partitions:
        partition = TopicPartition(entry.topic, entry.partition)
        _check_log_dirs(partition, entry)
        if partition in targets:
            twice.append(str(partition))
        targets[partition] = entry.replicas
    if not all(targets.values()):
        raise CommandError("Partition replica list cannot be empty")
    if twice:
        raise CommandError(
            f"Partition reassignment contains duplicate topic partitions: {','.join(twice)}"
        )
    repeated = [
        f"{partition} contains multiple entries for {','.join(map(str, _duplicates(replicas)))}"
        for partition, replicas in targets.items()
        if _duplicates(replicas)
    ]
    if repeated:
        raise CommandError(
            f"Partition replica lists may not contain duplicate entries: {'. '.join(repeated)}"
        )
    return targets


def read_topics(file: str) -> list[str]:
    """The topics that a file names.

    Raises:
        CommandError: the file is not what it should be.
    """
    topics = [entry.topic for entry in read_json_file(file, _Topics, "list of topics").topics]
    if not topics:
        raise CommandError(f"{file} names no topic.")
    if len(set(topics)) < len(topics):
        raise CommandError(
            "List of topics to reassign contains duplicate entries: "
            f"{','.join(sorted({topic for topic in topics if topics.count(topic) > 1}))}"
        )
    return topics


def render(assignments: Iterable[PartitionAssignment]) -> str:
    """A file's content, as it is printed to be kept, sorted by topic and partition."""
    partitions = [
        {
            "topic": found.topic,
            "partition": found.partition,
            "replicas": found.replicas,
            "log_dirs": [_ANY] * len(found.replicas),
        }
        for found in sorted(assignments, key=lambda found: (found.topic, found.partition))
    ]
    return msgspec.json.encode({"version": VERSION, "partitions": partitions}).decode()


def _check_log_dirs(partition: TopicPartition, entry: _Target) -> None:
    if entry.log_dirs is None:
        return
    if len(entry.log_dirs) != len(entry.replicas):
        raise CommandError(
            f"Size of replicas list {entry.replicas} is different from size of log dirs list "
            f"{entry.log_dirs} for partition {partition}"
        )
    if any(directory != _ANY for directory in entry.log_dirs):
        raise CommandError(
            f"Partition {partition} names a log directory: moving replicas between the directories "
            'of a broker is not supported yet. Write "any".'
        )


def _duplicates(replicas: Sequence[int]) -> list[int]:
    return sorted({broker for broker in replicas if replicas.count(broker) > 1})
