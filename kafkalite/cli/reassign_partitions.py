"""`kafkalite reassign-partitions`: kafka-reassign-partitions, moves partitions to other brokers."""

import argparse
from collections.abc import Callable
from typing import Final

from kafkalite.cli import reassignment_file
from kafkalite.cli.administration import Administration
from kafkalite.cli.command_line import (
    CommandParser,
    add_connection_arguments,
    broker_ids,
    check_connection_arguments,
    natural_number,
    positive_number,
)
from kafkalite.cli.failure import EXIT_FAILURE, CommandError
from kafkalite.cli.reassignment_file import Targets, read_targets, read_topics
from kafkalite.cli.replication_throttle import Copying, clear_throttle, set_throttle
from kafkalite.model.errors import LogError, UnknownTopicOrPartitionError
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.admin_messages import PartitionAssignment, Reassignment

_ACTIONS: Final = ("generate", "execute", "verify", "cancel", "list")
_REQUIRED: Final = {
    "generate": ("topics-to-move-json-file", "broker-list"),
    "execute": ("reassignment-json-file",),
    "verify": ("reassignment-json-file",),
    "cancel": ("reassignment-json-file",),
    "list": (),
}
_ALLOWED: Final = {
    "generate": {"disable-rack-aware"},
    "execute": {"throttle", "additional", "timeout"},
    "verify": {"preserve-throttles"},
    "cancel": {"preserve-throttles", "timeout"},
    "list": set[str](),
}
_OPTIONS: Final = sorted(set().union(*_ALLOWED.values(), *_REQUIRED.values()))


class _RefusedError(CommandError):
    """The sentence is complete: it is printed without `Error:` before it."""


