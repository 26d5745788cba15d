"""A flipped byte in the middle of a log: reported and isolated, and what follows is served."""

from pathlib import Path

import httpx
import pytest

from kafkalite.model.record import Record
from kafkalite.wire.messages import FetchPartition
from tests.support.broker import BrokerProcess
from tests.support.topic import BrokerClient
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_BATCHES = 30
_RECORDS_A_BATCH = 10


def _flip_in_the_middle(log: Path) -> None:
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 0x40
    log.write_bytes(data)


@pytest.mark.parametrize("stopped_by", ["SIGTERM", "SIGKILL"])
def test_damage_is_isolated_and_the_rest_is_served(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper, stopped_by: str
) -> None:
    broker = BrokerProcess(tmp_path, f"{embedded_zookeeper.hosts}/damage-{stopped_by}")
    with broker, BrokerClient(broker.url) as client:
        topic, sound = client.make_topic(), client.make_topic()
        for batch in range(_BATCHES):
            numbers = range(batch * _RECORDS_A_BATCH, (batch + 1) * _RECORDS_A_BATCH)
            topic.append(*(Record(b"%d" % number) for number in numbers))
            sound.append(Record(b"sound"))
        if stopped_by == "SIGTERM":
            broker.stop()
        else:
            broker.kill()
        _flip_in_the_middle(broker.log_dir / f"{topic.name}-0" / f"{0:020}.log")
        broker.start()

        assert len(sound.read_all()) == _BATCHES
        readable: list[int] = []
        damaged: list[tuple[int, int]] = []
        offset = 0
        while offset < _BATCHES * _RECORDS_A_BATCH:
            answer = topic.get(offset=offset)
            if answer.status_code == 200:
                page = answer.json()
                readable += [record["value"] for record in page["records"]]
                assert page["next_offset"] > offset
                offset = page["next_offset"]
                continue
            problem = answer.json()
            assert problem["error"] == "CORRUPT_MESSAGE"
            start, end = problem["damaged_start"], problem["damaged_end"]
            assert start <= offset < end
            assert str(end) in problem["detail"]
            native = client.fetch(FetchPartition(topic.name, 0, offset))[0]
            assert native.error == "CORRUPT_MESSAGE"
            damaged.append((start, end))
            offset = end
        assert len(damaged) == 1
        start, end = damaged[0]
        assert end - start == _RECORDS_A_BATCH
        missing = range(start, end)
        everything = range(_BATCHES * _RECORDS_A_BATCH)
        assert readable == [number for number in everything if number not in missing]

        # New records come behind what is there, and the operator is told.
        assert topic.append(Record(b"300")).base_offset == _BATCHES * _RECORDS_A_BATCH
        assert [each.value for each in topic.read_all(offset=300)] == [b"300"]
        metrics = httpx.get(f"{broker.url}/metrics").text
        assert "kafkalite_damaged_partitions 1.0" in metrics
        broker.stop()
        broker.start()
        assert topic.get(offset=start).json()["error"] == "CORRUPT_MESSAGE"
    assert "Traceback" not in broker.output
    assert "damage" in broker.output.lower() or "corrupt" in broker.output.lower()
