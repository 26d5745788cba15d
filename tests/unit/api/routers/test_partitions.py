"""Offsets of a partition, and deleting its records."""

import httpx
import pytest

from tests.support.fake_broker import FakeBroker
from tests.unit.api.routers.asking import refusal, run

_PATH = "/v1/topics/t/partitions/0"


def test_offsets_of_a_partition() -> None:
    broker = FakeBroker()
    partition = broker.partitions.add("t", 0, timestamps=[10, 20, 30], high_watermark=2)
    partition.start, partition.leader_epoch = 1, 7

    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await client.get(f"{_PATH}/offsets")).json() == {
            "topic": "t",
            "partition": 0,
            "log_start_offset": 1,
            "high_watermark": 2,
            "log_end_offset": 3,
            "leader_epoch": 7,
        }

    run(scenario, broker)


@pytest.mark.parametrize(
    ("at", "offset", "timestamp"),
    [
        ("earliest", 0, -1),
        ("latest", 3, -1),
        ("max-timestamp", 1, 30),
        ("0", 0, 10),
        ("11", 1, 30),
        ("30", 1, 30),
        ("31", -1, -1),
        (str(2**63 - 1), -1, -1),
    ],
)
def test_offset_at_a_time(at: str, offset: int, timestamp: int) -> None:
    broker = FakeBroker()
    broker.partitions.add("t", 0, timestamps=[10, 30, 20])

    async def scenario(client: httpx.AsyncClient) -> None:
        assert (await client.get(f"{_PATH}/offsets", params={"at": at})).json() == {
            "topic": "t",
            "partition": 0,
            "offset": offset,
            "timestamp": timestamp,
            "leader_epoch": 0,
        }

    run(scenario, broker)


def test_empty_partition_has_no_offset_at_any_time() -> None:
    broker = FakeBroker()
    broker.partitions.add("t", 0)

    async def scenario(client: httpx.AsyncClient) -> None:
        for at in ("max-timestamp", "0"):
            found = (await client.get(f"{_PATH}/offsets", params={"at": at})).json()
            assert (found["offset"], found["timestamp"]) == (-1, -1)

    run(scenario, broker)


def test_record_that_consumers_cannot_read_yet_is_not_found() -> None:
    """INV-4: consumers never see a record that may still disappear."""
    broker = FakeBroker()
    broker.partitions.add("t", 0, timestamps=[10, 20], high_watermark=1)

    async def scenario(client: httpx.AsyncClient) -> None:
        found = (await client.get(f"{_PATH}/offsets", params={"at": "15"})).json()
        assert (found["offset"], found["timestamp"]) == (-1, -1)
        newest = await client.get(f"{_PATH}/offsets", params={"at": "max-timestamp"})
        assert refusal(newest)[:2] == (503, "OFFSET_NOT_AVAILABLE")
        assert newest.headers["retry-after"] == "1"

    run(scenario, broker)


@pytest.mark.parametrize("at", ["", "now", "-1", "1.5", "\u0661", str(2**63), "1e3", " 1"])
def test_time_must_be_one(at: str) -> None:
    broker = FakeBroker()
    broker.partitions.add("t", 0)

    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.get(f"{_PATH}/offsets", params={"at": at})
        status, error, detail = refusal(answer)
        assert (status, error) == (400, "INVALID_REQUEST")
        assert detail.startswith("at: it must be earliest, latest, max-timestamp, or a time")

    run(scenario, broker)


@pytest.mark.parametrize(("before", "low_watermark"), [(2, 2), (-1, 3), (0, 0)])
def test_records_are_deleted_up_to_an_offset(before: int, low_watermark: int) -> None:
    broker = FakeBroker()
    partition = broker.partitions.add("t", 0, timestamps=[10, 20, 30])

    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.post(f"{_PATH}/delete-records", json={"before_offset": before})
        assert answer.json() == {"topic": "t", "partition": 0, "low_watermark": low_watermark}

    run(scenario, broker)
    assert partition.start == low_watermark


def test_records_above_the_high_watermark_cannot_be_deleted() -> None:
    broker = FakeBroker()
    broker.partitions.add("t", 0, timestamps=[10, 20, 30])

    async def scenario(client: httpx.AsyncClient) -> None:
        answer = await client.post(f"{_PATH}/delete-records", json={"before_offset": 4})
        assert refusal(answer)[:2] == (416, "OFFSET_OUT_OF_RANGE")

    run(scenario, broker)


def test_only_the_leader_answers() -> None:
    broker = FakeBroker()
    broker.partitions.add("t", 0, timestamps=[10]).is_leader = False

    async def scenario(client: httpx.AsyncClient) -> None:
        for path in ("/offsets", "/offsets?at=earliest"):
            answer = await client.get(_PATH + path)
            assert refusal(answer)[:2] == (503, "LEADER_NOT_AVAILABLE")
        answer = await client.post(f"{_PATH}/delete-records", json={"before_offset": -1})
        assert refusal(answer)[:2] == (503, "LEADER_NOT_AVAILABLE")
        missing = await client.get("/v1/topics/t/partitions/1/offsets")
        assert refusal(missing)[:2] == (404, "UNKNOWN_TOPIC_OR_PARTITION")

    run(scenario, broker)
