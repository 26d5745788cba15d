"""`kafkalite consumer-groups --reset-offsets`: where groups shall go on reading."""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from kafkalite.cli.command_line import CommandParser, whole_number
from kafkalite.cli.failure import CommandError
from kafkalite.cli.group_answers import ResetOffset
from kafkalite.cli.group_requests import GroupRequests
from kafkalite.model.errors import NonEmptyGroupError
from kafkalite.model.ids import TopicPartition

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


def reset_offsets(requests: GroupRequests, groups: Sequence[str], args: argparse.Namespace) -> bool:
    """Reset the offsets of groups and print the new ones; False when one group could not be."""
    given = None if args.from_file is None else _read_file(args.from_file, groups)
    is_done = True
    results: list[tuple[str, ResetOffset]] = []
    for group in groups:
        wish: dict[str, object] = {"dry_run": not args.execute}
        if given is None:
            wish |= _scenario(args) | _scope(args)
        elif group in given:
            wish["offsets"] = [
                {"topic": each.topic, "partition": each.partition, "offset": offset}
                for each, offset in given[group].items()
            ]
        else:
            continue
        try:
            offsets = requests.reset(group, wish)
        except NonEmptyGroupError as error:
            print(f"\nError: {error.detail}")
            is_done = False
            continue
        for each in offsets:
            if each.warning:
                print(each.warning, file=sys.stderr)
        results += [(group, each) for each in offsets]
    if results or is_done:
        _print(results, is_csv=args.export, has_many=len(groups) > 1)
    return is_done


def _is_given(args: argparse.Namespace, option: str) -> bool:
    return getattr(args, option.replace("-", "_")) not in {None, False}


def _scenario(args: argparse.Namespace) -> dict[str, object]:
    for word in ("earliest", "latest", "current"):
        if getattr(args, f"to_{word}"):
            return {"to": word}
    names = ("to_offset", "shift_by", "to_datetime", "by_duration")
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def _scope(args: argparse.Namespace) -> dict[str, object]:
    if args.all_topics:
        return {"all_topics": True}
    topics: dict[str, list[int] | None] = {}
    for topic, numbers in parse_topics(args.topic):
        known = topics.get(topic, [])
        topics[topic] = None if numbers is None or known is None else [*known, *numbers]
    return {
        "topics": [
            {"topic": topic} if numbers is None else {"topic": topic, "partitions": numbers}
            for topic, numbers in topics.items()
        ]
    }


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
