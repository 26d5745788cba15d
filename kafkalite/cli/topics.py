"""`kafkalite topics`: kafka-topics, to create, list, describe, alter and delete topics."""

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Final

from kafkalite.cli.administration import Administration
from kafkalite.cli.command_line import (
    CommandParser,
    add_connection_arguments,
    check_connection_arguments,
    key_value,
    whole_number,
)
from kafkalite.cli.failure import EXIT_FAILURE, CommandError
from kafkalite.cli.topic_description import PARTITION_FILTERS, describe_topics
from kafkalite.cli.topic_filter import TopicFilter
from kafkalite.model.errors import (
    InvalidPartitionsError,
    InvalidReplicaAssignmentError,
    InvalidReplicationFactorError,
    LogError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.topic_name import COLLISION_WARNING, check_topic_name, has_collision_chars
from kafkalite.wire.admin_messages import TopicSummary

_ACTIONS: Final = ("list", "describe", "create", "alter", "delete")
_LARGEST_REPLICATION_FACTOR: Final = 32767
_DESCRIBE_FILTERS: Final = (*PARTITION_FILTERS, "topics-with-overrides")
_REQUIRED: Final = {
    "list": (),
    "describe": (),
    "create": ("topic",),
    "alter": ("topic",),
    "delete": ("topic",),
}
_ALLOWED: Final = {
    "list": {"exclude-internal"},
    "describe": {"exclude-internal", "if-exists", *_DESCRIBE_FILTERS},
    "create": {
        "partitions",
        "replication-factor",
        "replica-assignment",
        "config",
        "if-not-exists",
    },
    "alter": {"partitions", "replica-assignment", "if-exists"},
    "delete": {"if-exists"},
}
_OPTIONS: Final = sorted(set().union(*_ALLOWED.values()))
_ASSIGNMENT = re.compile(r"[0-9]+(?::[0-9]+)*(?:,[0-9]+(?::[0-9]+)*)*")


def add_arguments(parser: CommandParser) -> None:
    """Declare kafka-topics' options on `parser`."""
    add_connection_arguments(parser)
    actions = parser.add_argument_group("actions, exactly one")
    actions.add_argument("--create", action="store_true", help="create a topic")
    actions.add_argument("--list", action="store_true", help="print the names of topics")
    actions.add_argument("--describe", action="store_true", help="print topics and partitions")
    actions.add_argument("--alter", action="store_true", help="give a topic more partitions")
    actions.add_argument("--delete", action="store_true", help="delete a topic")
    parser.add_argument("--topic", help="the topic; a regular expression for --list and --describe")
    parser.add_argument("--partitions", type=whole_number, help="number of partitions")
    parser.add_argument("--replication-factor", type=whole_number, help="replicas a partition")
    parser.add_argument(
        "--replica-assignment",
        metavar="0:1,1:2",
        help="brokers of each partition, the preferred leader first; with --alter of all of them",
    )
    parser.add_argument(
        "--config", action="append", type=key_value, metavar="K=V", help="a setting of the topic"
    )
    parser.add_argument(
        "--if-not-exists", action="store_true", help="create only what is not there"
    )
    parser.add_argument(
        "--if-exists", action="store_true", help="alter, delete or describe only what is there"
    )
    parser.add_argument(
        "--exclude-internal", action="store_true", help="leave out topics of the system itself"
    )
    filters = parser.add_argument_group("filters of --describe, one at most")
    filters.add_argument(
        "--topics-with-overrides", action="store_true", help="topics with settings of their own"
    )
    filters.add_argument(
        "--under-replicated-partitions",
        action="store_true",
        help="partitions with fewer replicas in sync than assigned",
    )
    filters.add_argument(
        "--unavailable-partitions", action="store_true", help="partitions without a leader"
    )
    filters.add_argument(
        "--under-min-isr-partitions",
        action="store_true",
        help="partitions with fewer replicas in sync than min.insync.replicas",
    )
    filters.add_argument(
        "--at-min-isr-partitions",
        action="store_true",
        help="partitions with exactly min.insync.replicas in sync",
    )
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Run the action that the command line names; gives the exit code."""
    action = _check(args.parser, args)
    try:
        with Administration.of(args) as admin:
            _RUN[action](admin, args)
    except (LogError, CommandError) as error:
        # Kafka's tool prints this one on standard output, and scripts read it there.
        print(f"Error while executing topic command : {error}")
        return EXIT_FAILURE
    return 0


def _check(parser: CommandParser, args: argparse.Namespace) -> str:
    """The action; command lines that make no sense end here."""
    chosen = [action for action in _ACTIONS if getattr(args, action)]
    if len(chosen) != 1:
        print(
            "Command must include exactly one action: "
            "--list, --describe, --create, --alter or --delete",
            file=sys.stderr,
        )
        parser.print_help(sys.stderr)
        parser.exit(EXIT_FAILURE)
    action = chosen[0]
    check_connection_arguments(parser, args)
    parser.require(args, _REQUIRED[action])
    if action == "alter" and args.replica_assignment is None:
        parser.require(args, ["partitions"])
    parser.refuse(args, (name for name in _OPTIONS if name not in _ALLOWED[action]), action)
    if action == "create" and args.replica_assignment is not None:
        parser.refuse(args, ["partitions", "replication-factor"], "replica-assignment")
    filters = [name for name in _DESCRIBE_FILTERS if getattr(args, name.replace("-", "_"))]
    if len(filters) > 1:
        parser.error(f"Only one of [{', '.join(sorted(_DESCRIBE_FILTERS))}] can be used at a time")
    return action


def _create(admin: Administration, args: argparse.Namespace) -> None:
    check_topic_name(args.topic)
    if args.partitions is not None and args.partitions < 1:
        raise InvalidPartitionsError("The partitions must be greater than 0")
    factor = args.replication_factor
    if factor is not None and not 1 <= factor <= _LARGEST_REPLICATION_FACTOR:
        raise InvalidReplicationFactorError(
            f"The replication factor must be between 1 and {_LARGEST_REPLICATION_FACTOR} inclusive"
        )
    assignment = _parse_assignment(args.replica_assignment)
    if has_collision_chars(args.topic):
        print(f"WARNING: {COLLISION_WARNING}")
    try:
        admin.create_topic(
            args.topic,
            args.partitions,
            factor,
            replica_assignment=assignment,
            config=dict(args.config or []),
        )
    except TopicAlreadyExistsError:
        if args.if_not_exists:
            return
        raise
    print(f"Created topic {args.topic}.")


def _list(admin: Administration, args: argparse.Namespace) -> None:
    chosen = TopicFilter(args.topic, exclude_internal=args.exclude_internal)
    for topic in admin.list_topics():
        if chosen.matches(topic.name):
            print(topic.name)


def _describe(admin: Administration, args: argparse.Namespace) -> None:
    chosen = TopicFilter(args.topic, exclude_internal=args.exclude_internal)
    names = [topic.name for topic in admin.list_topics() if chosen.matches(topic.name)]
    if args.topic is not None and not names and not args.if_exists:
        raise _missing(args.topic)
    shown = next(
        (name for name in _DESCRIBE_FILTERS if getattr(args, name.replace("-", "_"))), None
    )
    describe_topics(admin, names, shown)


def _alter(admin: Administration, args: argparse.Namespace) -> None:
    topic = _existing(admin, args)
    if topic is None:
        return
    assignment = _parse_assignment(args.replica_assignment)
    count = args.partitions
    if assignment is not None:
        count = len(assignment) if count is None else count
        assignment = assignment[topic.partition_count :]
    if count < topic.partition_count:
        raise InvalidPartitionsError(
            f"Topic currently has {topic.partition_count} partitions, "
            f"which is higher than the requested {count}."
        )
    admin.add_partitions(args.topic, count, replica_assignment=assignment)


def _delete(admin: Administration, args: argparse.Namespace) -> None:
    if _existing(admin, args) is None:
        return
    try:
        admin.delete_topic(args.topic)
    except UnknownTopicOrPartitionError:
        if not args.if_exists:
            raise _missing(args.topic) from None
        return
    if args.zookeeper is not None:
        # What the tool of the ZooKeeper era said; scripts of that time look for it.
        print(f"Topic {args.topic} is marked for deletion.")
        print("Note: This will have no impact if delete.topic.enable is not set to true.")


def _existing(admin: Administration, args: argparse.Namespace) -> TopicSummary | None:
    """The topic to work on, or None where `--if-exists` makes its absence no error."""
    topic = next((topic for topic in admin.list_topics() if topic.name == args.topic), None)
    if topic is None and not args.if_exists:
        raise _missing(args.topic)
    return topic


def _missing(name: str) -> UnknownTopicOrPartitionError:
    return UnknownTopicOrPartitionError(f"Topic '{name}' does not exist as expected")


def _parse_assignment(text: str | None) -> Sequence[Sequence[int]] | None:
    """`0:1,1:2` as the brokers of each partition."""
    if text is None:
        return None
    if not _ASSIGNMENT.fullmatch(text):
        raise InvalidReplicaAssignmentError(
            f"'{text}' is not a replica assignment such as 0:1,1:2 "
            "(broker ids; ':' between replicas, ',' between partitions)"
        )
    assignment = [[int(broker) for broker in part.split(":")] for part in text.split(",")]
    for number, replicas in enumerate(assignment):
        twice = sorted({broker for broker in replicas if replicas.count(broker) > 1})
        if twice:
            raise InvalidReplicaAssignmentError(
                "Partition replica lists may not contain duplicate entries: "
                f"{','.join(map(str, twice))}"
            )
        if len(replicas) != len(assignment[0]):
            raise InvalidReplicaAssignmentError(
                f"Partition {number} has different replication factor: {len(replicas)}"
            )
    return assignment


_RUN: Final = {
    "create": _create,
    "list": _list,
    "describe": _describe,
    "alter": _alter,
    "delete": _delete,
}
