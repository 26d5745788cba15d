"""How long partitions cannot be written to when a broker goes, and what a quiet cluster costs."""

import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import httpx

from benchmarks.case import Case
from benchmarks.connection import Connection, make_json_request
from benchmarks.row import Goal, Row
from benchmarks.testbed import Testbed
from benchmarks.topics import create_topic, leaders
from benchmarks.usage import cpu_seconds
from tests.support.broker import BrokerProcess
from tests.support.cluster import Cluster

_NAME: Final = "failover"
_TOPIC: Final = "wide"
_BROKERS: Final = 3
_KILL_GOAL: Final = Goal(1.5, at_least=False)
_EXPIRY_GOAL: Final = Goal(1.0, at_least=False)
_REFUSED_GOAL: Final = Goal(0.2, at_least=False)
_CONTROLLER_GOAL: Final = Goal(3, at_least=False)
_IDLE_GOAL: Final = Goal(5, at_least=False)
_IDLE_S: Final = 10
_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.01
_A_REQUEST: Final = 500
"""Partitions that one probe writes to."""


def run(testbed: Testbed) -> list[Row]:
    """Three brokers on one core; each partition has three replicas, two of which suffice."""
    led = testbed.effort.partitions // 2
    with testbed.running_cluster(settings={"min.insync.replicas": "2"}) as cluster:
        create_topic(cluster[0].port, _TOPIC, _BROKERS * led, _BROKERS)
        _settle(cluster)
        rows = [_measure_idle(cluster, _BROKERS * led)]
        kills, pauses, stops, refused = [], [], [], []
        for number in range(testbed.effort.starts):
            victim = cluster[number % _BROKERS]
            kills.append(_measure_kill(testbed, cluster, victim))
            pauses.append(_measure_expiry(cluster, victim))
            stop = _measure_stop(testbed, cluster, victim)
            stops.append(stop[0])
            refused.append(stop[1])
        rows += [
            Row(_NAME, f"kill -9 of the leader of {led:,} partitions, to a record in each", "s",
                tuple(kills), goal=_KILL_GOAL),
            Row(_NAME, "the same from the end of a session that hangs", "s", tuple(pauses),
                goal=_EXPIRY_GOAL),
            Row(_NAME, "orderly stop of it, whole", "s", tuple(stops)),
            Row(_NAME, "orderly stop of it, longest time that a partition refuses", "s",
                tuple(refused), goal=_REFUSED_GOAL),
        ]  # fmt: skip
        create_topic(cluster[0].port, "more", 5_000 - _BROKERS * led, _BROKERS)
        rows.append(_measure_controller(testbed, cluster))
    return rows


def _measure_idle(cluster: Cluster, partitions: int) -> Row:
    used = [cpu_seconds(broker.pid) for broker in cluster]
    time.sleep(_IDLE_S)
    shares = [
        (cpu_seconds(broker.pid) - before) / _IDLE_S * 100
        for broker, before in zip(cluster, used, strict=True)
    ]
    what = f"idle, {partitions:,} partitions of three replicas, each broker"
    return Row(_NAME, what, "% of a core", tuple(shares), goal=_IDLE_GOAL)


def _measure_kill(testbed: Testbed, cluster: Cluster, victim: BrokerProcess) -> float:
    led = _led_by(cluster, victim)
    witness = _other(cluster, victim)
    started = time.perf_counter()
    victim.kill()
    _write_everywhere(witness, led)
    seconds = time.perf_counter() - started
    testbed.start(victim)
    _settle(cluster)
    return seconds


def _measure_expiry(cluster: Cluster, victim: BrokerProcess) -> float:
    """Freeze it: nothing refuses, so only the end of its session tells that it is gone."""
    led = _led_by(cluster, victim)
    witness = _other(cluster, victim)
    victim.pause()
    try:
        deadline = time.monotonic() + _TIMEOUT_S
        while len(_brokers(witness)) == _BROKERS and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        started = time.perf_counter()
        _write_everywhere(witness, led)
        return time.perf_counter() - started
    finally:
        victim.resume()
        _settle(cluster)


