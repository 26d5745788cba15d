"""How a broker starts, refuses to start, and stops."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import msgpack
import pytest

from kafkalite.model.record import Record
from kafkalite.storage.directory_lock import holder_of
from kafkalite.wire.records import encode_batch
from tests.support.broker import BrokerProcess
from tests.support.raw_http import RawConnection
from tests.support.topic import MSGPACK, BrokerClient
from tests.support.waiting import wait_until
from tests.support.zookeeper import EmbeddedZooKeeper, free_port

pytestmark = pytest.mark.slow

_CLEAN = ".kafka_cleanshutdown"


@pytest.fixture
def connect(embedded_zookeeper: EmbeddedZooKeeper, tmp_path: Path) -> str:
    """A chroot of the test's own."""
    return f"{embedded_zookeeper.hosts}/lifecycle-{tmp_path.name}"


@pytest.fixture
def own(tmp_path: Path, connect: str) -> Iterator[BrokerProcess]:
    """A running broker of the test's own."""
    with BrokerProcess(tmp_path / "own", connect) as running:
        yield running


def _refusal(broker: BrokerProcess) -> str:
    """What a broker says that does not start; it is to end by itself."""
    before = len(broker.output)
    broker.launch()
    assert broker.wait() == 1
    said = broker.output[before:]
    assert "Traceback" not in said
    return said


# -- refusing to start -----------------------------------------------------------------------------


def test_second_broker_is_refused_when_its_id_is_alive(
    tmp_path: Path, own: BrokerProcess, connect: str
) -> None:
    said = _refusal(BrokerProcess(tmp_path / "twin", connect))
    assert "broker.id" in said
    assert "0" in said
    assert own.is_ready()


def test_second_broker_is_refused_when_its_log_dirs_are_taken(
    own: BrokerProcess, tmp_path: Path, connect: str
) -> None:
    settings = {"log.dirs": str(own.log_dir)}
    said = _refusal(BrokerProcess(tmp_path / "other", connect, broker_id=1, settings=settings))
    assert str(own.log_dir) in said
    assert str(own.pid) in said
    assert own.is_ready()


def test_broker_is_refused_when_its_port_is_taken(
    own: BrokerProcess, tmp_path: Path, connect: str
) -> None:
    settings = {"listeners": f"HTTP://127.0.0.1:{own.port}"}
    said = _refusal(BrokerProcess(tmp_path / "other", connect, broker_id=1, settings=settings))
    assert f"127.0.0.1:{own.port}" in said
    assert own.is_ready()


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid"])
def test_broker_is_refused_when_its_address_is_not_this_machines(
    tmp_path: Path, connect: str, host: str
) -> None:
    said = _refusal(BrokerProcess(tmp_path, connect, settings={"listeners": f"HTTP://{host}:9092"}))
    assert host in said


