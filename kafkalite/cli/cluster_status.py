"""`kafkalite cluster status`: how the cluster is, on one screen, and what to do about it."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kafkalite.cli.administration import Administration
from kafkalite.cli.broker_address import shown
from kafkalite.cli.command_line import (
    CommandParser,
    add_connection_arguments,
    check_connection_arguments,
)
from kafkalite.cli.failure import EXIT_FAILURE
from kafkalite.model.errors import LogError
from kafkalite.wire.admin_messages import (
    BrokerHealth,
    ClusterHealth,
    LogDirList,
    PartitionsInTrouble,
)

_HEADINGS: Final = ("BROKER", "ADDRESS", "STATE", "LEADERS", "REPLICAS", "IN SYNC", "DISK")
_ACTION: Final = "status"
_NEAREST: Final = "localhost:9092"
"""Asked where nothing is said: a status is mostly wanted of the machine at hand."""
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_NEARLY_FULL: Final = 0.05
"""Of a file system: less than this left is told."""


@dataclass(frozen=True, slots=True)
class Disk:
    """What one broker's log directories hold and have left."""

    used_bytes: int
    usable_bytes: int
    """Of the directory that has the least."""
    is_nearly_full: bool
    failed: tuple[str, ...]
    """Directories that cannot be used."""


def add_arguments(parser: CommandParser) -> None:
    """Declare the options on `parser`."""
    parser.add_argument(
        "action", nargs="?", metavar=_ACTION, default="", help="print how the cluster is"
    )
    add_connection_arguments(parser)
    parser.set_defaults(parser=parser)


def run(args: argparse.Namespace) -> int:
    """Print the status; gives 0 when all is well, else 1."""
    if args.action != _ACTION:
        what = f"'{args.action}' is no action" if args.action else "Name an action"
        program = args.parser.prog
        args.parser.error(f"{what} of {program}; there is one: {program} {_ACTION}")
    if args.bootstrap_server is None and args.zookeeper is None:
        args.bootstrap_server = _NEAREST
    check_connection_arguments(args.parser, args)
    with Administration.of(args) as admin:
        health = admin.cluster_health()
        disks = {broker.id: _disk_of(admin, broker) for broker in health.brokers}
    advice = advise(health, disks)
    print(render(health, disks))
    print()
    print("\n".join(advice) if advice else "All is well.")
    return EXIT_FAILURE if advice else 0


def _disk_of(admin: Administration, broker: BrokerHealth) -> Disk | None:
    """None: the broker cannot be asked."""
    if broker.url is None:
        return None
    try:
        return measure(admin.describe_log_dirs(broker.id))
    except LogError:
        return None


def measure(found: LogDirList) -> Disk:
    """Add up a broker's directories; of the space that is left, the least counts."""
    good = [each for each in found.log_dirs if each.error is None]
    known = [each for each in good if each.total_bytes > 0]
    return Disk(
        sum(replica.size for each in good for replica in each.partitions),
        min((each.usable_bytes for each in known), default=0),
        any(each.usable_bytes < each.total_bytes * _NEARLY_FULL for each in known),
        tuple(each.path for each in found.log_dirs if each.error is not None),
    )


# -- what is shown ----------------------------------------------------------------------------