def add_arguments(parser: CommandParser) -> None:
    """Declare kafka-reassign-partitions' options on `parser`."""
    add_connection_arguments(parser, also_broker_list=False)
    actions = parser.add_argument_group("actions, exactly one")
    actions.add_argument(
        "--generate", action="store_true", help="propose where topics could be; changes nothing"
    )
    actions.add_argument("--execute", action="store_true", help="begin to move partitions")
    actions.add_argument(
        "--verify",
        action="store_true",
        help="say whether partitions have arrived; when all have, their throttles are removed",
    )
    actions.add_argument(
        "--cancel", action="store_true", help="move partitions back to where they were"
    )
    actions.add_argument("--list", action="store_true", help="print all that move")
    parser.add_argument(
        "--topics-to-move-json-file",
        metavar="FILE",
        help='with --generate: {"topics":[{"topic":"t"}],"version":1}',
    )
    parser.add_argument(
        "--broker-list", type=broker_ids, metavar="0,1,2", help="with --generate: the brokers"
    )
    parser.add_argument(
        "--reassignment-json-file",
        metavar="FILE",
        help='{"partitions":[{"topic":"t","partition":0,"replicas":[1,2]}],"version":1}; the '
        "preferred leader first",
    )
    parser.add_argument(
        "--throttle",
        type=positive_number,
        metavar="BYTES",
        help="with --execute: bytes a second that each broker may move, until all is verified",
    )
    parser.add_argument(
        "--additional",
        action="store_true",
        help="with --execute: also while others move; moves those elsewhere, or at another speed",
    )
    parser.add_argument(
        "--preserve-throttles", action="store_true", help="leave the throttles as they are"
    )
    parser.add_argument(
        "--disable-rack-aware", action="store_true", help="with --generate: ignore racks"
    )
    parser.add_argument(
        "--timeout",
        type=natural_number,
        metavar="MS",
        help="taken for the sake of old scripts: replicas do not move between directories",
    )
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Run the action that the command line names; gives the exit code."""
    action = _check(args.parser, args)
    try:
        with Administration.of(args) as admin:
            _RUN[action](admin, args)
    except _RefusedError as error:
        print(error)
        return EXIT_FAILURE
    except (LogError, CommandError) as error:
        # Kafka's tool prints its errors on standard output, and scripts read them there.
        print(f"Error: {error}")
        return EXIT_FAILURE
    return 0


def _check(parser: CommandParser, args: argparse.Namespace) -> str:
    """The action; command lines that make no sense end here."""
    chosen = [action for action in _ACTIONS if getattr(args, action)]
    if len(chosen) != 1:
        parser.error(
            "Command must include exactly one action: "
            f"{', '.join(f'--{action}' for action in _ACTIONS)}"
        )
    action = chosen[0]
    check_connection_arguments(parser, args)
    parser.require(args, _REQUIRED[action])
    allowed = _ALLOWED[action].union(_REQUIRED[action])
    parser.refuse(args, (name for name in _OPTIONS if name not in allowed), action)
    return action


# -- actions ----------------------------------------------------------------------------------


def _generate(admin: Administration, args: argparse.Namespace) -> None:
    twice = sorted({each for each in args.broker_list if args.broker_list.count(each) > 1})
    if twice:
        raise CommandError(f"Broker list contains duplicate entries: {','.join(map(str, twice))}")
    found = admin.propose_assignment(
        read_topics(args.topics_to_move_json_file),
        args.broker_list,
        rack_aware=not args.disable_rack_aware,
    )
    print(f"Current partition replica assignment\n{reassignment_file.render(found.current)}\n")
    print("Proposed partition reassignment configuration")
    print(reassignment_file.render(found.proposed))


def _execute(admin: Administration, args: argparse.Namespace) -> None:
    targets = read_targets(args.reassignment_json_file)
    moving = admin.list_reassignments()
    if moving and not args.additional:
        raise _RefusedError(
            "Cannot execute because there is an existing partition assignment.  Use --additional "
            "to override this and create a new partition assignment in addition to the existing "
            "one. The --additional flag can also be used to change the throttle by resubmitting "
            "the current reassignment."
        )
    live = {broker.id for broker in admin.describe_cluster().brokers}
    unknown = sorted({b for ids in targets.values() for b in ids} - live)
    if unknown:
        raise CommandError(f"Unknown broker id {unknown[0]}")
    current = _current(admin, targets)
    print(f"Current partition replica assignment\n\n{reassignment_file.render(current)}\n")
    print("Save this to use as the --reassignment-json-file option during rollback")
    if args.throttle is not None:
        print(
            "Warning: You must run --verify periodically, until the reassignment completes, to "
            "ensure the throttle is removed."
        )
        set_throttle(admin, _copying(moving, current, targets), args.throttle)
        print(f"The inter-broker throttle limit was set to {args.throttle} B/s")
    _raise_refusals("Error reassigning partition(s):", admin.reassign_partitions(targets))
    print(f"Successfully started partition reassignment{_plural(targets)} for {_names(targets)}")


def _verify(admin: Administration, args: argparse.Namespace) -> None:
    targets = read_targets(args.reassignment_json_file)
    moving = admin.list_reassignments()
    under_way = {TopicPartition(found.topic, found.partition) for found in moving}
    now = _replicas(admin, targets)
    print("Status of partition reassignment:")
    for partition, target in sorted(targets.items()):
        replicas = now.get(partition, [])
        if partition in under_way:
            print(f"Reassignment of partition {partition} is still in progress.")
        elif replicas == list(target):
            print(f"Reassignment of partition {partition} is completed.")
        else:
            print(
                f"There is no active reassignment of partition {partition}, but replica set is "
                f"{_ids(replicas)} rather than {_ids(list(target))}."
            )
    print()
    if not moving and not args.preserve_throttles:
        clear_throttle(admin, (partition.topic for partition in targets))


def _cancel(admin: Administration, args: argparse.Namespace) -> None:
    targets = read_targets(args.reassignment_json_file)
    under_way = {
        TopicPartition(found.topic, found.partition) for found in admin.list_reassignments()
    }
    active = [partition for partition in targets if partition in under_way]
    if active:
        title = f"Error cancelling partition reassignment{_plural(active)} for:"
        _raise_refusals(title, admin.cancel_reassignments(active))
        print(
            f"Successfully cancelled partition reassignment{_plural(active)} for: {_names(active)}"
        )
    else:
        print("None of the specified partition reassignments are active.")
    if not args.preserve_throttles:
        clear_throttle(admin, (partition.topic for partition in targets))


def _list(admin: Administration, args: argparse.Namespace) -> None:
    del args
    moving = admin.list_reassignments()
    if not moving:
        print("No partition reassignments found.")
        return
    print("Current partition reassignments:")
    for found in moving:
        adding = f" adding: {_ids(found.adding_replicas)}." if found.adding_replicas else ""
        removing = f" removing: {_ids(found.removing_replicas)}." if found.removing_replicas else ""
        print(
            f"{found.topic}-{found.partition}: replicas: {_ids(found.replicas)}.{adding}{removing}"
        )


_RUN: Final[dict[str, Callable[[Administration, argparse.Namespace], None]]] = {
    "generate": _generate,
    "execute": _execute,
    "verify": _verify,
    "cancel": _cancel,
    "list": _list,
}


# -- looking ----------------------------------------------------------------------------------


def _replicas(admin: Administration, targets: Targets) -> dict[TopicPartition, list[int]]:
    """Where the partitions of the named topics are, as far as the topics exist."""
    found = {}
    for topic in sorted({partition.topic for partition in targets}):
        try:
            described = admin.describe_topic(topic)
        except UnknownTopicOrPartitionError:
            continue
        for each in described.partitions:
            found[TopicPartition(topic, each.partition)] = each.replicas
    return found


def _current(admin: Administration, targets: Targets) -> list[PartitionAssignment]:
    """Where the named partitions are; raises when one of them does not exist."""
    found = _replicas(admin, targets)
    missing = sorted(partition for partition in targets if partition not in found)
    if missing:
        raise UnknownTopicOrPartitionError(f"Unable to find partition: {_names(missing, ', ')}")
    return [PartitionAssignment(*partition, found[partition]) for partition in targets]


def _copying(
    moving: list[Reassignment], current: list[PartitionAssignment], targets: Targets
) -> dict[TopicPartition, Copying]:
    """From where to where the partitions are copied that move, and those that are to."""
    copying: dict[TopicPartition, Copying] = {}
    for move in moving:
        adding = frozenset(move.adding_replicas)
        sources = frozenset(move.replicas) - adding
        copying[TopicPartition(move.topic, move.partition)] = Copying(sources, adding - sources)
    for found in current:
        partition = TopicPartition(found.topic, found.partition)
        before = copying.get(partition)
        sources = frozenset(found.replicas) if before is None else before.sources
        copying[partition] = Copying(sources, frozenset(targets[partition]) - sources)
    return copying


def _raise_refusals(title: str, outcomes: dict[TopicPartition, LogError | None]) -> None:
    refused = [
        f"{found}: {error}" for found, error in sorted(outcomes.items()) if error is not None
    ]
    if refused:
        raise _RefusedError("\n".join([title, *refused]))


def _names(partitions: "Targets | list[TopicPartition]", separator: str = ",") -> str:
    return separator.join(map(str, sorted(partitions)))


def _plural(partitions: "Targets | list[TopicPartition]") -> str:
    return "" if len(partitions) == 1 else "s"


def _ids(brokers: list[int]) -> str:
    return ",".join(map(str, brokers))
