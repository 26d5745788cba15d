"""`kafkalite consumer-groups`: kafka-consumer-groups, to look at groups and move their offsets."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from kafkalite.cli.administration import Administration
from kafkalite.cli.command_line import (
    CommandParser,
    add_connection_arguments,
    check_connection_arguments,
    natural_number,
)
from kafkalite.cli.failure import EXIT_FAILURE, CommandError, NoBrokerError
from kafkalite.cli.group_reset import (
    SCENARIOS,
    add_reset_arguments,
    check_reset_arguments,
    parse_topics,
    reset_offsets,
)
from kafkalite.cli.group_tables import (
    DEAD,
    print_groups_with_states,
    print_members,
    print_notice,
    print_offsets,
    print_state,
)
from kafkalite.model.errors import (
    GroupIdNotFoundError,
    LogError,
    NonEmptyGroupError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition

_ACTIONS: Final = ("list", "describe", "delete", "reset-offsets", "delete-offsets")
_VIEWS: Final = ("members", "offsets", "state")
_STATES: Final = {
    "empty": "Empty",
    "assigning": "Assigning",
    "reconciling": "Reconciling",
    "stable": "Stable",
    "dead": "Dead",
    "preparingrebalance": "Assigning",
    "completingrebalance": "Reconciling",
}
"""States by what people call them, Kafka's older names too."""
_OF_RESET: Final = (*SCENARIOS, "all-topics", "dry-run", "execute", "export")
_OF_DESCRIBE: Final = ("members", "offsets", "verbose")
_REFUSED: Final = {
    "list": (*_OF_RESET, *_OF_DESCRIBE, "topic"),
    "describe": (*_OF_RESET, "topic"),
    "delete": (*_OF_RESET, *_OF_DESCRIBE, "state"),
    "delete-offsets": (*_OF_RESET, *_OF_DESCRIBE, "state"),
    "reset-offsets": (*_OF_DESCRIBE, "state"),
}
_ROW: Final = "{:<30} {:<15} {:<15}"


