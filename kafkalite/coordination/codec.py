"""Every payload in ZooKeeper: JSON as Kafka writes it, compact, with a `version`.

    /brokers/ids/N      {"features":{},"listener_security_protocol_map":{"HTTP":"HTTP"},
                         "endpoints":["HTTP://host:port"],"jmx_port":-1,"port":P,"host":H,
                         "version":5,"timestamp":"ms"[,"rack":R]}
    /brokers/topics/T   {"partitions":{"0":[0],..},"topic_id":ID,"adding_replicas":{},
                         "removing_replicas":{},"version":3}
    .../P/state         {"controller_epoch":1,"leader":0,"version":1,"leader_epoch":0,"isr":[0]}
    /controller         {"version":2,"brokerid":0,"timestamp":"ms"}
    /controller_epoch   the epoch in decimal
    /config/E/N         {"version":1,"config":{key:value}}
    /config/changes/*   {"version":2,"entity_path":"topics/T"}
    /cluster/id         {"version":"1","id":ID}
    /latest_producer_id_block   see producer_id_blocks.py
    /brokers/state_changes/* (ours)
                        {"version":1,"topics":[T,..],"states":[{"topic":T,"partition":P,
                         "state":{as above},"state_version":V},..]}
                        topics: look at these again; states: as they are now

A reader takes any version in which it finds what it needs. A writer that replaces a payload keeps
the members it does not know: give it those of the old one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kafkalite.config.listener import SCHEME, Listener, parse_listener
from kafkalite.coordination import json_payload
from kafkalite.coordination.errors import MalformedZnodeError, UnidentifiedTopicError
from kafkalite.model.cluster import Broker, PartitionState, Topic
from kafkalite.model.ids import BrokerId, ControllerEpoch, LeaderEpoch, TopicId, TopicPartition

Members = json_payload.Members
NO_MEMBERS: Final[Members] = {}
_STATE_MEMBERS: Final = frozenset({"controller_epoch", "leader", "version", "leader_epoch", "isr"})


@dataclass(frozen=True, slots=True)
class StateNotice:
    """One partition's state in a change notice."""

    partition: TopicPartition
    state: PartitionState
    unknown: Members = field(default_factory=dict)
    """Members of the state that this version of the program does not know."""


@dataclass(frozen=True, slots=True)
class ChangeNotice:
    """What somebody changed."""

    topics: tuple[str, ...]
    """Created, reassigned or deleted: to be read again."""
    states: tuple[StateNotice, ...]


# -- brokers --------------------------------------------------------------------------------------


def encode_broker(broker: Broker) -> bytes:
    listener = Listener(broker.host, broker.port)
    members: dict[str, Any] = {
        "features": {},
        "listener_security_protocol_map": {SCHEME: SCHEME},
        "endpoints": [str(listener)],
        "jmx_port": -1,
        "port": broker.port,
        "host": broker.host,
        "version": 5,
        "timestamp": str(broker.timestamp_ms),
    }
    if broker.rack is not None:
        members["rack"] = broker.rack
    return json_payload.encode(members)


def decode_broker(path: str, data: bytes, broker_id: int, epoch: int) -> Broker:
    """Read a registration; `epoch` is the zxid that created it.

    Raises:
        MalformedZnodeError: also when it has no endpoint of ours.
    """
    members = json_payload.decode(path, data)
    endpoints = json_payload.list_of(path, members, "endpoints", str)
    listener = None
    for endpoint in endpoints:
        if endpoint.upper().startswith(f"{SCHEME}://"):
            try:
                listener = parse_listener(endpoint)
            except ValueError as error:
                raise MalformedZnodeError(path, str(error)) from error
    if listener is None:
        raise MalformedZnodeError(path, f"none of its endpoints {endpoints} is {SCHEME}://")
    rack = members.get("rack")
    return Broker(
        BrokerId(broker_id),
        listener.host,
        listener.port,
        rack if isinstance(rack, str) else None,
        epoch,
        json_payload.decimal(path, members, "timestamp"),
    )


# -- topics and partitions ------------------------------------------------------------------------


def encode_topic(topic: Topic, before: Members = NO_MEMBERS) -> bytes:
    """Write an assignment; `before` are the members of the payload that it replaces."""
    return json_payload.encode(
        {
            "version": 3,
            **before,
            "partitions": {str(number): list(ids) for number, ids in topic.assignment.items()},
            "topic_id": topic.topic_id,
            "adding_replicas": _encode_moves(topic.adding),
            "removing_replicas": _encode_moves(topic.removing),
        }
    )


def decode_topic(
    path: str, data: bytes, name: str, config: Mapping[str, str]
) -> tuple[Topic, Members]:
    """Read an assignment; gives the topic, with its `config`, and the payload's members.

    Raises:
        UnidentifiedTopicError: nothing is wrong but that it has no id.
        MalformedZnodeError: something else is.
    """
    members = json_payload.decode(path, data)
    topic = Topic(
        name,
        TopicId(json_payload.member(path, {"topic_id": "", **members}, "topic_id", str)),
        _read_replicas(path, members, "partitions"),
        config,
        _read_moves(path, members, "adding_replicas"),
        _read_moves(path, members, "removing_replicas"),
    )
    if not topic.moving <= topic.assignment.keys():
        raise MalformedZnodeError(path, "it moves partitions that it does not have")
    if "topic_id" not in members:
        raise UnidentifiedTopicError(path)
    return topic, members


