"""`kafkalite leader-election`: kafka-leader-election, has the controller elect leaders."""

import argparse
import sys
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from kafkalite.cli.administration import Administration
from kafkalite.cli.command_line import (
    CommandParser,
    add_connection_arguments,
    check_connection_arguments,
    natural_number,
)
from kafkalite.cli.failure import EXIT_FAILURE, CommandError
from kafkalite.cli.json_file import read_json_file
from kafkalite.model.errors import ElectionNotNeededError
from kafkalite.model.ids import TopicPartition

_KINDS: Final = ("preferred", "unclean")
_WHICH: Final = ("topic", "all-topic-partitions", "path-to-json-file")


class _Entry(msgspec.Struct, frozen=True):
    topic: str
    partition: Annotated[int, Meta(ge=0, lt=1 << 31)]


class _PartitionFile(msgspec.Struct, frozen=True):
    partitions: list[_Entry]


def add_arguments(parser: CommandParser) -> None:
    """Declare kafka-leader-election's options on `parser`."""
    add_connection_arguments(parser)
    parser.add_argument(
        "--election-type",
        type=str.lower,
        metavar="preferred|unclean",
        help="preferred: the first replica leads again, where it is in sync; unclean: where there "
        "is no leader, any replica that lives leads, and records may be lost",
    )
    parser.add_argument("--topic", help="a topic; needs --partition")
    parser.add_argument("--partition", type=natural_number, help="a partition of it")
    parser.add_argument(
        "--path-to-json-file",
        metavar="FILE",
        help='{"partitions":[{"topic":"t","partition":0}]}',
    )
    parser.add_argument("--all-topic-partitions", action="store_true", help="all that need one")
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Elect leaders; gives the exit code."""
    _check(args.parser, args)
    partitions = None
    if args.topic is not None:
        partitions = [TopicPartition(args.topic, args.partition)]
    elif args.path_to_json_file is not None:
        partitions = _read(args.path_to_json_file)
    kind = args.election_type.upper()
    with Administration.of(args) as admin:
        outcomes = admin.elect_leaders(args.election_type, partitions)
    elected = [str(found) for found, error in sorted(outcomes.items()) if error is None]
    unneeded = [
        str(found)
        for found, error in sorted(outcomes.items())
        if isinstance(error, ElectionNotNeededError)
    ]
    failed = {
        found: error
        for found, error in sorted(outcomes.items())
        if error is not None and not isinstance(error, ElectionNotNeededError)
    }
    if elected:
        print(
            f"Successfully completed leader election ({kind}) for partitions {', '.join(elected)}"
        )
    if unneeded:
        print(f"Valid replica already elected for partitions {', '.join(unneeded)}")
    for found, error in failed.items():
        print(
            f"Error completing leader election ({kind}) for partition: {found}: "
            f"{error.name}: {error}"
        )
    if failed:
        print(f"{len(failed)} replica(s) could not be elected", file=sys.stderr)
        return EXIT_FAILURE
    return 0


def _check(parser: CommandParser, args: argparse.Namespace) -> None:
    """Command lines that make no sense end here."""
    check_connection_arguments(parser, args)
    if args.election_type is None:
        parser.error("Missing required option(s): election-type")
    if args.election_type not in _KINDS:
        parser.error(f"Invalid election-type {args.election_type}: it is {' or '.join(_KINDS)}")
    chosen = (args.topic is not None, args.all_topic_partitions, args.path_to_json_file is not None)
    if sum(chosen) != 1:
        parser.error(f"One and only one of the following options is required: {', '.join(_WHICH)}")
    if args.topic is not None and args.partition is None:
        parser.error("Missing required option(s): partition")
    if args.topic is None and args.partition is not None:
        parser.error("Option partition is only allowed if topic is used")


def _read(file: str) -> list[TopicPartition]:
    content = read_json_file(file, _PartitionFile, "list of partitions")
    partitions = [TopicPartition(entry.topic, entry.partition) for entry in content.partitions]
    twice = sorted({found for found in partitions if partitions.count(found) > 1})
    if twice:
        raise CommandError(
            f"Replica election data contains duplicate partitions: {','.join(map(str, twice))}"
        )
    if not partitions:
        raise CommandError(f"{file} names no partition.")
    return partitions
