"""`kafkalite consumer-groups --reset-offsets`: where groups shall go on reading."""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from kafkalite.cli.administration import Administration
from kafkalite.cli.command_line import CommandParser, whole_number
from kafkalite.cli.failure import CommandError
from kafkalite.client.admin.group_calls import ResetPlace
from kafkalite.model.errors import InvalidRequestError, NonEmptyGroupError
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.group_descriptions import ResetOffset
from kafkalite.wire.iso_time import datetime_ms, duration_ms

SCENARIOS: Final = (
    "to-offset",
    "to-datetime",
    "by-duration",
    "to-earliest",
    "to-latest",
    "shift-by",
    "from-file",
    "to-current",
)
_ROW: Final = "{:<30} {:<30} {:<10} {:<15}"


class TopicChoice(NamedTuple):
    """A topic, or some of its partitions."""

    topic: str
    partitions: tuple[int, ...] | None


def add_reset_arguments(parser: CommandParser) -> None:
    """Declare the options of --reset-offsets."""
    options = parser.add_argument_group("options of --reset-offsets")
    options.add_argument("--to-earliest", action="store_true", help="to the first record")
    options.add_argument("--to-latest", action="store_true", help="behind the last record")
    options.add_argument("--to-current", action="store_true", help="to the committed offset")
    options.add_argument("--to-offset", type=whole_number, metavar="N", help="to this offset")
    options.add_argument("--shift-by", type=whole_number, metavar="N", help="so many records on")
    options.add_argument(
        "--to-datetime", metavar="YYYY-MM-DDTHH:mm:SS.sss", help="to the first record since then"
    )
    options.add_argument(
        "--by-duration", metavar="PnDTnHnMnS", help="to the first record of the last so and so long"
    )
    options.add_argument(
        "--from-file", metavar="FILE", help="to the offsets in a CSV file, as --export prints it"
    )
    options.add_argument("--dry-run", action="store_true", help="only show the new offsets")
    options.add_argument("--execute", action="store_true", help="commit the new offsets")
    options.add_argument("--export", action="store_true", help="print the new offsets as CSV")


def check_reset_arguments(parser: CommandParser, args: argparse.Namespace) -> None:
    """End a command line of --reset-offsets that makes no sense."""
    if args.dry_run and args.execute:
        parser.error("Option [reset-offsets] only accepts one of [execute], [dry-run]")
    if not (args.dry_run or args.execute):
        print(
            "WARN: No action will be performed as the --execute option is missing.",
            file=sys.stderr,
        )
    if not (args.group or args.all_groups):
        parser.error("Option [reset-offsets] takes one of these options: [all-groups], [group]")
    chosen = [name for name in SCENARIOS if _is_given(args, name)]
    if len(chosen) > 1:
        parser.refuse(args, chosen[1:], chosen[0])
    if not chosen:
        raise CommandError(
            "Option '[reset-offsets]' requires one of the following scenarios: "
            f"{', '.join(f'[{name}]' for name in SCENARIOS)}"
        )
    if args.from_file is None and not (args.topic or args.all_topics):
        raise CommandError("One of the reset scopes should be defined: --all-topics, --topic.")


def parse_topics(texts: Sequence[str]) -> list[TopicChoice]:
    """What `--topic T[:0,1]` names.

    Raises:
        CommandError: a partition is not a number.
    """
    choices = []
    for text in texts:
        topic, colon, numbers = text.partition(":")
        if not colon:
            choices.append(TopicChoice(topic, None))
            continue
        parts = numbers.split(",")
        if not all(part.isascii() and part.isdecimal() for part in parts):
            raise CommandError(f"Invalid partitions in --topic {text}")
        choices.append(TopicChoice(topic, tuple(map(int, parts))))
    return choices


