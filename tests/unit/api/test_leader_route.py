"""Administration of a partition that another broker leads."""

import dataclasses
import json

import httpx
import pytest

from kafkalite.broker.metadata_view import StateAt
from kafkalite.model.errors import NotLeaderOrFollowerError
from kafkalite.model.ids import BrokerId, TopicPartition
from kafkalite.transport.errors import PeerBusyError, PeerRefusedError
from kafkalite.transport.peer_reply import PeerReply
from tests.support.fake_broker import FakeBroker
from tests.support.partitions import led_by
from tests.unit.api.routers.asking import refusal, run

_PATH = "/v1/topics/t/partitions/0"


async def _led_elsewhere(broker: FakeBroker, client: httpx.AsyncClient) -> None:
    """Let broker 1 lead the partition that is asked for, which broker 0 holds, too."""
    body = {"name": "t", "replica_assignment": [[0, 1]]}
    (await client.post("/v1/topics", json=body)).raise_for_status()
    state = dataclasses.replace(led_by(1, epoch=5), version=9)
    broker.metadata.states[TopicPartition("t", 0)] = StateAt(state, broker.metadata.next_revision())
    broker.metadata.publish()
    broker.partitions.add("t", 0).is_leader = False


def test_the_leaders_answer_is_passed_on_and_the_leader_named() -> None:
    broker = FakeBroker(brokers=2)
    body = b'{"low_watermark":3}'
    broker.peers.reply = PeerReply(200, {"content-type": "application/json", "date": "x"}, body)

    async def scenario(client: httpx.AsyncClient) -> None:
        await _led_elsewhere(broker, client)
        answer = await client.post(f"{_PATH}/delete-records?", json={"before_offset": 3})
        assert (answer.status_code, answer.content) == (200, body)
        assert answer.headers["kafkalite-leader"] == broker.view.brokers[BrokerId(1)].url
        assert "date" not in answer.headers
        answer = await client.get(f"{_PATH}/offsets", params={"at": "å b"})
        assert answer.status_code == 200
        assert broker.peers.asked == [
            (1, "POST", f"{_PATH}/delete-records"),
            (1, "GET", f"{_PATH}/offsets?at=%C3%A5+b"),
        ]

    run(scenario, broker)


def test_the_leaders_refusal_is_passed_on() -> None:
    broker = FakeBroker(brokers=2)
    problem = {"error": "OFFSET_OUT_OF_RANGE", "detail": "as said there"}
    headers = {"content-type": "application/problem+json"}
    broker.peers.reply = PeerReply(416, headers, json.dumps(problem).encode())

    async def scenario(client: httpx.AsyncClient) -> None:
        await _led_elsewhere(broker, client)
        answer = await client.post(f"{_PATH}/delete-records", json={"before_offset": 3})
        assert refusal(answer) == (416, "OFFSET_OUT_OF_RANGE", "as said there")

    run(scenario, broker)


def test_what_was_sent_on_already_is_refused_and_the_leader_named() -> None:
    broker = FakeBroker(brokers=2)

    async def scenario(client: httpx.AsyncClient) -> None:
        await _led_elsewhere(broker, client)
        broker.partitions.get("t", 0).refusal = NotLeaderOrFollowerError("not here", leader_id=1)
        answer = await client.get(f"{_PATH}/offsets", headers={"kafkalite-forwarded": "1"})
        assert refusal(answer) == (421, "NOT_LEADER_OR_FOLLOWER", "not here")
        assert answer.json()["leader_url"] == broker.view.brokers[BrokerId(1)].url
        assert broker.peers.asked == []

    run(scenario, broker)


@pytest.mark.parametrize(
    ("reply", "status", "error"),
    [
        (PeerRefusedError("nobody listens"), 503, "LEADER_NOT_AVAILABLE"),
        (PeerBusyError("too many"), 429, "THROTTLING_QUOTA_EXCEEDED"),
        (PeerReply(421, {}, b'{"error":"NOT_LEADER_OR_FOLLOWER"}'), 503, "LEADER_NOT_AVAILABLE"),
    ],
)
def test_a_leader_that_does_not_answer_is_told_with_what_a_client_may_do(
    reply: PeerReply | PeerRefusedError | PeerBusyError, status: int, error: str
) -> None:
    broker = FakeBroker(brokers=2)
    broker.peers.reply = reply

    async def scenario(client: httpx.AsyncClient) -> None:
        await _led_elsewhere(broker, client)
        answer = await client.get(f"{_PATH}/offsets")
        assert refusal(answer)[:2] == (status, error)
        assert answer.json()["retriable"]

    run(scenario, broker)


def test_what_does_not_exist_is_asked_of_nobody() -> None:
    broker = FakeBroker(brokers=2)

    async def scenario(client: httpx.AsyncClient) -> None:
        await _led_elsewhere(broker, client)
        for number, status in (("7", 404), ("x", 400), ("9" * 5000, 400)):
            answer = await client.get(f"/v1/topics/t/partitions/{number}/offsets")
            assert answer.status_code == status
        assert broker.peers.asked == []

    run(scenario, broker)
