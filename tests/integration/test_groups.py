"""Consumer groups on three brokers, over plain HTTP with JSON, each request to the next broker."""

import itertools
from collections.abc import Iterator

import httpx
import pytest

from tests.support.cluster import Cluster
from tests.support.http_member import HttpMember, settle
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_PARTITIONS = 6
_RECORDS = 60
_names = (f"t{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("groups")
    with (
        EmbeddedZooKeeper(directory / "zookeeper") as zookeeper,
        Cluster(directory, zookeeper.hosts) as running,
    ):
        yield running


@pytest.fixture
def urls(cluster: Cluster) -> list[str]:
    return [broker.url for broker in cluster]


@pytest.fixture
def topic(urls: list[str]) -> str:
    """Six partitions on three brokers, with ten records each."""
    name = next(_names)
    body = {"name": name, "partitions": _PARTITIONS, "replication_factor": 2}
    httpx.post(f"{urls[0]}/v1/topics", json=body, trust_env=False).raise_for_status()
    _send(urls, name, 0)
    return name


def _send(urls: list[str], topic: str, first: int) -> None:
    """Send 60 records with values from `first` on, ten to each partition."""
    records = [
        {"value": first + number, "partition": number % _PARTITIONS} for number in range(_RECORDS)
    ]
    sent = httpx.post(
        f"{urls[1]}/v1/topics/{topic}/records",
        json={"records": records},
        timeout=30,
        trust_env=False,
    )
    assert sent.is_success, sent.text


def _values(*members: HttpMember) -> list[int]:
    return sorted(value for member in members for _, value in member.values)


def test_the_rule_of_the_lecture_notes(urls: list[str], topic: str) -> None:
    """Two consumers of one group never consume the same partition; a consumer of another group
    sees everything; each keeps its own offset.
    """
    one, two = HttpMember(urls, f"a-{topic}", topic), HttpMember(urls, f"a-{topic}", topic)
    other = HttpMember(urls, f"b-{topic}", topic)
    other.heartbeat()
    settle(one, two)
    assert len(one.assignment) == len(two.assignment) == _PARTITIONS // 2
    assert not one.assignment & two.assignment
    one.read()
    two.read()
    assert _values(one, two) == list(range(_RECORDS))
    assert not {number for number, _ in one.values} & {number for number, _ in two.values}

    assert other.read() == _RECORDS
    assert _values(other) == list(range(_RECORDS))

    _send(urls, topic, _RECORDS)
    assert one.read() + two.read() == _RECORDS
    offsets = {
        group: {each["offset"] for each in one.ask("GET", f"groups/{group}/offsets")["offsets"]}
        for group in (f"a-{topic}", f"b-{topic}")
    }
    assert offsets == {f"a-{topic}": {20}, f"b-{topic}": {10}}
    assert other.read() == _RECORDS


def test_a_partition_is_given_away_only_when_it_was_let_go(urls: list[str], topic: str) -> None:
    first, second = HttpMember(urls, topic, topic), HttpMember(urls, topic, topic)
    assert first.heartbeat() == set(range(_PARTITIONS))
    first.read()
    assert second.heartbeat() == set(), "the first has not let go of anything"
    kept = first.heartbeat()
    assert len(kept) == _PARTITIONS // 2
    assert second.heartbeat() == set(), "the first was told, and has not said that it did"
    first.heartbeat()
    assert second.heartbeat() == set(range(_PARTITIONS)) - kept
    assert second.read() == 0, "it goes on where the first was"


def test_who_is_not_in_the_group_commits_nothing(urls: list[str], topic: str) -> None:
    member, late = HttpMember(urls, topic, topic), HttpMember(urls, topic, topic)
    settle(member, late)
    (theirs, *_) = late.assignment
    (ours, *_) = member.assignment
    assert member.commit({ours: 3, theirs: 4}) == ["", "FENCED_MEMBER_EPOCH"]
    body = {"offsets": [{"topic": topic, "partition": ours, "offset": 9}]}
    stranger = httpx.post(f"{urls[0]}/v1/groups/{topic}/offsets", json=body, trust_env=False)
    assert stranger.status_code == 409 or stranger.json()["results"][0]["error"]
    member.leave()
    late.leave()
    found = late.ask("GET", f"groups/{topic}/offsets")["offsets"]
    assert [(each["partition"], each["offset"]) for each in found] == [(ours, 3)]
    alone = httpx.post(f"{urls[0]}/v1/groups/{topic}/offsets", json=body, trust_env=False)
    assert alone.json()["results"][0]["error"] == ""


def test_every_broker_says_the_same_of_a_group(urls: list[str], topic: str) -> None:
    member = HttpMember(urls, topic, topic, client_id="me")
    member.heartbeat()
    member.read()
    described = [
        httpx.get(f"{url}/v1/groups/{topic}", trust_env=False, timeout=30).json() for url in urls
    ]
    assert described[0] == described[1] == described[2]
    assert [each["lag"] for each in described[0]["offsets"]] == [0] * _PARTITIONS
    (found,) = described[0]["members"]
    assert (found["client_id"], found["host"]) == ("me", "127.0.0.1")
    for url in urls:
        listed = httpx.get(f"{url}/v1/groups", trust_env=False, timeout=30).json()["groups"]
        assert (topic, "Stable") in {(each["group"], each["state"]) for each in listed}


def test_a_reset_through_any_broker_finds_all_leaders(urls: list[str], topic: str) -> None:
    for url in urls:
        for wish, expected in (
            ({"to": "latest"}, 10),
            ({"to_datetime": "1970-01-01T00:00:00.000"}, 0),
            ({"to_datetime": "2200-01-01T00:00:00.000"}, 10),
            ({"to_offset": 7}, 7),
        ):
            body = {**wish, "topics": [{"topic": topic}], "dry_run": False}
            answer = httpx.post(
                f"{url}/v1/groups/{topic}/offsets/reset", json=body, trust_env=False, timeout=30
            )
            assert {each["offset"] for each in answer.json()["offsets"]} == {expected}, wish
    found = httpx.get(f"{urls[0]}/v1/groups/{topic}/offsets", trust_env=False).json()["offsets"]
    assert [each["offset"] for each in found] == [7] * _PARTITIONS


def test_a_group_goes_on_when_its_coordinator_is_killed(
    cluster: Cluster, urls: list[str], topic: str
) -> None:
    member = HttpMember(urls, topic, topic)
    member.heartbeat()
    member.read()
    described = member.ask("GET", f"groups/{topic}")
    former = described["coordinator"]["id"]
    killed = cluster[former]
    killed.kill()
    try:
        living = [broker.url for broker in cluster if broker is not killed]
        survivor = HttpMember(living, topic, topic)
        survivor.member_id, survivor.epoch = member.member_id, member.epoch
        survivor.positions = dict(member.positions)
        assert survivor.heartbeat() == member.assignment
        assert survivor.ask("GET", f"groups/{topic}")["coordinator"]["id"] != former
        assert survivor.commit({0: 10}) == [""]
    finally:
        killed.start()
