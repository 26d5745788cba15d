"""`kafkalite get-offsets`: kafka-get-offsets, where partitions stand now or at a time."""

import argparse
import re
import sys
from collections.abc import Callable
from typing import Final

from kafkalite.cli.administration import Administration
from kafkalite.cli.command_line import (
    CommandParser,
    add_connection_arguments,
    check_connection_arguments,
)
from kafkalite.cli.failure import EXIT_FAILURE, CommandError, NoBrokerError
from kafkalite.cli.topic_filter import TopicFilter
from kafkalite.client.admin.partition_calls import At
from kafkalite.model.errors import LogError, OffsetNotAvailableError
from kafkalite.model.ids import TopicPartition

_TIMES: Final[dict[str, At]] = {
    "-1": "latest",
    "latest": "latest",
    "-2": "earliest",
    "earliest": "earliest",
    "-3": "max-timestamp",
    "max-timestamp": "max-timestamp",
}
_SPAN = re.compile(r"(?P<first>[0-9]*)(?P<dash>-?)(?P<end>[0-9]*)")
_TOPIC_AND_SPAN = re.compile(r"(?P<topic>[^:]*)(?::(?P<span>.*))?")

Chooses = Callable[[TopicPartition], bool]


def add_arguments(parser: CommandParser) -> None:
    """Declare kafka-get-offsets' options on `parser`."""
    add_connection_arguments(parser)
    parser.add_argument("--topic", metavar="REGEX", help="the topics; without it, all")
    parser.add_argument(
        "--time",
        default="-1",
        help="-1 or latest (default), -2 or earliest, -3 or max-timestamp, or a time in "
        "milliseconds since 1970: the first offset with that timestamp or a later one",
    )
    parser.add_argument(
        "--partitions", metavar="0,1,4-6", help="these partitions only; the end is exclusive"
    )
    parser.add_argument(
        "--topic-partitions",
        metavar="T:0,U:4-6,..",
        help="topics (regular expressions) and partitions together",
    )
    parser.add_argument(
        "--exclude-internal-topics",
        action="store_true",
        help="leave out topics of the system itself",
    )
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Print `topic:partition:offset` a line; gives the exit code."""
    check_connection_arguments(args.parser, args)
    if args.topic_partitions is not None and (args.topic, args.partitions) != (None, None):
        args.parser.error("--topic-partitions cannot be used with --topic or --partitions")
    try:
        at = _parse_time(args.time)
        chosen = _chooser(args)
        with Administration.of(args) as admin:
            return _print_offsets(admin, chosen, at)
    except NoBrokerError:
        raise
    except CommandError as error:
        raise CommandError(f"Error occurred: {error}") from None


def _print_offsets(admin: Administration, chosen: Chooses, at: At) -> int:
    exit_code = 0
    has_matched = False
    for topic in admin.list_topics():
        partitions = (TopicPartition(topic.name, number) for number in range(topic.partition_count))
        places = {each: at for each in partitions if chosen(each)}
        has_matched = has_matched or bool(places)
        for each, found in admin.list_offsets(places).items():
            if isinstance(found, LogError):
                due_to = "" if isinstance(found, OffsetNotAvailableError) else " due to error"
                print(
                    f"Skip getting offsets for topic-partition {each}{due_to}: {found}",
                    file=sys.stderr,
                )
                exit_code = EXIT_FAILURE
            elif found.offset >= 0:  # nothing is that late: Kafka's tool leaves the partition out
                print(f"{topic.name}:{each.partition}:{found.offset}")
    if not has_matched:
        raise CommandError("Could not match any topic-partitions with the specified filters")
    return exit_code


def _parse_time(text: str) -> At:
    """What `--time` asks for."""
    if text in _TIMES:
        return _TIMES[text]
    if text.isascii() and text.isdecimal():
        return int(text)
    raise CommandError(
        f"Malformed time argument {text}. Please use -1 or latest / -2 or earliest / "
        "-3 or max-timestamp, or a specified long format timestamp"
    )


def _chooser(args: argparse.Namespace) -> Chooses:
    """Which partitions the command line means."""
    internal = TopicFilter(None, exclude_internal=args.exclude_internal_topics)
    if args.topic_partitions is not None:
        rules = [_rule(part) for part in args.topic_partitions.split(",")]
        return lambda found: internal.matches(found.topic) and any(rule(found) for rule in rules)
    topics = TopicFilter(args.topic, exclude_internal=args.exclude_internal_topics)
    if args.partitions is None:
        return lambda found: topics.matches(found.topic)
    spans = [_span(part) for part in args.partitions.split(",")]
    return lambda found: topics.matches(found.topic) and any(found.partition in s for s in spans)


def _rule(text: str) -> Chooses:
    """One `topic:partitions` of `--topic-partitions`; either side may be missing."""
    parts = _TOPIC_AND_SPAN.fullmatch(text)
    if parts is None:
        raise CommandError(f"Invalid topic-partition rule: {text}")
    topics = TopicFilter(parts["topic"] or None)
    span = _span(parts["span"] or "-")
    return lambda found: topics.matches(found.topic) and found.partition in span


def _span(text: str) -> range:
    """`3`, `2-5`, `2-` or `-5` as a half-open range of partitions."""
    parts = _SPAN.fullmatch(text)
    if parts is None or not text:
        raise CommandError(f"Invalid partition range: {text}")
    first = int(parts["first"] or 0)
    if not parts["dash"]:
        return range(first, first + 1)
    return range(first, int(parts["end"]) if parts["end"] else sys.maxsize)
