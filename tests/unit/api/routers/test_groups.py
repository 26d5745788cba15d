"""Administration of groups: all of them from every broker, one from its coordinator."""

from typing import cast

import httpx
import msgspec
import pytest

from kafkalite.broker.forwarding import FORWARDED_HEADER
from kafkalite.broker.groups.offset_reset import OffsetReset
from kafkalite.broker.groups.ports import CommittedOffset
from kafkalite.broker.offset_lookup import OffsetLookup
from kafkalite.broker.partition_table import PartitionTable
from kafkalite.groups.state import Member
from kafkalite.model.errors import LeaderNotAvailableError
from kafkalite.model.ids import TopicPartition
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.group_descriptions import GroupList, GroupSummary
from tests.support.api_groups import FakeGroup, FakeGroups, FakeRouting
from tests.support.fake_broker import FakeBroker
from tests.unit.api.routers.asking import Scenario, refusal, run

_T0, _T1 = TopicPartition("t", 0), TopicPartition("t", 1)
_T2 = TopicPartition("t", 2)


class _Broker(FakeBroker):
    """Broker 0 with groups."""

    def __init__(self, *, brokers: int = 1) -> None:
        super().__init__(brokers=brokers)
        self.groups, self.group_routing = FakeGroups(), FakeRouting()
        self.offset_lookup = OffsetLookup(cast("PartitionTable", self.partitions), self.forwarding)
        self.offset_reset = OffsetReset(self.groups, self.offset_lookup, self.view)


@pytest.fixture
def broker() -> _Broker:
    return _Broker()


def _with_topic(broker: _Broker, scenario: Scenario) -> Scenario:
    """`scenario`, once there is a topic `t` of two partitions with 10 records each."""

    async def whole(client: httpx.AsyncClient) -> None:
        await client.post("/v1/topics", json={"name": "t", "partitions": 2})
        for number in range(2):
            broker.partitions.add("t", number, timestamps=[1000 * each for each in range(10)])
        await scenario(client)

    return whole


def test_groups_of_all_brokers_are_listed() -> None:
    broker = _Broker(brokers=3)
    broker.groups.groups = {
        "mine": FakeGroup(),
        "theirs": FakeGroup((Member("m", 1),)),
        "silent": FakeGroup(),
    }
    broker.group_routing.elsewhere = {"theirs", "silent"}
    told = GroupList([GroupSummary("theirs", "Stable", "range", 4, 1)])
    broker.peers.reply = PeerReply(200, {}, msgspec.json.encode(told))

    async def scenario(client: httpx.AsyncClient) -> None:
        listed = (await client.get("/v1/groups")).json()["groups"]
        assert [(each["group"], each["state"], each["coordinator_id"]) for each in listed] == [
            ("mine", "Empty", 0),
            ("silent", "Unknown", -1),
            ("theirs", "Stable", 1),
        ]
        assert sorted(broker.peers.asked) == [(1, "GET", "/v1/groups"), (2, "GET", "/v1/groups")]

    run(scenario, broker)


def test_another_broker_is_told_of_the_groups_here_only() -> None:
    broker = _Broker(brokers=2)
    broker.groups.groups = {"mine": FakeGroup(), "theirs": FakeGroup()}
    broker.group_routing.elsewhere = {"theirs"}

    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.get("/v1/groups", headers={FORWARDED_HEADER: "1"})
        assert [each["group"] for each in answer.json()["groups"]] == ["mine"]
        assert broker.peers.asked == []

    run(scenario, broker)


def test_groups_are_listed_although_the_other_brokers_are_gone() -> None:
    broker = _Broker(brokers=2)
    broker.groups.groups = {"mine": FakeGroup(), "theirs": FakeGroup()}
    broker.group_routing.elsewhere = {"theirs"}

    async def scenario(client: httpx.AsyncClient) -> None:
        listed = (await client.get("/v1/groups")).json()["groups"]
        assert [each["state"] for each in listed] == ["Empty", "Unknown"]

    run(scenario, broker)


def test_a_group_is_described_with_members_and_lag(broker: _Broker) -> None:
    one = Member(
        "m1", 3, client_id="c", host="10.0.0.1", topics=("t",),
        held=frozenset({_T0, _T1}), target=frozenset({_T0}),
    )  # fmt: skip
    two = Member("m2", 3, instance_id="static", pattern="t.*", target=frozenset({_T1}))
    offsets = {_T0: CommittedOffset(4, 2, "x"), _T2: CommittedOffset(1)}
    broker.groups.groups["g"] = FakeGroup((one, two), offsets)

    async def scenario(client: httpx.AsyncClient) -> None:
        broker.partitions.add("t", 2).refusal = LeaderNotAvailableError("nobody leads")
        broker.partitions.held[_T2].is_leader = False
        described = (await client.get("/v1/groups/g")).json()
        assert (described["state"], described["group_epoch"]) == ("Stable", 7)
        assert described["coordinator"]["id"] == 0
        first, second = described["members"]
        assert first["assignment"] == [{"topic": "t", "partitions": [0]}]
        assert first["revoking"] == [{"topic": "t", "partitions": [1]}]
        assert second["assignment"] == []
        assert second["pending"] == [{"topic": "t", "partitions": [1]}]
        assert (second["instance_id"], second["pattern"]) == ("static", "t.*")
        rows = [
            (
                each["partition"],
                each["committed_offset"],
                each["high_watermark"],
                each["lag"],
                each["member_id"],
            )
            for each in described["offsets"]
        ]
        assert rows == [(0, 4, 10, 6, "m1"), (1, None, 10, None, "m1"), (2, 1, None, None, None)]

    run(_with_topic(broker, scenario), broker)


