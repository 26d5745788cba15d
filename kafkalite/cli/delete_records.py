"""`kafkalite delete-records`: kafka-delete-records, deletes what lies below given offsets."""

import argparse

import msgspec

from kafkalite.cli.administration import Administration
from kafkalite.cli.command_line import (
    CommandParser,
    add_connection_arguments,
    check_connection_arguments,
)
from kafkalite.cli.failure import EXIT_FAILURE, CommandError
from kafkalite.cli.json_file import VERSION, read_json_file
from kafkalite.model.errors import LogError
from kafkalite.model.ids import TopicPartition


class _Entry(msgspec.Struct, frozen=True):
    topic: str
    partition: int
    offset: int
    """Records below it go; -1 stands for the high watermark: all of them."""


class _OffsetFile(msgspec.Struct, frozen=True):
    partitions: list[_Entry]
    version: int = VERSION


def add_arguments(parser: CommandParser) -> None:
    """Declare kafka-delete-records' options on `parser`."""
    add_connection_arguments(parser)
    parser.add_argument(
        "--offset-json-file",
        metavar="FILE",
        help='{"partitions":[{"topic":"t","partition":0,"offset":10}],"version":1}: records below '
        "each offset are deleted; -1 deletes all",
    )
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Delete what the file says; gives the exit code."""
    check_connection_arguments(args.parser, args)
    args.parser.require(args, ["offset-json-file"])
    wanted = _read(args.offset_json_file)
    exit_code = 0
    with Administration.of(args) as admin:
        print("Executing records delete operation")
        found = admin.delete_records(wanted)
    print("Records delete operation completed:")
    for partition, low_watermark in found.items():
        if isinstance(low_watermark, LogError):
            print(f"partition: {partition}\terror: {low_watermark}")
            exit_code = EXIT_FAILURE
        else:
            print(f"partition: {partition}\tlow_watermark: {low_watermark}")
    return exit_code


def _read(file: str) -> dict[TopicPartition, int]:
    """Offsets by partition, checked.

    Raises:
        CommandError: the file cannot be read, or is not what it should be.
    """
    content = read_json_file(file, _OffsetFile, "list of offsets")
    if not content.partitions:
        raise CommandError(f"{file} names no partition.")
    wanted: dict[TopicPartition, int] = {}
    twice: list[str] = []
    for entry in content.partitions:
        found = TopicPartition(entry.topic, entry.partition)
        if entry.offset < -1 or entry.partition < 0:
            raise CommandError(
                f"{file}: partition {found} offset {entry.offset}: a partition is 0 or more, "
                "an offset too, or -1 for all records"
            )
        if found in wanted:
            twice.append(str(found))
        wanted[found] = entry.offset
    if twice:
        raise CommandError(
            f"Offset json file contains duplicate topic partitions: {','.join(twice)}"
        )
    return wanted