def render(health: ClusterHealth, disks: dict[int, Disk | None]) -> str:
    """All but the advice."""
    controller = f"broker {health.controller}" if health.controller >= 0 else "none"
    # A registration outlives its broker by a session: only one that answers is known to be alive.
    live = sum(
        broker.url is not None and disks.get(broker.id) is not None for broker in health.brokers
    )
    rows = [_HEADINGS, *(_row(broker, disks.get(broker.id)) for broker in health.brokers)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(
        [
            f"Cluster:        {health.cluster_id}",
            f"Controller:     {controller}",
            f"Brokers:        {live} of {len(health.brokers)} alive",
            f"Topics:         {health.topics}",
            f"Partitions:     {health.partitions} ({health.offline.count} offline, "
            f"{health.under_replicated.count} under-replicated, "
            f"{health.under_min_isr.count} below min.insync.replicas)",
            f"Reassignments:  {health.reassignments} in progress",
            "",
            *table,
        ]
    )


def _row(broker: BrokerHealth, disk: Disk | None) -> tuple[str, ...]:
    url = broker.url or broker.last_url
    address = "-" if url is None else shown(url)
    state = "DEAD" if broker.url is None else "alive" if disk is not None else "NO ANSWER"
    counts = (str(broker.leaders), str(broker.replicas), str(broker.in_sync))
    return (str(broker.id), address, state, *counts, _shown_disk(disk))


def _shown_disk(disk: Disk | None) -> str:
    if disk is None:
        return "-"
    failed = f", {len(disk.failed)} FAILED" if disk.failed else ""
    return f"{_size(disk.used_bytes)} used, {_size(disk.usable_bytes)} free{failed}"


def _size(count: int) -> str:
    size = float(count)
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            break
        size /= 1024
    return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"


# -- what to do -------------------------------------------------------------------------------


def advise(health: ClusterHealth, disks: dict[int, Disk | None]) -> list[str]:
    """What is wrong and what to do about it, the worst first; empty when all is well."""
    advice = []
    if health.controller < 0:
        advice.append(
            "There is no controller: no leader can be elected. If that lasts, look at ZooKeeper "
            "and at the brokers' logs."
        )
    advice += _advise_on_partitions(health, _missed(health, disks))
    for number, disk in disks.items():
        if disk is not None and disk.failed:
            advice.append(
                f"Broker {number} cannot use {', '.join(disk.failed)}. Repair the disk, or take it "
                "out of log.dirs, and start the broker again."
            )
        if disk is not None and disk.is_nearly_full:
            advice.append(
                f"Broker {number} has {_size(disk.usable_bytes)} of disk left. Shorten retention, "
                "or move partitions away (kafka-reassign-partitions.sh)."
            )
    return advice


def _missed(health: ClusterHealth, disks: dict[int, Disk | None]) -> list[BrokerHealth]:
    """Brokers that do not live, or do not answer."""
    return [broker for broker in health.brokers if disks.get(broker.id) is None]


def _advise_on_partitions(health: ClusterHealth, missed: Sequence[BrokerHealth]) -> list[str]:
    advice = []
    if health.offline.count:
        cause = (
            f"{_start(missed)}."
            if missed
            else "Look at the logs of the brokers that hold them (kafka-topics.sh --describe "
            "--unavailable-partitions)."
        )
        sentence = _sentence(health.offline, "offline: neither read nor written")
        advice.append(f"{sentence} {cause}")
    if health.under_min_isr.count:
        state = "below min.insync.replicas: acks=all is refused there"
        more = "More of their replicas have to be in sync."
        advice.append(f"{_sentence(health.under_min_isr, state)} {more}")
    if missed:
        held = "it holds" if len(missed) == 1 else "they hold"
        cure = f"{_start(missed)}; or move what {held} to others (kafka-reassign-partitions.sh)."
    else:
        cure = "Replicas are catching up; if that lasts, look at the logs of the brokers."
    if health.under_replicated.count:
        advice.append(f"{_sentence(health.under_replicated, 'under-replicated')} {cure}")
    elif missed:
        advice.append(f"No answer from {_brokers(missed)}. {cure}")
    return advice


def _brokers(brokers: Sequence[BrokerHealth]) -> str:
    numbers = ", ".join(str(broker.id) for broker in brokers)
    return f"broker{'' if len(brokers) == 1 else 's'} {numbers}"


def _start(brokers: Sequence[BrokerHealth]) -> str:
    """How to have them back."""
    if len(brokers) > 1:
        where, file = "their machines", "each one's server.properties"
    else:
        where, file = "its machine", "its server.properties"
        last_url = brokers[0].last_url
        if last_url is not None:
            where = shown(last_url).rpartition(":")[0]
    return f"Start {_brokers(brokers)} again: on {where}, kafka-server-start.sh with {file}"


def _sentence(found: PartitionsInTrouble, state: str) -> str:
    more = ", .." if found.count > len(found.examples) else ""
    noun = "partition is" if found.count == 1 else "partitions are"
    return f"{found.count} {noun} {state} ({', '.join(found.examples)}{more})."