def test_what_another_broker_coordinates_is_sent_on(broker: _Broker) -> None:
    broker.group_routing.elsewhere = {"g"}
    broker.group_routing.reply = PeerReply(200, {"content-type": "application/json"}, b'{"x":1}')

    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/groups/g/offsets/reset?a=b", json={"to": "latest"})
        assert answer.json() == {"x": 1}
        assert answer.headers["kafkalite-coordinator"] == "http://host-1:9092"
        (sent,) = broker.group_routing.forwarded
        assert (sent.method, sent.target) == ("POST", "/v1/groups/g/offsets/reset?a=b")
        assert msgspec.json.decode(sent.body) == {"to": "latest"}
        broker.group_routing.reply = None
        assert refusal(await client.get("/v1/groups/g"))[:2] == (503, "COORDINATOR_NOT_AVAILABLE")
        here = await client.get("/v1/groups/g", headers={FORWARDED_HEADER: "1"})
        assert refusal(here)[:2] == (404, "GROUP_ID_NOT_FOUND")

    run(scenario, broker)


def test_groups_are_deleted_when_nobody_is_in_them(broker: _Broker) -> None:
    broker.groups.groups = {"empty": FakeGroup(), "busy": FakeGroup((Member("m", 1),))}

    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await client.delete("/v1/groups/empty")).status_code == 204
        assert refusal(await client.delete("/v1/groups/busy"))[:2] == (409, "NON_EMPTY_GROUP")
        assert refusal(await client.delete("/v1/groups/empty"))[1] == "GROUP_ID_NOT_FOUND"
        too_long = await client.delete(f"/v1/groups/{'x' * 256}")
        assert refusal(too_long)[1] == "INVALID_GROUP_ID"

    run(scenario, broker)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"to": "earliest", "topics": [{"topic": "t"}]}, {0: 0, 1: 0}),
        ({"to": "latest", "topics": [{"topic": "t", "partitions": [1]}]}, {1: 10}),
        ({"to": "current", "all_topics": True}, {0: 4}),
        ({"to_offset": 99, "all_topics": True}, {0: 10}),
        ({"shift_by": -1, "all_topics": True}, {0: 3}),
        ({"to_datetime": "1970-01-01T00:00:02.500", "all_topics": True}, {0: 3}),
        ({"by_duration": "PT1S", "all_topics": True}, {0: 10}),
        ({"offsets": [{"topic": "t", "partition": 1, "offset": 2}]}, {1: 2}),
    ],
)
def test_offsets_are_reset_as_the_body_says(
    broker: _Broker, wish: dict[str, object], expected: dict[int, int]
) -> None:
    group = broker.groups.groups["g"] = FakeGroup(offsets={_T0: CommittedOffset(4)})

    async def scenario(client: httpx.AsyncClient) -> None:
        shown = (await client.post("/v1/groups/g/offsets/reset", json=wish)).json()
        assert shown["dry_run"] is True
        assert {each["partition"]: each["offset"] for each in shown["offsets"]} == expected
        assert {each["partition"]: each["before"] for each in shown["offsets"]} == {
            number: 4 if number == 0 else None for number in expected
        }
        assert group.offsets == {_T0: CommittedOffset(4)}
        done = await client.post("/v1/groups/g/offsets/reset", json={**wish, "dry_run": False})
        assert done.json()["dry_run"] is False
        for number, offset in expected.items():
            assert group.offsets[TopicPartition("t", number)] == CommittedOffset(offset)

    run(_with_topic(broker, scenario), broker)


@pytest.mark.parametrize(
    ("wish", "detail"),
    [
        ({"all_topics": True}, "exactly one of to, to_offset"),
        ({"to": "latest", "shift_by": 1, "all_topics": True}, "exactly one of to, to_offset"),
        ({"to": "latest"}, "exactly one of topics and all_topics"),
        (
            {"to": "latest", "topics": [{"topic": "t"}], "all_topics": True},
            "exactly one of topics and all_topics",
        ),
        (
            {"offsets": [{"topic": "t", "partition": 0, "offset": 1}], "all_topics": True},
            "offsets name their topics themselves",
        ),
        ({"to": "middle", "all_topics": True}, "to: "),
        ({"to": "latest", "topic": "t"}, "did you mean 'topics'?"),
        ({"by_duration": "1 day", "all_topics": True}, "'1 day' is not a duration"),
        ({"to_datetime": "today", "all_topics": True}, "'today' is not a date and time"),
    ],
)
def test_resets_that_make_no_sense_are_refused(
    broker: _Broker, wish: dict[str, object], detail: str
) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/groups/g/offsets/reset", json=wish)
        status, error, found = refusal(answer)
        assert (status, error) == (400, "INVALID_REQUEST")
        assert detail in found

    run(scenario, broker)
