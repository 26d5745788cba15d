"""Old records go: by size, by time, and as a topic's settings change while the broker runs."""

import time
from collections.abc import Iterator

import pytest

from kafkalite.model.record import Record
from tests.support.broker import BrokerProcess
from tests.support.topic import BrokerClient, Topic
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_SEGMENT = {"segment.bytes": "16384"}
_LONG_AGO = 1_700_000_000_000


@pytest.fixture(scope="module")
def broker(
    tmp_path_factory: pytest.TempPathFactory, embedded_zookeeper: EmbeddedZooKeeper
) -> Iterator[BrokerProcess]:
    """A broker that cleans up all the time."""
    settings = {
        "log.retention.check.interval.ms": "50",
        "replica.high.watermark.checkpoint.interval.ms": "100",
        "log.segment.delete.delay.ms": "0",
    }
    with BrokerProcess(
        tmp_path_factory.mktemp("retention"),
        f"{embedded_zookeeper.hosts}/retention",
        settings=settings,
    ) as running:
        yield running
        assert "Traceback" not in running.output
        assert " ERROR " not in running.output


def _fill(topic: Topic, *, timestamp: int = 0) -> None:
    """About ten segments of records of now, or of `timestamp`."""
    timestamp = timestamp or int(time.time() * 1000)
    for number in range(160):
        topic.append(Record(b'"%01000d"' % number, timestamp=timestamp))


def _start(topic: Topic) -> int:
    start: int = topic.offsets()["log_start_offset"]
    return start


def _segments(broker: BrokerProcess, topic: Topic) -> list[str]:
    return sorted(file.name for file in (broker.log_dir / f"{topic.name}-0").glob("*.log*"))


def test_log_shrinks_to_its_size(broker: BrokerProcess, client: BrokerClient) -> None:
    topic = client.make_topic(config={**_SEGMENT, "retention.bytes": "50000"})
    _fill(topic)
    wait_until(lambda: _start(topic) > 80, "the first half is gone")
    wait_until(lambda: len(_segments(broker, topic)) <= 5, "its files, too")
    start = _start(topic)
    assert topic.get(offset=start - 1).status_code == 416
    page = topic.page()
    assert page["records"][0]["offset"] == start
    assert topic.read_all(offset=start)[-1].offset == 159
    # What is kept is what was asked for, and less than a segment more or less.
    assert 160 - start >= 30


def test_old_records_go_and_offsets_go_on(broker: BrokerProcess, client: BrokerClient) -> None:
    topic = client.make_topic(config={**_SEGMENT, "retention.ms": "3600000"})
    _fill(topic, timestamp=_LONG_AGO)
    wait_until(lambda: _start(topic) == 160, "all are gone")
    assert topic.send({"value": "new"})[0]["offset"] == 160
    assert topic.values(offset=160) == ["new"]
    broker.kill()
    broker.start()
    assert topic.values(offset=160) == ["new"]
    assert topic.get(offset=0).status_code == 416


def test_retention_follows_the_topics_settings(broker: BrokerProcess, client: BrokerClient) -> None:
    topic = client.make_topic(config={**_SEGMENT, "retention.ms": "-1"})
    _fill(topic, timestamp=_LONG_AGO)
    other = client.make_topic(config={**_SEGMENT, "retention.ms": "1000"})
    _fill(other, timestamp=_LONG_AGO)
    wait_until(lambda: _start(other) > 0, "retention ran")
    assert _start(topic) == 0
    changed = client.http.patch(topic.path, json={"config": {"retention.ms": "1000"}})
    assert changed.status_code == 200, changed.text
    wait_until(lambda: _start(topic) == 160, "all are gone")


def test_deleted_records_stay_deleted_after_a_kill(
    broker: BrokerProcess, client: BrokerClient
) -> None:
    topic = client.make_topic(config={**_SEGMENT, "retention.ms": "-1"})
    _fill(topic)
    answer = client.http.post(
        topic.partition_path(0, "delete-records"), json={"before_offset": 100}
    )
    assert answer.json()["low_watermark"] == 100
    broker.kill()
    broker.start()
    assert _start(topic) == 100
    assert [each.offset for each in topic.read_all(offset=100)] == list(range(100, 160))
    wait_until(lambda: len(_segments(broker, topic)) <= 6, "their segments are gone")
