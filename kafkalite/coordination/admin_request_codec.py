"""What tools of older Kafkas write for the controller, as Kafka writes it.

    /admin/reassign_partitions         {"version":1,"partitions":[
                                         {"topic":T,"partition":P,"replicas":[1,2]},..]}
    /admin/preferred_replica_election  {"version":1,"partitions":[{"topic":T,"partition":P},..]}

People write them by hand as well, so a payload that makes no sense is a request with a problem, and
no error. Of a partition that is named twice the last entry counts, as with Kafka.
"""

from collections.abc import Collection
from typing import Any

from kafkalite.coordination import json_payload, paths
from kafkalite.coordination.errors import MalformedZnodeError
from kafkalite.coordination.operations import Znode
from kafkalite.model.admin_requests import ElectionRequest, ReassignmentRequest
from kafkalite.model.ids import BrokerId, TopicPartition


def read_reassignment(znode: Znode) -> ReassignmentRequest:
    path = paths.REASSIGN_PARTITIONS
    try:
        entries = _entries(path, znode.data)
        targets = {
            _partition(path, entry): tuple(
                BrokerId(broker) for broker in json_payload.list_of(path, entry, "replicas", int)
            )
            for entry in entries
        }
    except MalformedZnodeError as error:
        return ReassignmentRequest(znode.version, znode.modified, str(error))
    return ReassignmentRequest(znode.version, znode.modified, targets=targets)


def read_election(znode: Znode) -> ElectionRequest:
    path = paths.PREFERRED_REPLICA_ELECTION
    try:
        partitions = frozenset(_partition(path, entry) for entry in _entries(path, znode.data))
    except MalformedZnodeError as error:
        return ElectionRequest(znode.version, znode.modified, str(error))
    return ElectionRequest(znode.version, znode.modified, partitions=partitions)


def keep_entries(data: bytes, kept: Collection[TopicPartition]) -> bytes:
    """A list of moves that names only those of its partitions; else it stays as it is.

    Raises:
        MalformedZnodeError: it cannot be read.
    """
    path = paths.REASSIGN_PARTITIONS
    members = json_payload.decode(path, data)
    entries = [entry for entry in _entries(path, data) if _partition(path, entry) in kept]
    return json_payload.encode({**members, "partitions": entries})


def _entries(path: str, data: bytes) -> list[dict[str, Any]]:
    return json_payload.list_of(path, json_payload.decode(path, data), "partitions", dict)


def _partition(path: str, entry: json_payload.Members) -> TopicPartition:
    return TopicPartition(
        json_payload.member(path, entry, "topic", str),
        json_payload.member(path, entry, "partition", int),
    )
