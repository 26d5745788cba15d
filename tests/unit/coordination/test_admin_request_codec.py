"""What tools and people write for the controller: whatever it is, it is read."""

import json

import pytest

from kafkalite.coordination.admin_request_codec import (
    keep_entries,
    read_election,
    read_reassignment,
)
from kafkalite.coordination.operations import Znode
from kafkalite.model.admin_requests import ElectionRequest, ReassignmentRequest
from kafkalite.model.ids import BrokerId, TopicPartition

_T0, _T1 = TopicPartition("t", 0), TopicPartition("t", 1)


def _znode(data: bytes) -> Znode:
    return Znode(data, 3, 10, 20, 0)


def test_a_reassignment_is_read_as_kafka_writes_it() -> None:
    data = (
        b'{"version":1,"partitions":[{"topic":"t","partition":1,"replicas":[2,3]},'
        b'{"topic":"t","partition":0,"replicas":[1]}]}'
    )
    targets = {_T1: (BrokerId(2), BrokerId(3)), _T0: (BrokerId(1),)}
    request = ReassignmentRequest(3, 20, targets=targets)
    assert read_reassignment(_znode(data)) == request


def test_a_list_written_by_hand_may_lack_the_version_and_name_a_partition_twice() -> None:
    data = b"""{ "partitions": [ {"topic": "t", "partition": 0, "replicas": [1]},
                  {"topic": "t", "partition": 0, "replicas": [2], "log_dirs": ["any"]} ] }"""
    assert read_reassignment(_znode(data)).targets == {_T0: (2,)}


def test_an_election_is_read_as_kafka_writes_it() -> None:
    data = b'{"version":1,"partitions":[{"topic":"t","partition":1},{"topic":"t","partition":0}]}'
    assert read_election(_znode(data)) == ElectionRequest(3, 20, partitions=frozenset({_T0, _T1}))
    assert read_election(_znode(b'{"version":1,"partitions":[]}')).partitions == frozenset()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"{",
        b"\xff",
        b'{"version":1}',
        b'{"partitions":{}}',
        b'{"partitions":["t-0"]}',
        b'{"partitions":[{"topic":"t"}]}',
        b'{"partitions":[{"topic":"t","partition":true,"replicas":[1]}]}',
        b'{"partitions":[{"topic":1,"partition":0,"replicas":[1]}]}',
    ],
)
def test_what_makes_no_sense_is_a_problem_that_names_the_znode(data: bytes) -> None:
    moves, election = read_reassignment(_znode(data)), read_election(_znode(data))
    assert moves.problem is not None
    assert moves.problem.startswith("The znode /admin/reassign_partitions is malformed: ")
    assert not moves.targets
    assert election.problem is not None
    assert election.problem.startswith("The znode /admin/preferred_replica_election is malformed: ")
    assert (moves.version, moves.revision) == (election.version, election.revision) == (3, 20)


@pytest.mark.parametrize("replicas", [b'["1"]', b"1", b"[1.5]", b"[true]"])
def test_replicas_that_are_no_numbers_are_a_problem(replicas: bytes) -> None:
    data = b'{"partitions":[{"topic":"t","partition":0,"replicas":%b}]}' % replicas
    assert read_reassignment(_znode(data)).problem is not None


def test_a_shorter_list_keeps_what_else_its_writer_said() -> None:
    data = json.dumps(
        {
            "version": 1,
            "partitions": [
                {"topic": "t", "partition": 0, "replicas": [1], "log_dirs": ["any"]},
                {"topic": "t", "partition": 1, "replicas": [2]},
            ],
            "by": "hand",
        }
    ).encode()
    kept = json.loads(keep_entries(data, {_T0}))
    assert kept == {
        "version": 1,
        "partitions": [{"topic": "t", "partition": 0, "replicas": [1], "log_dirs": ["any"]}],
        "by": "hand",
    }
