"""A full disk: refused clearly, other directories go on, all heals when there is space again."""

from pathlib import Path

import pytest

from kafkalite.model.record import Record
from tests.support.broker import BrokerProcess
from tests.support.small_disk import fill, small_disk
from tests.support.topic import BrokerClient, Topic
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_DISK_BYTES = 4 << 20


def _is_in(directory: Path, topic: Topic) -> bool:
    return (directory / f"{topic.name}-0").exists()


def test_full_disk_stops_its_directory_only_and_heals_by_itself(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper
) -> None:
    roomy = tmp_path / "roomy"
    with small_disk(tmp_path / "small", _DISK_BYTES) as small:
        broker = BrokerProcess(
            tmp_path / "broker",
            f"{embedded_zookeeper.hosts}/full-disk",
            settings={
                "log.dirs": f"{roomy},{small}",
                "log.segment.bytes": "262144",
                "replica.high.watermark.checkpoint.interval.ms": "100",
                "log.retention.check.interval.ms": "100",
            },
        )
        with broker, BrokerClient(broker.url) as client:
            topics = [client.make_topic() for _ in range(2)]
            stuck = next(each for each in topics if _is_in(small, each))
            fine = next(each for each in topics if _is_in(roomy, each))
            stuck.send({"value": "before"})
            filler = fill(small)

            acknowledged = ["before"]
            refused = None
            for number in range(2_000):
                value = f"{number}-{'x' * 3000}"
                answer = client.http.post(
                    stuck.records_path(0), json={"records": [{"value": value}]}
                )
                if answer.status_code != 200:
                    refused = answer
                    break
                acknowledged.append(value)
            assert refused is not None, "the disk never was full"
            assert refused.status_code == 503
            problem = refused.json()
            assert problem["error"] == "KAFKA_STORAGE_ERROR"
            assert problem["retriable"]
            assert str(small) in problem["detail"]
            assert stuck.append(Record(b"x" * 100_000)).error == "KAFKA_STORAGE_ERROR"

            # Reading goes on, and so does the other directory; topics may come and go.
            assert stuck.values() == acknowledged
            fine.send({"value": "fine"})
            assert fine.values() == ["fine"]
            assert broker.is_ready()

            filler.unlink()
            wait_until(
                lambda: (
                    client.http.post(
                        stuck.records_path(0), json={"records": [{"value": "after"}]}
                    ).status_code
                    == 200
                ),
                "it takes records again",
            )
            acknowledged.append("after")
            assert stuck.values() == acknowledged
            broker.kill()
            broker.start()
            assert stuck.values() == acknowledged
        assert "Traceback" not in broker.output


def test_topic_that_found_no_space_is_made_when_there_is(
    tmp_path: Path, embedded_zookeeper: EmbeddedZooKeeper
) -> None:
    with small_disk(tmp_path / "small", _DISK_BYTES) as small:
        broker = BrokerProcess(
            tmp_path / "broker",
            f"{embedded_zookeeper.hosts}/no-space",
            settings={"log.dirs": str(small)},
        )
        with broker, BrokerClient(broker.url) as client:
            filler = fill(small)
            client.http.post("/v1/topics", json={"name": "hopeful", "partitions": 1})
            answer = client.http.post(
                "/v1/topics/hopeful/records", json={"records": [{"value": 1}]}
            )
            assert answer.status_code == 503
            assert answer.json()["retriable"]
            filler.unlink()
            wait_until(
                lambda: (
                    client.http.post(
                        "/v1/topics/hopeful/records", json={"records": [{"value": 2}]}
                    ).status_code
                    == 200
                ),
                "the topic takes records",
            )
            assert Topic(client, "hopeful").values() == [2]
        assert "Traceback" not in broker.output
