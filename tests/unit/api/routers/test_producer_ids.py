"""POST /v1/producer-ids."""

import asyncio

import httpx
import msgspec

from kafkalite.wire.producer_messages import ProducerIdentity
from tests.support.fake_broker import FakeBroker, control_plane


def _posts(broker: FakeBroker, *accepts: str) -> list[httpx.Response]:
    async def inside() -> list[httpx.Response]:
        async with control_plane(broker) as client:
            return [
                await client.post("/v1/producer-ids", headers={"accept": accept} if accept else {})
                for accept in accepts
            ]

    return asyncio.run(inside())


def test_each_request_gets_another_id_and_the_first_epoch() -> None:
    answers = _posts(FakeBroker(), "", "application/json")
    assert [each.status_code for each in answers] == [200, 200]
    assert [each.json() for each in answers] == [
        {"producer_id": 0, "producer_epoch": 0},
        {"producer_id": 1, "producer_epoch": 0},
    ]


def test_native_clients_get_msgpack() -> None:
    (answer,) = _posts(FakeBroker(), "application/msgpack")
    assert answer.headers["content-type"] == "application/msgpack"
    identity = msgspec.msgpack.decode(answer.content, type=ProducerIdentity)
    assert identity == ProducerIdentity(0, 0)


def test_it_is_refused_when_zookeeper_cannot_be_reached() -> None:
    broker = FakeBroker()
    broker.metadata.is_available = False
    (answer,) = _posts(broker, "")
    assert answer.status_code == 503
    assert answer.json()["retriable"]


def test_another_media_type_is_refused() -> None:
    (answer,) = _posts(FakeBroker(), "text/plain")
    assert answer.status_code == 406
