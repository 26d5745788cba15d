"""What version 3 of REST Proxy tells of groups."""

import asyncio
from typing import Any

import pytest

from kafkalite.api.rest.errors import RestError
from kafkalite.api.v3.group_reads import V3Groups
from kafkalite.api.v3.links import Links
from kafkalite.api.v3.paths import parse_v3_path
from kafkalite.wire.group_descriptions import (
    GroupCoordinatorPlace,
    GroupDescription,
    GroupMember,
    GroupOffset,
    GroupSummary,
)
from kafkalite.wire.group_messages import TopicPartitions

_ROOT = "http://b/v3/clusters/c/consumer-groups"


def _member(name: str, *assigned: int) -> GroupMember:
    partitions = [TopicPartitions("t", list(assigned))] if assigned else []
    return GroupMember(
        name, f"i-{name}", f"client-{name}", "h", None, 1, ["t"], None, "range", 1, partitions,
        [], [],
    )  # fmt: skip


def _offset(
    partition: int, committed: int | None, end: int | None, member: str | None = None
) -> GroupOffset:
    lag = None if committed is None or end is None else end - committed
    client = None if member is None else f"client-{member}"
    return GroupOffset("t", partition, committed, 0, "", 0, end, lag, member, client, "h")


def _group(members: list[GroupMember], offsets: list[GroupOffset]) -> GroupDescription:
    place = GroupCoordinatorPlace(3, "h", 1, "http://h:1")
    return GroupDescription("g/1", "Reconciling", 4, "range", place, members, offsets)


_GROUP = _group(
    [_member("m1", 0, 1), _member("m2")],
    [_offset(0, 5, 15, "m1"), _offset(1, None, 9, "m1"), _offset(2, 7, 10), _offset(3, 1, None)],
)


def _get(path: str, group: GroupDescription = _GROUP) -> dict[str, Any]:
    async def list_groups() -> list[GroupSummary]:
        return [
            GroupSummary("a", "Stable", "range", 2, 1),
            GroupSummary("b", "Unknown", "", 0, -1),
        ]

    async def describe(name: str) -> GroupDescription:
        assert name == group.group
        return group

    groups = V3Groups(list_groups, describe)
    parsed = parse_v3_path(f"/v3/clusters/c/consumer-groups{path}".encode())
    return asyncio.run(groups.get(parsed, Links("http://b/v3", "c")))


def test_groups_are_listed_with_their_states() -> None:
    found = _get("")
    assert found["kind"] == "KafkaConsumerGroupList"
    assert found["metadata"] == {"self": _ROOT, "next": None}
    stable, unknown = found["data"]
    assert (stable["state"], stable["is_simple"]) == ("STABLE", False)
    assert stable["coordinator"] == {"related": "http://b/v3/clusters/c/brokers/1"}
    assert (unknown["state"], unknown["is_simple"]) == ("UNKNOWN", True)
    assert unknown["coordinator"] is None


def test_group_is_described() -> None:
    assert _get("/g%2F1") == {
        "kind": "KafkaConsumerGroup",
        "metadata": {
            "self": f"{_ROOT}/g%2F1",
            "resource_name": "crn:///kafka=c/consumer-group=g/1",
        },
        "cluster_id": "c",
        "consumer_group_id": "g/1",
        "is_simple": False,
        "partition_assignor": "range",
        "state": "COMPLETING_REBALANCE",
        "type": "CONSUMER",
        "is_mixed_consumer_group": False,
        "coordinator": {"related": "http://b/v3/clusters/c/brokers/3"},
        "consumers": {"related": f"{_ROOT}/g%2F1/consumers"},
        "lag_summary": {"related": f"{_ROOT}/g%2F1/lag-summary"},
    }


def test_consumers_are_described_with_what_they_consume() -> None:
    listed = _get("/g%2F1/consumers")["data"]
    assert [each["consumer_id"] for each in listed] == ["m1", "m2"]
    assert _get("/g%2F1/consumers/m1") == listed[0]
    assert (listed[0]["instance_id"], listed[0]["client_id"]) == ("i-m1", "client-m1")
    assigned = _get("/g%2F1/consumers/m1/assignments")["data"]
    assert [each["partition_id"] for each in assigned] == [0, 1]
    assert _get("/g%2F1/consumers/m1/assignments/t/partitions/1") == assigned[1]
    assert assigned[1]["lag"] == {"related": f"{_ROOT}/g%2F1/lags/t/partitions/1"}
    assert _get("/g%2F1/consumers/m2/assignments")["data"] == []


def test_lags_are_those_of_committed_offsets() -> None:
    lags = _get("/g%2F1/lags")["data"]
    told = [
        (each["partition_id"], each["current_offset"], each["log_end_offset"], each["lag"])
        for each in lags
    ]
    assert told == [(0, 5, 15, 10), (2, 7, 10, 3), (3, 1, None, None)]
    owners = [(each["consumer_id"], each["instance_id"], each["client_id"]) for each in lags]
    assert owners == [("m1", "i-m1", "client-m1"), ("", None, ""), ("", None, "")]
    assert _get("/g%2F1/lags/t/partitions/2") == lags[1]


def test_lag_summary_names_where_it_lags_most() -> None:
    found = _get("/g%2F1/lag-summary")
    assert (found["max_lag"], found["total_lag"], found["max_lag_partition_id"]) == (10, 13, 0)
    assert found["max_lag_consumer"] == {"related": f"{_ROOT}/g%2F1/consumers/m1"}
    assert found["metadata"]["resource_name"].endswith("/consumer-group=g/1/lag-summary")
    unread = _get("/g%2F1/lag-summary", _group([], [_offset(0, 1, None)]))
    assert (unread["max_lag"], unread["total_lag"], unread["max_lag_consumer_id"]) == (0, 0, "")
    # Clients that know its type break where there is no link.
    assert unread["max_lag_consumer"] == {"related": f"{_ROOT}/g%2F1/consumers"}


@pytest.mark.parametrize(
    "path",
    [
        "/consumers/m9",
        "/consumers/m9/assignments",
        "/consumers/m1/assignments/t/partitions/2",
        "/consumers/m1/assignments/x/partitions/0",
        "/lags/t/partitions/1",
        "/lags/t/partitions/x",
    ],
)
def test_what_is_not_there_is_a_404(path: str) -> None:
    with pytest.raises(RestError) as caught:
        _get(f"/g%2F1{path}")
    assert (caught.value.status, caught.value.code) == (404, 404)


@pytest.mark.parametrize("path", ["/lags", "/lag-summary", "/lags/t/partitions/0"])
def test_group_without_committed_offsets_has_no_lags(path: str) -> None:
    with pytest.raises(RestError) as caught:
        _get(f"/g%2F1{path}", _group([_member("m1", 0)], [_offset(0, None, 4, "m1")]))
    assert caught.value.status == 404