def identify_topic(path: str, data: bytes, topic_id: TopicId) -> bytes:
    """Write an id into a topic's payload that has none."""
    members = json_payload.decode(path, data)
    return json_payload.encode({**members, "topic_id": topic_id, "version": 3})


def _encode_moves(replicas: Mapping[int, tuple[BrokerId, ...]]) -> dict[str, list[BrokerId]]:
    return {str(number): list(ids) for number, ids in replicas.items() if ids}


def _read_moves(path: str, members: Members, name: str) -> dict[int, tuple[BrokerId, ...]]:
    if name not in members:  # as before version 3
        return {}
    return {number: ids for number, ids in _read_replicas(path, members, name).items() if ids}


def _read_replicas(path: str, members: Members, name: str) -> dict[int, tuple[BrokerId, ...]]:
    lists = {}
    for number, replicas in json_payload.member(path, members, name, dict).items():
        if not number.isdecimal() or not json_payload.all_of(replicas, int):
            raise MalformedZnodeError(path, f'its "{name}" has {replicas!r} for {number!r}')
        lists[int(number)] = tuple(BrokerId(replica) for replica in replicas)
    return dict(sorted(lists.items()))


def encode_state(state: PartitionState, unknown: Members = NO_MEMBERS) -> bytes:
    """Write a state; `unknown` are members of the old one that are to be kept."""
    return json_payload.encode(_state_members(state, unknown))


def decode_state(path: str, data: bytes, version: int) -> tuple[PartitionState, Members]:
    """Read a state that is stored in this znode version; gives it and what it has beside."""
    return _read_state(path, json_payload.decode(path, data), version)


def _state_members(state: PartitionState, unknown: Members) -> dict[str, Any]:
    return {
        "controller_epoch": state.controller_epoch,
        "leader": state.leader,
        "version": 1,
        "leader_epoch": state.leader_epoch,
        "isr": list(state.isr),
        **unknown,
    }


def _read_state(path: str, members: Members, version: int) -> tuple[PartitionState, Members]:
    state = PartitionState(
        BrokerId(json_payload.member(path, members, "leader", int)),
        LeaderEpoch(json_payload.member(path, members, "leader_epoch", int)),
        tuple(BrokerId(member) for member in json_payload.list_of(path, members, "isr", int)),
        ControllerEpoch(json_payload.member(path, members, "controller_epoch", int)),
        version,
    )
    if members.keys() <= _STATE_MEMBERS:
        return state, NO_MEMBERS
    return state, {key: value for key, value in members.items() if key not in _STATE_MEMBERS}


# -- notices --------------------------------------------------------------------------------------


def encode_change_notice(topics: Iterable[str] = (), states: Iterable[StateNotice] = ()) -> bytes:
    return json_payload.encode(
        {
            "version": 1,
            "topics": list(topics),
            "states": [
                {
                    "topic": notice.partition.topic,
                    "partition": notice.partition.partition,
                    "state": _state_members(notice.state, notice.unknown),
                    "state_version": notice.state.version,
                }
                for notice in states
            ],
        }
    )


def decode_change_notice(path: str, data: bytes) -> ChangeNotice:
    members = json_payload.decode(path, data)
    states = []
    for entry in json_payload.list_of(path, members, "states", dict):
        version = json_payload.member(path, entry, "state_version", int)
        state, unknown = _read_state(path, json_payload.member(path, entry, "state", dict), version)
        partition = TopicPartition(
            json_payload.member(path, entry, "topic", str),
            json_payload.member(path, entry, "partition", int),
        )
        states.append(StateNotice(partition, state, unknown))
    return ChangeNotice(tuple(json_payload.list_of(path, members, "topics", str)), tuple(states))


def encode_config_change(entity_path: str) -> bytes:
    """Say that the configuration of `topics/T` or `brokers/N` changed."""
    return json_payload.encode({"version": 2, "entity_path": entity_path})


def decode_config_change(path: str, data: bytes) -> str:
    return json_payload.member(path, json_payload.decode(path, data), "entity_path", str)


# -- configuration --------------------------------------------------------------------------------


def encode_config(config: Mapping[str, str], before: Members = NO_MEMBERS) -> bytes:
    return json_payload.encode({"version": 1, **before, "config": dict(sorted(config.items()))})


def decode_config(path: str, data: bytes) -> tuple[Mapping[str, str], Members]:
    """Read overrides; gives them and the payload's members."""
    members = json_payload.decode(path, data)
    config = json_payload.member(path, members, "config", dict)
    if not json_payload.all_of(config.values(), str):
        raise MalformedZnodeError(path, f"its values are not all strings: {config}")
    return config, members


# -- cluster and controller -----------------------------------------------------------------------


def encode_cluster_id(cluster_id: str) -> bytes:
    return json_payload.encode({"version": "1", "id": cluster_id})


def decode_cluster_id(path: str, data: bytes) -> str:
    return json_payload.member(path, json_payload.decode(path, data), "id", str)


def encode_controller(broker_id: BrokerId, timestamp_ms: int) -> bytes:
    return json_payload.encode(
        {"version": 2, "brokerid": broker_id, "timestamp": str(timestamp_ms)}
    )


def decode_controller(path: str, data: bytes) -> BrokerId:
    return BrokerId(json_payload.member(path, json_payload.decode(path, data), "brokerid", int))


def encode_controller_epoch(epoch: int) -> bytes:
    return str(epoch).encode()


def decode_controller_epoch(path: str, data: bytes) -> ControllerEpoch:
    try:
        return ControllerEpoch(int(data))
    except ValueError:
        raise MalformedZnodeError(path, f"{data[:40]!r} is not a number") from None