def reset_offsets(admin: Administration, groups: Sequence[str], args: argparse.Namespace) -> bool:
    """Reset the offsets of groups and print the new ones; False when one group could not be."""
    given = None if args.from_file is None else _read_file(args.from_file, groups)
    is_done = True
    results: list[tuple[str, ResetOffset]] = []
    for group in groups:
        reset = partial(admin.reset_group_offsets, group, dry_run=not args.execute)
        try:
            if given is None:
                found = reset(_place(args), shift_by=args.shift_by, topics=_scope(args))
            elif group in given:
                found = reset(offsets=given[group])
            else:
                continue
        except NonEmptyGroupError as error:
            print(f"\nError: {error.detail}")
            is_done = False
            continue
        for each in found.offsets:
            if each.warning:
                print(each.warning, file=sys.stderr)
        results += [(group, each) for each in found.offsets]
    if results or is_done:
        _print(results, is_csv=args.export, has_many=len(groups) > 1)
    return is_done


def _is_given(args: argparse.Namespace, option: str) -> bool:
    value = getattr(args, option.replace("-", "_"))
    return value is not None and value is not False


def _place(args: argparse.Namespace) -> ResetPlace | None:
    """Where to; None where that is said in another way.

    Raises:
        InvalidRequestError: it is no time, or no span of time.
    """
    if args.to_datetime is not None:
        datetime_ms(args.to_datetime)  # refuses what Python takes and nobody means
        return datetime.fromisoformat(args.to_datetime)
    if args.by_duration is not None:
        try:
            return timedelta(milliseconds=duration_ms(args.by_duration))
        except OverflowError:
            raise InvalidRequestError(f"'{args.by_duration}' is too long") from None
    if args.to_offset is not None:
        offset: int = args.to_offset
        return offset
    places: tuple[ResetPlace, ...] = ("earliest", "latest", "current")
    return next((place for place in places if getattr(args, f"to_{place}")), None)


def _scope(args: argparse.Namespace) -> dict[str, list[int] | None] | None:
    """Topics, and which of their partitions, None: all; None: all that the group has offsets of."""
    if args.all_topics:
        return None
    topics: dict[str, list[int] | None] = {}
    for topic, numbers in parse_topics(args.topic):
        known = topics.get(topic, [])
        topics[topic] = None if numbers is None or known is None else [*known, *numbers]
    return topics


def _print(results: Sequence[tuple[str, ResetOffset]], *, is_csv: bool, has_many: bool) -> None:
    if is_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        for group, each in results:
            row = [each.topic, each.partition, each.offset]
            writer.writerow([group, *row] if has_many else row)
        return
    print("\n" + _ROW.format("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET").rstrip())
    for group, each in results:
        print(_ROW.format(group, each.topic, each.partition, each.offset).rstrip())


def _read_file(name: str, groups: Sequence[str]) -> dict[str, dict[TopicPartition, int]]:
    """New offsets by group: lines of `[group,]topic,partition,offset`.

    Raises:
        CommandError: it cannot be read.
    """
    try:
        with Path(name).open(newline="", encoding="utf-8") as file:
            found: dict[str, dict[TopicPartition, int]] = {}
            for group, each, offset in _rows(file, groups):
                found.setdefault(group, {})[each] = offset
            return found
    except OSError as error:
        raise CommandError(f"Cannot read {name}: {error.strerror}.") from None
    except (ValueError, csv.Error) as error:
        raise CommandError(f"{name} is not a CSV file of offsets: {error}.") from None


def _rows(lines: Iterator[str], groups: Sequence[str]) -> Iterator[tuple[str, TopicPartition, int]]:
    for number, row in enumerate(csv.reader(lines), 1):
        match [cell.strip() for cell in row]:
            case []:
                continue
            case [topic, partition, offset] if len(groups) == 1:
                yield groups[0], TopicPartition(topic, int(partition)), int(offset)
            case [group, topic, partition, offset]:
                yield group, TopicPartition(topic, int(partition)), int(offset)
            case _:
                wanted = "topic,partition,offset"
                wanted = wanted if len(groups) == 1 else f"group,{wanted}"
                raise ValueError(f"line {number} is not of the form {wanted}")
