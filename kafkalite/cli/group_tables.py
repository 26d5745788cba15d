"""A consumer group on the screen, in the columns of kafka-consumer-groups."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from kafkalite.wire.group_descriptions import GroupDescription, GroupMember, GroupSummary
from kafkalite.wire.group_messages import TopicPartitions

EMPTY: Final = "Empty"
DEAD: Final = "Dead"
_REBALANCING: Final = frozenset({"Assigning", "Reconciling"})
_NARROW: Final = 15
_NOTHING: Final = "-"


def print_notice(group: str, state: str) -> bool:
    """Say of a group's state what somebody has to know; False when there is no such group."""
    if state == DEAD:
        print(f"\nError: Consumer group '{group}' does not exist.")
        return False
    if state == EMPTY:
        print(f"\nConsumer group '{group}' has no active members.", file=sys.stderr)
    elif state in _REBALANCING:
        print(f"\nWarning: Consumer group '{group}' is rebalancing.", file=sys.stderr)
    return True


def print_offsets(described: GroupDescription) -> None:
    """How far the group is in each partition, and which members have none."""
    rows: list[Sequence[str]] = [
        (
            described.group,
            each.topic,
            str(each.partition),
            _number(each.committed_offset),
            _number(each.high_watermark),
            _number(each.lag),
            each.member_id or _NOTHING,
            _host(each.host),
            each.client_id or _NOTHING,
        )
        for each in described.offsets
    ]
    rows += [
        (
            described.group,
            *[_NOTHING] * 5,
            member.member_id,
            _host(member.host),
            member.client_id or _NOTHING,
        )
        for member in described.members
        if not _count(member.assignment)
    ]
    if not rows:
        return
    header = (
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    )
    _print_table(header, (_NARROW, _NARROW, 10, *[_NARROW] * 5, 0), rows)


def print_members(described: GroupDescription, *, is_verbose: bool) -> None:
    """The group's members, and with `is_verbose` what each consumes."""
    if not described.members:
        return
    has_static = any(member.instance_id for member in described.members)
    header = ["GROUP", "CONSUMER-ID"]
    header += ["GROUP-INSTANCE-ID"] if has_static else []
    header += ["HOST", "CLIENT-ID", "#PARTITIONS"]
    header += ["ASSIGNMENT"] if is_verbose else []
    rows = [
        _member_row(described.group, each, has_static, is_verbose) for each in described.members
    ]
    widths = [max(_NARROW, len(name)) for name in header]
    _print_table(header, widths, rows)


def _member_row(group: str, member: GroupMember, has_static: bool, is_verbose: bool) -> list[str]:
    row = [group, member.member_id]
    row += [member.instance_id or _NOTHING] if has_static else []
    row += [_host(member.host), member.client_id or _NOTHING, str(_count(member.assignment))]
    if is_verbose:
        parts = [
            f"{each.topic}({','.join(map(str, sorted(each.partitions)))})"
            for each in member.assignment
        ]
        row.append(", ".join(sorted(parts)) or _NOTHING)
    return row


def print_state(described: GroupDescription) -> None:
    """The group as a whole."""
    coordinator = described.coordinator
    row = (
        described.group,
        f"{coordinator.host}:{coordinator.port} ({coordinator.id})",
        described.assignor or _NOTHING,
        described.state,
        str(len(described.members)),
    )
    header = ("GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS")
    _print_table(header, (25, 25, 20, _NARROW, 0), [row])


def print_groups_with_states(groups: Iterable[GroupSummary]) -> None:
    """Groups and what they are doing."""
    _print_table(("GROUP", "STATE"), (25, 0), [(each.group, each.state) for each in groups], "")


def _print_table(
    header: Sequence[str],
    least_widths: Sequence[int],
    rows: Sequence[Sequence[str]],
    before: str = "\n",
) -> None:
    """Columns of at least these widths, and as wide as what is in them; the last one ends short."""
    widths = [
        max([least, *(len(row[column]) for row in rows)])
        for column, least in enumerate(least_widths)
    ]
    print(end=before)
    for row in (header, *rows):
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
        print(" ".join(cells).rstrip())


def _number(number: int | None) -> str:
    return _NOTHING if number is None else str(number)


def _host(host: str | None) -> str:
    """As Java prints an address without a name."""
    return f"/{host}" if host else _NOTHING


def _count(assignment: Iterable[TopicPartitions]) -> int:
    return sum(len(each.partitions) for each in assignment)