def _measure_stop(testbed: Testbed, cluster: Cluster, victim: BrokerProcess) -> tuple[float, float]:
    """Seconds that the stop took, and the longest that some partition could not be written to."""
    led = _led_by(cluster, victim)
    gaps: list[float] = []
    stopped = threading.Event()
    watched = led[:: max(1, len(led) // 20)]
    writer = threading.Thread(
        target=lambda: gaps.append(_longest_gap(_other(cluster, victim), watched, stopped))
    )
    writer.start()
    started = time.perf_counter()
    victim.stop()
    seconds = time.perf_counter() - started
    stopped.set()
    writer.join()
    testbed.start(victim)
    _settle(cluster)
    return seconds, gaps[0]


def _measure_controller(testbed: Testbed, cluster: Cluster) -> Row:
    """From the controller's death to the first decision of the next one: a new topic's leader."""
    taken = []
    for number in range(testbed.effort.starts):
        _settle(cluster)
        with Connection(cluster[0].port) as connection:
            controller = connection.expect(_GET_CLUSTER).document()["controller"]
        victim = cluster[controller]
        started = time.perf_counter()
        victim.kill()
        name = f"after-{number}"
        _create_when_possible(_other(cluster, victim), name)
        taken.append(time.perf_counter() - started)
        testbed.start(victim)
    what = "death of the controller of 5,000 partitions, to a topic made by the next one"
    return Row(_NAME, what, "s", tuple(taken), goal=_CONTROLLER_GOAL)


_GET_CLUSTER: Final = b"GET /v1/cluster HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


def _create_when_possible(broker: BrokerProcess, name: str) -> None:
    spec = {"name": name, "partitions": 1, "replication_factor": 2}
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        answer = httpx.post(f"{broker.url}/v1/topics", json=spec, timeout=_TIMEOUT_S)
        if answer.status_code in {201, 409} and leaders(broker.port, name)[0] >= 0:
            return
        time.sleep(_POLL_S)
    raise RuntimeError(f"{name} gets no leader: {answer.text}")


# -- the cluster ---------------------------------------------------------------------------------


def _brokers(asked: BrokerProcess) -> list[int]:
    with Connection(asked.port) as connection:
        found = connection.expect(b"GET /v1/brokers HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").document()
    return [each["id"] for each in found["brokers"]]


def _other(cluster: Cluster, victim: BrokerProcess) -> BrokerProcess:
    return next(broker for broker in cluster if broker is not victim)


def _led_by(cluster: Cluster, victim: BrokerProcess) -> list[int]:
    wanted = cluster.brokers.index(victim)
    led_by = leaders(cluster[0].port, _TOPIC)
    return [number for number, leader in enumerate(led_by) if leader == wanted]


def _settle(cluster: Cluster) -> None:
    """Wait until all replicas are in sync, and have preferred leaders lead again."""
    cluster.wait_until_in_sync(_TOPIC, _TIMEOUT_S)
    httpx.post(
        f"{cluster[0].url}/v1/leader-elections",
        json={"kind": "preferred"},
        timeout=_TIMEOUT_S,
    ).raise_for_status()
    preferred = [each["replicas"][0] for each in cluster.partitions(_TOPIC)]
    deadline = time.monotonic() + _TIMEOUT_S
    while leaders(cluster[0].port, _TOPIC) != preferred:
        if time.monotonic() > deadline:
            raise RuntimeError("preferred leaders do not lead again")
        time.sleep(_POLL_S)


def _write_everywhere(broker: BrokerProcess, partitions: Sequence[int]) -> None:
    """Append a record to each partition with acks=all, through a broker that may lead none."""
    left = list(partitions)
    deadline = time.monotonic() + _TIMEOUT_S
    with Connection(broker.port) as connection:
        while left:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(left)} partitions cannot be written to")
            some, rest = left[:_A_REQUEST], left[_A_REQUEST:]
            left = [*rest, *_refused(connection, some)]


def _refused(connection: Connection, partitions: Sequence[int]) -> list[int]:
    """Write a record to each; gives those that did not take it."""
    records = [{"partition": number, "value": number} for number in partitions]
    answer = connection.exchange(
        make_json_request("POST", f"/v1/topics/{_TOPIC}/records?timeout_ms=1000",
                          {"records": records})
    )  # fmt: skip
    document: dict[str, Any] = answer.document()
    if "offsets" not in document:
        return list(partitions)
    return [place["partition"] for place in document["offsets"] if "error" in place]


def _longest_gap(
    broker: BrokerProcess, partitions: Sequence[int], stopped: threading.Event
) -> float:
    """Write to some partitions until told to stop; the longest that one of them refused."""
    taken = dict.fromkeys(partitions, time.perf_counter())
    longest = 0.0
    refused_since: dict[int, float] = {}
    with Connection(broker.port) as connection:
        while not stopped.is_set() or refused_since:
            refused = set(_refused(connection, list(taken)))
            now = time.perf_counter()
            for number in taken:
                if number in refused:
                    refused_since.setdefault(number, now)
                elif number in refused_since:
                    longest = max(longest, now - refused_since.pop(number))
    return longest


CASE: Final = Case(_NAME, run)
