"""Payloads of consumer groups.

    /consumers/G/state         {"version":1,"coordinator":B,"timestamp":"ms","life":HEX,"epoch":E,
                                "topics":{T:partitions},"members":{M:{"epoch":e,"joined_epoch":e,
                                "instance_id":I|null,"client_id":C,"host":H,"rack":R|null,
                                "topics":[T,..],"pattern":P|null,"assignor":A,
                                "session_timeout_ms":ms,"rebalance_timeout_ms":ms,
                                "held":{T:[0,..]},"target":{T:[0,..]}}}}
    .../offsets/T              id of the topic that they are of, as far as it was known
    .../offsets/T/P            the offset in decimal, and nothing else: as Kafka once did
    .../offset_metadata/T/P    {"version":1,"leader_epoch":E,"metadata":TEXT}, only where the epoch
                               is known or there is a text
    .../ids/M                  {"version":1,"subscription":{T:1},"pattern":"static",
                                "timestamp":"ms"}
    .../owners/T/P             the id of the member that may consume it

`timestamp` is when the group's coordinator, or what it has, changed last. Members of the state
that this version does not know, of the group's as of each member's, are kept on writing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kafkalite.broker.groups.ports import CommittedOffset, MirroredMember, StoredGroup
from kafkalite.coordination import json_payload
from kafkalite.coordination.errors import MalformedZnodeError
from kafkalite.coordination.group_life import NO_LIFE, GroupVersion
from kafkalite.coordination.json_payload import Members
from kafkalite.groups.state import GroupState, Member
from kafkalite.model.ids import NO_EPOCH, BrokerId, TopicPartition

_OF_GROUP: Final = frozenset(
    {"version", "coordinator", "timestamp", "life", "epoch", "topics", "members"}
)
_OF_MEMBER: Final = frozenset(
    {
        "epoch",
        "joined_epoch",
        "instance_id",
        "client_id",
        "host",
        "rack",
        "topics",
        "pattern",
        "assignor",
        "session_timeout_ms",
        "rebalance_timeout_ms",
        "held",
        "target",
    }
)
_GROUP_REMAINDER: Final = "group"
_MEMBER_REMAINDER: Final = "member:"
_MAX_OFFSET: Final = 2**63 - 1


# -- the state ------------------------------------------------------------------------------------


def encode_group(
    state: GroupState, coordinator: BrokerId, timestamp_ms: int, remainder: Mapping[str, object]
) -> bytes:
    """Write a state; `remainder` is what `decode_group` found beside it."""
    life = GroupVersion.of(state.version).life
    members = {
        member.id: {**_written(member), **_members_of(remainder, _MEMBER_REMAINDER + member.id)}
        for member in state.members.values()
    }
    return json_payload.encode(
        {
            "version": 1,
            "coordinator": coordinator,
            "timestamp": str(timestamp_ms),
            **({} if life == NO_LIFE else {"life": f"{life:016x}"}),
            "epoch": state.epoch,
            "topics": dict(state.topics),
            "members": members,
            **_members_of(remainder, _GROUP_REMAINDER),
        }
    )


def decode_group(path: str, data: bytes, version: int) -> StoredGroup:
    """Read a state that is stored in this znode version.

    Raises:
        MalformedZnodeError: also when two members hold the same partition.
    """
    payload = json_payload.decode(path, data)
    remainder: dict[str, object] = {}
    _note_unknown(remainder, _GROUP_REMAINDER, payload, _OF_GROUP)
    members = {}
    for member_id, entry in json_payload.member(path, payload, "members", dict).items():
        if not isinstance(entry, dict):
            raise MalformedZnodeError(path, f"its member {member_id!r} is {entry!r}")
        members[member_id] = _read_member(path, member_id, entry)
        _note_unknown(remainder, _MEMBER_REMAINDER + member_id, entry, _OF_MEMBER)
    held = [partition for member in members.values() for partition in member.held]
    if len(held) != len(set(held)):
        raise MalformedZnodeError(path, "two of its members hold the same partition")
    topics = json_payload.member(path, payload, "topics", dict)
    if not json_payload.all_of(topics.values(), int):
        raise MalformedZnodeError(path, f'its "topics" are {topics!r}')
    epoch = json_payload.member(path, payload, "epoch", int)
    coordinator = payload.get("coordinator")
    return StoredGroup(
        GroupState(epoch, members, topics, GroupVersion(_life(path, payload), version).joined),
        BrokerId(coordinator) if isinstance(coordinator, int) else None,
        json_payload.decimal(path, payload, "timestamp"),
        remainder,
    )


def _written(member: Member) -> Members:
    return {
        "epoch": member.epoch,
        "joined_epoch": member.joined_epoch,
        "instance_id": member.instance_id,
        "client_id": member.client_id,
        "host": member.host,
        "rack": member.rack,
        "topics": list(member.topics),
        "pattern": member.pattern,
        "assignor": member.assignor,
        "session_timeout_ms": member.session_timeout_ms,
        "rebalance_timeout_ms": member.rebalance_timeout_ms,
        "held": _by_topic(member.held),
        "target": _by_topic(member.target),
    }


def _read_member(path: str, member_id: str, entry: Members) -> Member:
    return Member(
        id=member_id,
        epoch=json_payload.member(path, entry, "epoch", int),
        joined_epoch=json_payload.member(path, entry, "joined_epoch", int),
        instance_id=_text_or_none(path, entry, "instance_id"),
        client_id=json_payload.member(path, entry, "client_id", str),
        host=json_payload.member(path, entry, "host", str),
        rack=_text_or_none(path, entry, "rack"),
        topics=tuple(json_payload.list_of(path, entry, "topics", str)),
        pattern=_text_or_none(path, entry, "pattern"),
        assignor=json_payload.member(path, entry, "assignor", str),
        session_timeout_ms=json_payload.member(path, entry, "session_timeout_ms", int),
        rebalance_timeout_ms=json_payload.member(path, entry, "rebalance_timeout_ms", int),
        held=_partitions(path, entry, "held"),
        target=_partitions(path, entry, "target"),
    )


def _life(path: str, payload: Members) -> int:
    if "life" not in payload:
        return NO_LIFE
    text = json_payload.member(path, payload, "life", str)
    try:
        life = int(text, 16)
    except ValueError:
        life = -1
    if not 0 <= life < 2**63:
        raise MalformedZnodeError(path, f'its "life" is {text[:40]!r}')
    return life


def _text_or_none(path: str, entry: Members, name: str) -> str | None:
    return None if entry.get(name) is None else json_payload.member(path, entry, name, str)


def _by_topic(partitions: Iterable[TopicPartition]) -> dict[str, list[int]]:
    topics: defaultdict[str, list[int]] = defaultdict(list)
    for topic, number in sorted(partitions):
        topics[topic].append(number)
    return topics


def _partitions(path: str, entry: Members, name: str) -> frozenset[TopicPartition]:
    topics = json_payload.member(path, entry, name, dict)
    found = []
    for topic in topics:
        found += [
            TopicPartition(topic, number)
            for number in json_payload.list_of(path, topics, topic, int)
        ]
    return frozenset(found)


def _note_unknown(
    remainder: dict[str, object], key: str, members: Members, known: frozenset[str]
) -> None:
    unknown = {name: value for name, value in members.items() if name not in known}
    if unknown:
        remainder[key] = unknown


def _members_of(remainder: Mapping[str, object], key: str) -> Mapping[str, Any]:
    members = remainder.get(key)
    return members if isinstance(members, dict) else {}


# -- offsets --------------------------------------------------------------------------------------


def has_metadata(offset: CommittedOffset) -> bool:
    """Whether there is more to keep of it than the number."""
    return bool(offset.metadata) or offset.leader_epoch != NO_EPOCH


def encode_offset(offset: CommittedOffset) -> bytes:
    return str(offset.offset).encode()


def encode_offset_metadata(offset: CommittedOffset) -> bytes:
    return json_payload.encode(
        {"version": 1, "leader_epoch": offset.leader_epoch, "metadata": offset.metadata}
    )


def decode_offset(path: str, data: bytes, beside: bytes | None) -> CommittedOffset:
    """Read an offset, and what is kept `beside` it, if there is anything."""
    text = data.strip()
    if not text.isdigit() or int(text) > _MAX_OFFSET:
        raise MalformedZnodeError(path, f"{data[:40]!r} is not an offset")
    if beside is None:
        return CommittedOffset(int(text))
    members = json_payload.decode(path, beside)
    return CommittedOffset(
        int(text),
        json_payload.member(path, members, "leader_epoch", int),
        json_payload.member(path, members, "metadata", str),
    )


# -- what other tools are shown -------------------------------------------------------------------


def encode_mirrored_member(member: MirroredMember, timestamp_ms: int) -> bytes:
    return json_payload.encode(
        {
            "version": 1,
            "subscription": dict(member.topics),
            "pattern": "white_list" if member.is_pattern else "static",
            "timestamp": str(timestamp_ms),
        }
    )


def is_same_member(one: bytes, other: bytes) -> bool:
    """Whether two payloads differ in nothing but when they were written."""
    return one.rpartition(b',"timestamp"')[0] == other.rpartition(b',"timestamp"')[0]
