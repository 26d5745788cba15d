"""Moving partitions and electing leaders over HTTP."""

from typing import Any

import httpx

from kafkalite.wire.controller_messages import ControllerReply, ElectionResult, ElectLeaders
from tests.support.fake_broker import FakeBroker
from tests.unit.api.routers.asking import refusal, run


async def _create(client: httpx.AsyncClient) -> None:
    body = {"name": "t", "replica_assignment": [[0, 1], [1, 0]]}
    assert (await client.post("/v1/topics", json=body)).status_code == 201


def _move(partition: int, *replicas: int) -> dict[str, Any]:
    return {"topic": "t", "partition": partition, "replicas": list(replicas)}


def test_partitions_move_and_the_topic_says_so() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        await _create(client)
        assert (await client.get("/v1/reassignments")).json() == {"reassignments": []}
        answer = await client.post(
            "/v1/reassignments", json={"partitions": [_move(0, 2, 1), _move(7, 2)]}
        )
        assert answer.status_code == 200
        assert answer.json()["results"] == [
            {"topic": "t", "partition": 0, "error_code": 0, "error": "", "message": ""},
            {
                "topic": "t",
                "partition": 7,
                "error_code": 3,
                "error": "UNKNOWN_TOPIC_OR_PARTITION",
                "message": "The partition does not exist.",
            },
        ]
        moving = {"replicas": [2, 1, 0], "adding_replicas": [2], "removing_replicas": [0]}
        assert (await client.get("/v1/reassignments")).json() == {
            "reassignments": [{"topic": "t", "partition": 0, **moving}]
        }
        first, second = (await client.get("/v1/topics/t")).json()["partitions"]
        assert {name: first[name] for name in moving} == moving
        assert "adding_replicas" not in second
        assert (await client.get("/v1/cluster/health")).json()["reassignments"] == 1
        grown = await client.patch("/v1/topics/t", json={"partition_count": 3})
        assert refusal(grown)[1] == "REASSIGNMENT_IN_PROGRESS"

    run(scenario, FakeBroker(brokers=3))


def test_cancelling_what_does_not_move_is_said_of_each_partition() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        await _create(client)
        body = {"partitions": [{"topic": "t", "partition": 0}], "timeout_ms": 0}
        (result,) = (await client.post("/v1/reassignments/cancel", json=body)).json()["results"]
        assert (result["error"], result["error_code"]) == ("NO_REASSIGNMENT_IN_PROGRESS", 85)
        assert (await client.post("/v1/reassignments/cancel", json={})).json() == {"results": []}

    run(scenario, FakeBroker(brokers=3))


def test_a_partition_that_is_named_twice_is_refused() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        await _create(client)
        body = {"partitions": [_move(0, 2), _move(0, 1)]}
        assert refusal(await client.post("/v1/reassignments", json=body)) == (
            400,
            "INVALID_REQUEST",
            "A partition is named more than once.",
        )

    run(scenario, FakeBroker(brokers=3))


def test_a_proposal_shows_what_is_and_what_could_be() -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        await _create(client)
        body = {"topics": ["t"], "brokers": [1, 2]}
        answer = (await client.post("/v1/reassignments/proposal", json=body)).json()
        assert answer["current"] == [_move(0, 0, 1), _move(1, 1, 0)]
        assert [sorted(each["replicas"]) for each in answer["proposed"]] == [[1, 2], [1, 2]]

    run(scenario, FakeBroker(brokers=3))


def test_elections_are_the_controllers_and_each_has_its_outcome() -> None:
    broker = FakeBroker()
    broker.controller_client.reply = ControllerReply(
        elections=[
            ElectionResult("t", 0),
            ElectionResult("t", 1, 84, "ELECTION_NOT_NEEDED", "it leads"),
        ]
    )

    async def scenario(client: httpx.AsyncClient) -> None:
        named = [{"topic": "t", "partition": 0}, {"topic": "t", "partition": 1}]
        answer = await client.post(
            "/v1/leader-elections", json={"kind": "preferred", "partitions": named}
        )
        assert answer.json()["results"] == [
            {"topic": "t", "partition": 0, "error_code": 0, "error": "", "message": ""},
            {
                "topic": "t",
                "partition": 1,
                "error_code": 84,
                "error": "ELECTION_NOT_NEEDED",
                "message": "it leads",
            },
        ]
        await client.post("/v1/leader-elections", json={"kind": "unclean"})
        assert broker.controller_client.asked == [
            ElectLeaders("preferred", [("t", 0), ("t", 1)]),
            ElectLeaders("unclean", None),
        ]
        broker.controller_client.reply = ControllerReply(41, "NOT_CONTROLLER", "there is none")
        refused = await client.post("/v1/leader-elections", json={"kind": "unclean"})
        assert refusal(refused) == (421, "NOT_CONTROLLER", "there is none")

    run(scenario, broker)