def add_arguments(parser: CommandParser) -> None:
    """Declare kafka-consumer-groups' options on `parser`."""
    add_connection_arguments(parser)
    actions = parser.add_argument_group("actions, exactly one")
    actions.add_argument("--list", action="store_true", help="print the names of all groups")
    actions.add_argument("--describe", action="store_true", help="how far groups are")
    actions.add_argument("--delete", action="store_true", help="delete groups without members")
    actions.add_argument(
        "--reset-offsets", action="store_true", help="move the offsets of groups without members"
    )
    actions.add_argument(
        "--delete-offsets", action="store_true", help="delete offsets of topics (--topic)"
    )
    parser.add_argument("--group", action="append", metavar="G", help="a group; several times")
    parser.add_argument("--all-groups", action="store_true", help="every group there is")
    parser.add_argument(
        "--topic", action="append", metavar="T[:0,1]", help="a topic, or some of its partitions"
    )
    parser.add_argument(
        "--all-topics", action="store_true", help="all that the group has offsets of"
    )
    parser.add_argument("--offsets", action="store_true", help="describe offsets (the default)")
    parser.add_argument("--members", action="store_true", help="describe members")
    parser.add_argument("--verbose", action="store_true", help="with --members: what each consumes")
    parser.add_argument(
        "--state",
        nargs="?",
        const="",
        metavar="S,..",
        help="describe the state; with --list: print it, and only groups in one of these",
    )
    parser.add_argument(
        "--timeout", type=natural_number, metavar="MS", help="accepted; answers come when they do"
    )
    parser.add_argument("--command-config", metavar="FILE", help="accepted; without effect")
    add_reset_arguments(parser)
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Run the action that the command line names; gives the exit code."""
    action = _check(args.parser, args)
    try:
        with Administration.of(args) as admin:
            is_done = _RUN[action](admin, args)
    except NoBrokerError:
        raise
    except (LogError, CommandError) as error:
        # Kafka's tool prints this one on standard output, and scripts read it there.
        print(f"\nError: Executing consumer group command failed due to {error}")
        return EXIT_FAILURE
    return 0 if is_done else EXIT_FAILURE


def _check(parser: CommandParser, args: argparse.Namespace) -> str:
    """The action; command lines that make no sense end here."""
    chosen = [action for action in _ACTIONS if getattr(args, action.replace("-", "_"))]
    if len(chosen) != 1:
        print(
            "Command must include exactly one action: "
            "--list, --describe, --delete, --reset-offsets, --delete-offsets.",
            file=sys.stderr,
        )
        parser.print_help(sys.stderr)
        parser.exit(EXIT_FAILURE)
    action = chosen[0]
    check_connection_arguments(parser, args)
    if args.group:
        parser.refuse(args, ["all-groups"], "group")
    parser.refuse(args, _REFUSED[action], action)
    _CHECK[action](parser, args)
    return action


def _check_list(parser: CommandParser, args: argparse.Namespace) -> None:
    parser.refuse(args, ["group", "all-groups"], "list")


def _check_delete(parser: CommandParser, args: argparse.Namespace) -> None:
    _check_groups(parser, args, "delete")
    if args.topic:
        parser.error(
            "The consumer does not support topic-specific offset deletion from a consumer group."
        )


def _check_delete_offsets(parser: CommandParser, args: argparse.Namespace) -> None:
    if not (args.group and args.topic):
        parser.error("Option [delete-offsets] takes the following options: [topic], [group]")


def _check_describe(parser: CommandParser, args: argparse.Namespace) -> None:
    _check_groups(parser, args, "describe")
    views = [view for view in _VIEWS if getattr(args, view) not in {None, False}]
    if len(views) > 1:
        parser.error(
            "Option [describe] takes at most one of these options: [members], [offsets], [state]"
        )
    if args.state:
        parser.error("Option [describe] does not take a value for [state]")
    if args.verbose and not args.members:
        parser.error("Option [verbose] is only valid with option [members]")


def _check_groups(parser: CommandParser, args: argparse.Namespace, action: str) -> None:
    if not (args.group or args.all_groups):
        parser.error(f"Option [{action}] takes one of these options: [all-groups], [group]")


def _list(admin: Administration, args: argparse.Namespace) -> bool:
    groups = admin.list_groups()
    if args.state is None:
        for each in groups:
            print(each.group)
        return True
    wanted = {_state_named(name) for name in args.state.split(",") if name.strip()}
    print_groups_with_states(each for each in groups if not wanted or each.state in wanted)
    return True


def _state_named(name: str) -> str:
    state = _STATES.get(name.strip().lower())
    if state is None:
        raise CommandError(
            f"Invalid state list '{name}'. Valid states are: "
            f"{', '.join(dict.fromkeys(_STATES.values()))}"
        )
    return state


def _describe(admin: Administration, args: argparse.Namespace) -> bool:
    is_done = True
    for group in _groups(admin, args):
        try:
            described = admin.describe_group(group)
        except GroupIdNotFoundError:
            is_done = print_notice(group, DEAD)
            continue
        if not print_notice(group, described.state):
            is_done = False
        elif args.members:
            print_members(described, is_verbose=args.verbose)
        elif args.state is not None:
            print_state(described)
        else:
            print_offsets(described)
    return is_done


def _delete(admin: Administration, args: argparse.Namespace) -> bool:
    deleted: list[str] = []
    failed: list[tuple[str, LogError]] = []
    for group in _groups(admin, args):
        try:
            admin.delete_group(group)
            deleted.append(group)
        except LogError as refusal:
            failed.append((group, refusal))
    names = ", ".join(f"'{group}'" for group in deleted)
    if not failed:
        print(f"Deletion of requested consumer groups ({names}) was successful.")
        return True
    print("\nError: Deletion of some consumer groups failed:")
    for group, error in failed:
        print(f"* Group '{group}' could not be deleted due to: {error.detail}")
    if deleted:
        print(f"\nThese consumer groups were deleted successfully: {names}")
    return False


def _reset(admin: Administration, args: argparse.Namespace) -> bool:
    return reset_offsets(admin, _groups(admin, args), args)


def _delete_offsets(admin: Administration, args: argparse.Namespace) -> bool:
    if len(args.group) != 1:
        raise CommandError("--delete-offsets takes one group")
    (group,) = args.group
    results: list[tuple[str, str, LogError | None]] = []
    try:
        for topic, numbers in parse_topics(args.topic):
            results += _delete_topic(admin, group, topic, numbers)
    except GroupIdNotFoundError:
        print(f"\nError: '{group}' does not exist.")
        return False
    except NonEmptyGroupError:
        print(
            f"\nError: Deleting offsets of a consumer group '{group}' is forbidden if the group "
            "is not empty."
        )
        return False
    is_done = all(error is None for _, _, error in results)
    if is_done:
        topics = ", ".join(args.topic)
        print(f"Request succeed for deleting offsets with topic {topics} group {group}")
    else:
        print("\nError: Encountered some partition level error, see the follow-up details:")
    print(_ROW.format("TOPIC", "PARTITION", "STATUS").rstrip())
    for topic, number, error in results:
        status = "Successful" if error is None else f"Error: {error.detail}"
        print(_ROW.format(topic, number, status).rstrip())
    return is_done


def _delete_topic(
    admin: Administration, group: str, topic: str, numbers: Sequence[int] | None
) -> list[tuple[str, str, LogError | None]]:
    """What became of each partition of a topic; of those without an offset nothing had to."""
    if numbers is not None:
        outcomes = admin.delete_group_offsets(group, (TopicPartition(topic, n) for n in numbers))
        for error in outcomes.values():
            if isinstance(error, GroupIdNotFoundError | NonEmptyGroupError):
                raise error  # all of the group
    else:
        outcomes = admin.delete_topic_offsets(group, topic)
        if not outcomes:
            try:
                admin.describe_topic(topic)
            except UnknownTopicOrPartitionError as unknown:
                return [(topic, "Not Provided", unknown)]
    return [(topic, str(each.partition), error) for each, error in outcomes.items()]


def _groups(admin: Administration, args: argparse.Namespace) -> list[str]:
    if args.all_groups:
        return [each.group for each in admin.list_groups()]
    return list(dict.fromkeys(args.group))


_CHECK: Final = {
    "list": _check_list,
    "describe": _check_describe,
    "delete": _check_delete,
    "delete-offsets": _check_delete_offsets,
    "reset-offsets": check_reset_arguments,
}
_RUN: Final = {
    "list": _list,
    "describe": _describe,
    "delete": _delete,
    "reset-offsets": _reset,
    "delete-offsets": _delete_offsets,
}