def test_broker_is_refused_when_zookeeper_cannot_be_reached(tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    said = _refusal(
        BrokerProcess(tmp_path, nowhere, settings={"zookeeper.connection.timeout.ms": "500"})
    )
    assert nowhere in said


def test_broker_is_refused_when_its_logs_are_of_another_cluster(
    tmp_path: Path, connect: str
) -> None:
    with BrokerProcess(tmp_path / "own", connect) as own:
        pass
    stranger = BrokerProcess(
        tmp_path / "other", f"{connect}-other", settings={"log.dirs": str(own.log_dir)}
    )
    said = _refusal(stranger)
    assert "meta.properties" in said
    assert "zookeeper.connect" in said


def test_broker_is_refused_when_its_logs_are_of_another_broker(
    tmp_path: Path, connect: str
) -> None:
    with BrokerProcess(tmp_path / "own", connect) as own:
        pass
    other = BrokerProcess(
        tmp_path / "other", connect, broker_id=7, settings={"log.dirs": str(own.log_dir)}
    )
    said = _refusal(other)
    assert "broker.id is 7" in said
    assert "broker 0" in said


def test_broker_is_refused_when_none_of_its_log_dirs_can_be_made(
    tmp_path: Path, connect: str
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    said = _refusal(
        BrokerProcess(tmp_path / "own", connect, settings={"log.dirs": str(blocked / "logs")})
    )
    assert str(blocked / "logs") in said


def test_id_is_given_and_kept_when_none_is_set(tmp_path: Path, connect: str) -> None:
    broker = BrokerProcess(tmp_path, connect, broker_id=-1)
    ids = []
    for _ in range(2):
        with broker:
            ids.append(httpx.get(f"{broker.url}/v1/cluster").json()["broker_id"])
    assert ids[0] == ids[1] >= 1000


# -- stopping --------------------------------------------------------------------------------------


def test_stopped_broker_is_clean_and_recovers_nothing(tmp_path: Path, connect: str) -> None:
    broker = BrokerProcess(tmp_path, connect)
    with broker, BrokerClient(broker.url) as client:
        topic = client.make_topic(partitions=3)
        for number in range(3):
            topic.send(*({"value": n} for n in range(100)), partition=number)
        assert not (broker.log_dir / _CLEAN).exists()
        assert broker.stop() == 0
        assert (broker.log_dir / _CLEAN).exists()
        (points,) = broker.log_dir.glob("recovery-point-offset-checkpoint")
        recovery_points = points.read_text().splitlines()
        assert sorted(line.split()[-1] for line in recovery_points if " " in line) == ["100"] * 3
        before = len(broker.output)
        broker.start()
        assert "ecover" not in broker.output[before:]
        assert topic.values(2) == list(range(100))


def test_requests_in_work_are_answered_when_the_broker_stops(tmp_path: Path, connect: str) -> None:
    broker = BrokerProcess(tmp_path, connect)
    with broker, BrokerClient(broker.url) as client:
        topic = client.make_topic()
        polling, producing = RawConnection(broker.port), RawConnection(broker.port)
        with polling, producing:
            polling.send(
                RawConnection.request("GET", f"{topic.partition_path(0)}?timeout_ms=3600000")
            )
            wait_until(
                lambda: "kafkalite_waiting_fetches 1" in client.http.get("/metrics").text,
                "the poll waits",
            )
            body = b'{"records":[{"value":1}]}'
            request = RawConnection.request("POST", topic.records_path(0), body)
            producing.send(request[:-1])
            broker.terminate()
            polled = polling.read_answer()
            assert polled.status == 200
            assert json.loads(polled.body)["records"] == []
            assert polled.headers["connection"] == "close", "it is not to be asked again"
            with suppress(OSError):
                producing.send(request[-1:])
                answer = producing.read_answer()
                assert answer.status == 200 or json.loads(answer.body)["retriable"]
            assert broker.wait() == 0
    assert "Traceback" not in broker.output


def test_broker_stops_although_clients_stay_connected(tmp_path: Path, connect: str) -> None:
    with BrokerProcess(tmp_path, connect) as broker, BrokerClient(broker.url) as client:
        client.make_topic().send({"value": 1})
        idle = [RawConnection(broker.port) for _ in range(50)]
        half = RawConnection(broker.port)
        half.send(b"POST /v1/produce HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        try:
            assert broker.stop() == 0
        finally:
            for each in [*idle, half]:
                each.close()
    assert (broker.log_dir / _CLEAN).exists()
    assert " ERROR " not in broker.output


def test_stopped_broker_is_gone_from_the_cluster_at_once(
    own: BrokerProcess, tmp_path: Path, connect: str
) -> None:
    with BrokerProcess(tmp_path / "second", connect, broker_id=1) as second:
        brokers = f"{own.url}/v1/brokers"
        assert [each["id"] for each in httpx.get(brokers).json()["brokers"]] == [0, 1]
        assert second.stop() == 0
        wait_until(
            lambda: [each["id"] for each in httpx.get(brokers).json()["brokers"]] == [0],
            "the second is gone",
            timeout_s=5,  # its session would have lasted for 18 s
        )


def test_broker_that_is_told_to_stop_while_it_starts_ends(tmp_path: Path, connect: str) -> None:
    broker = BrokerProcess(tmp_path, connect)
    broker.launch()
    wait_until(lambda: _accepts(broker.port), "it listens")
    assert broker.stop() == 0
    assert "Traceback" not in broker.output


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# -- what is on disk -------------------------------------------------------------------------------


def test_logs_of_a_topic_deleted_while_the_broker_was_away_go(tmp_path: Path, connect: str) -> None:
    away = BrokerProcess(tmp_path / "away", connect)
    with away, BrokerClient(away.url) as client:
        topic = client.make_topic(name="leftover")
        topic.send({"value": "old"})
    # As it was before the topic was deleted and made anew.
    saved = tmp_path / "saved"
    shutil.copytree(away.log_dir, saved)
    with away, BrokerClient(away.url) as client:
        assert client.http.delete("/v1/topics/leftover").status_code == 204
        client.make_topic(name="leftover")
    shutil.rmtree(away.log_dir)
    shutil.copytree(saved, away.log_dir)
    with away, BrokerClient(away.url) as client:
        assert client.http.get("/v1/topics/leftover/partitions/0/records").json()["records"] == []


def test_topic_can_be_deleted_and_made_anew_under_load(
    own: BrokerProcess,
) -> None:
    batch = encode_batch([Record(b"x" * 1000)] * 10, now_ms=1)
    entry = {"topic": "reborn", "partition": 0, "batches": batch * 20}
    body = msgpack.packb({"partitions": [entry], "acks": 1})
    request = RawConnection.request("POST", "/v1/produce", body, MSGPACK)
    with BrokerClient(own.url) as client, RawConnection(own.port) as load:
        for _ in range(10):
            client.make_topic(name="reborn", config={"segment.bytes": "262144"})
            # acks=1: its flush, and that of the segments it rolls, is still to come.
            load.send(request * 10)
            for _ in range(10):
                assert load.read_answer().status == 200
            assert client.http.delete("/v1/topics/reborn").status_code == 204
        other = client.make_topic()
        other.send({"value": "still there"})
        assert other.values() == ["still there"]
        wait_until(lambda: not list(own.log_dir.glob("reborn-*")), "the files are gone")
    assert "Traceback" not in own.output
    assert "failed" not in own.output


def test_three_hundred_partitions_work_within_few_descriptors(tmp_path: Path, connect: str) -> None:
    limited = BrokerProcess(tmp_path, connect, max_open_files=256)
    with limited, BrokerClient(limited.url) as client:
        topic = client.make_topic(partitions=300)
        batch = encode_batch([Record(b"x")], now_ms=1)
        for _ in range(3):
            results = client.produce([(topic.name, number, batch) for number in range(300)])
            assert [each.error for each in results if each.error] == []
        for number in (0, 150, 299):
            assert len(topic.read_all(number)) == 3
        limited.kill()
        limited.start()
        results = client.produce([(topic.name, number, batch) for number in range(300)])
        assert [each.message for each in results if each.error] == []
        assert {each.base_offset for each in results} == {3}
    assert "Traceback" not in limited.output


def test_daemon_is_started_twice_only_once(tmp_path: Path, connect: str) -> None:
    broker = BrokerProcess(tmp_path, connect)
    with broker:
        again = subprocess.run(
            [*broker.command[:-1], "-daemon", broker.command[-1]],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        assert again.returncode == 1
        assert str(broker.pid) in again.stderr


@pytest.mark.slow
def test_daemon_does_not_take_another_broker_for_itself(tmp_path: Path, connect: str) -> None:
    with BrokerProcess(tmp_path / "first", connect) as first:
        second = BrokerProcess(
            tmp_path / "second",
            connect,
            broker_id=1,
            settings={"listeners": f"HTTP://127.0.0.1:{first.port}"},
        )
        second.write_config()
        started = subprocess.run(
            [*second.command[:-1], "-daemon", second.command[-1]],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        assert started.returncode == 1
        assert "Cannot listen" in started.stderr


def test_broker_can_be_stopped_while_it_still_looks_for_zookeeper(tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    broker = BrokerProcess(tmp_path, nobody, settings={"zookeeper.connection.timeout.ms": "600000"})
    broker.launch()
    wait_until(lambda: holder_of(broker.log_dir) == broker.pid, "the broker has begun to start")
    assert broker.stop() == 0
    assert "Traceback" not in broker.output
