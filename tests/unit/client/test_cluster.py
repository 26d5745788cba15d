"""What a client knows of leaders, and how it learns it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.cluster import Cluster
from kafkalite.client.errors import ClosedError, NotSentError
from kafkalite.client.settings import ClientSettings
from kafkalite.model.errors import (
    BrokerNotAvailableError,
    InvalidTopicError,
    MisdirectedRequestError,
    NetworkError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition
from tests.support.fake_brokers import Answer, FakeBrokers, FakeTopics, Request, problem
from tests.support.fake_clock import FakeClock

_ONE = BrokerAddress(1, "b1", 9092)
_TWO = BrokerAddress(2, "b2", 9092)
_SEED = BrokerAddress(-1, "seed", 1)
_T0 = TopicPartition("t", 0)


class _Text(str):
    """As numpy.str_ is one, which no encoder takes."""

    __slots__ = ()


Scenario = Callable[[Cluster, FakeBrokers, FakeClock], Awaitable[None]]


def _run(
    scenario: Scenario,
    answer: Callable[[Request], Answer],
    *,
    servers: str = "seed:1",
    backoff_ms: int = 0,
) -> None:
    async def scene() -> None:
        brokers, clock = FakeBrokers(answer), FakeClock(1_000_000)
        settings = ClientSettings.of(
            {
                "bootstrap_servers": servers,
                "retry_backoff_ms": backoff_ms,
                "metadata_max_age_ms": 5_000,
            }
        )
        cluster = Cluster(settings, brokers, clock, lambda: 1.0)
        try:
            async with asyncio.timeout(5):
                await scenario(cluster, brokers, clock)
        finally:
            await cluster.close()

    asyncio.run(scene())


async def _idle() -> None:
    """Let what has been started on the loop go on."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_nothing_is_known_and_nothing_asked_before_it_is_wanted() -> None:
    async def scenario(cluster: Cluster, brokers: FakeBrokers, _: FakeClock) -> None:
        assert cluster.leader(_T0) is None
        assert cluster.topic_id("t") is None
        assert cluster.brokers() == (_SEED,)
        assert cluster.any_broker() == _SEED
        await _idle()
        assert brokers.requests == []

    _run(scenario, FakeTopics())


def test_leaders_are_known_after_one_request() -> None:
    async def scenario(cluster: Cluster, brokers: FakeBrokers, _: FakeClock) -> None:
        assert await cluster.partitions("t") == 3
        assert [cluster.leader(TopicPartition("t", n)) for n in range(4)] == [
            _TWO,
            _ONE,
            None,
            None,
        ]
        assert cluster.leader_epoch(_T0) == 5
        assert cluster.topic_id("t") == "id-of-t"
        assert cluster.brokers() == (_ONE, _TWO, _SEED)
        assert {cluster.any_broker() for _ in range(4)} == {_ONE, _TWO}
        assert await cluster.partitions("t") == 3
        assert [each.broker for each in brokers.requests] == [_SEED]

    _run(scenario, FakeTopics({"t": [(2, 5), (1, 0), (-1, 3)]}))


def test_an_unknown_topic_is_told_and_found_once_it_exists() -> None:
    topics = FakeTopics()

    async def scenario(cluster: Cluster, _brokers: FakeBrokers, _: FakeClock) -> None:
        with pytest.raises(UnknownTopicOrPartitionError, match=r"No t\."):
            await cluster.partitions("t")
        topics.leaders["t"] = [(1, 0)]
        assert await cluster.partitions("t") == 1

    _run(scenario, topics)


def test_old_knowledge_is_used_while_it_is_asked_for_again() -> None:
    topics = FakeTopics({"t": [(1, 0)]})

    async def scenario(cluster: Cluster, brokers: FakeBrokers, clock: FakeClock) -> None:
        await cluster.partitions("t")
        topics.leaders["t"] = [(1, 0), (2, 0)]
        clock.now_ms += 5_000
        assert await cluster.partitions("t") == 1
        await _idle()
        assert len(brokers.requests) == 1
        clock.now_ms += 1
        assert await cluster.partitions("t") == 1
        assert await cluster.partitions("t") == 1
        await _idle()
        assert await cluster.partitions("t") == 2
        assert len(brokers.requests) == 2

    _run(scenario, topics)


def test_those_who_want_something_at_a_time_share_requests() -> None:
    async def scenario(cluster: Cluster, brokers: FakeBrokers, _: FakeClock) -> None:
        first = asyncio.create_task(cluster.refresh(["a"]))
        await brokers.asked.wait()
        later = [cluster.refresh([name]) for name in ("a", "b", "c")]
        await asyncio.gather(first, *later)
        assert [each.body for each in brokers.requests] == [
            {"topics": ["a"]},
            {"topics": ["a", "b", "c"]},
        ]

    _run(scenario, FakeTopics({name: [(1, 0)] for name in "abc"}))


def test_a_second_request_about_a_topic_waits_but_not_that_about_a_new_one() -> None:
    async def scenario(cluster: Cluster, brokers: FakeBrokers, _: FakeClock) -> None:
        await cluster.refresh(["a"])
        again = asyncio.create_task(cluster.refresh(["a"]))
        await _idle()
        assert len(brokers.requests) == 1
        assert not again.done()
        await cluster.refresh(["b"])
        assert brokers.requests[1].body == {"topics": ["a", "b"]}
        await again

    _run(scenario, FakeTopics({"a": [(1, 0)], "b": [(1, 0)]}), backoff_ms=60_000)


def test_any_of_the_brokers_that_lives_is_enough() -> None:
    async def scenario(cluster: Cluster, brokers: FakeBrokers, _: FakeClock) -> None:
        brokers.dead = {"x:1", "z:1"}
        assert await cluster.partitions("t") == 1
        assert [each.broker.netloc for each in brokers.requests][-1] == "y:1"
        # What was learnt is asked too, once those given are all away.
        brokers.dead = {"x:1", "y:1", "z:1", "b1:9092"}
        await cluster.refresh(["t"])
        assert brokers.requests[-1].broker == _TWO

    _run(scenario, FakeTopics({"t": [(1, 0)]}), servers="x:1,y:1,z:1")


def test_it_is_told_whom_nobody_could_reach() -> None:
    async def scenario(cluster: Cluster, brokers: FakeBrokers, _: FakeClock) -> None:
        brokers.dead = {"x:1", "y:1"}
        with pytest.raises(NotSentError, match=r"No broker can be reached: .*x:1; .*y:1"):
            await cluster.refresh(["t"])
        brokers.dead = set()
        await cluster.refresh(["t"])

    _run(scenario, FakeTopics({"t": [(1, 0)]}), servers="x:1,y:1")


def test_another_broker_is_asked_when_one_starts_or_hangs() -> None:
    topics = FakeTopics({"t": [(1, 0)]})
    trouble: list[Answer] = [problem(BrokerNotAvailableError), RequestTimedOutError()]

    def answer(request: Request) -> Answer:
        return trouble.pop() if trouble else topics(request)

    async def scenario(cluster: Cluster, brokers: FakeBrokers, _: FakeClock) -> None:
        await cluster.refresh(["t"])
        assert [each.broker.netloc for each in brokers.requests] == ["x:1", "y:1", "z:1"]
        assert brokers.requests[0].timeout_s < brokers.requests[2].timeout_s

    _run(scenario, answer, servers="x:1,y:1,z:1")


def test_another_broker_is_asked_when_one_is_not_to_be_called_by_that_name() -> None:
    def answer(request: Request) -> Answer:
        return (200, {}) if request.broker.host == "z" else problem(MisdirectedRequestError)

    async def scenario(cluster: Cluster, brokers: FakeBrokers, _: FakeClock) -> None:
        await cluster.ask("POST", "/", {}, b"", 1, may_repeat=False)
        assert [each.broker.netloc for each in brokers.requests] == ["x:1", "y:1", "z:1"]

    _run(scenario, answer, servers="x:1,y:1,z:1")


def test_name_that_no_broker_is_called_by_is_told_with_what_they_say() -> None:
    async def scenario(cluster: Cluster, _: FakeBrokers, __: FakeClock) -> None:
        with pytest.raises(NotSentError, match=r"x:1: .*does not answer"):
            await cluster.ask("GET", "/", {}, b"", 1, may_repeat=True)

    _run(scenario, lambda _: problem(MisdirectedRequestError), servers="x:1")


def test_what_must_not_be_done_twice_is_sent_on_only_where_it_surely_did_not_arrive() -> None:
    def answer(request: Request) -> Answer:
        return NetworkError("broke") if request.broker.host == "y" else (200, {})

    async def scenario(cluster: Cluster, brokers: FakeBrokers, _: FakeClock) -> None:
        brokers.dead = {"x:1"}
        with pytest.raises(NetworkError, match="broke"):
            await cluster.ask("POST", "/", {}, b"", 1, may_repeat=False)
        assert [each.broker.netloc for each in brokers.requests] == ["x:1", "y:1"]
        await cluster.ask("POST", "/", {}, b"", 1, may_repeat=True)
        assert brokers.requests[-1].broker.netloc == "z:1"

    _run(scenario, answer, servers="x:1,y:1,z:1")


def test_a_broker_says_who_leads() -> None:
    async def scenario(cluster: Cluster, _brokers: FakeBrokers, __: FakeClock) -> None:
        cluster.note_leader(_T0, 2, "http://b2:9092")  # nothing is known of the topic
        assert cluster.leader(_T0) is None
        await cluster.refresh(["t"])
        cluster.note_leader(_T0, 2, "http://b2:9092")
        assert cluster.leader(_T0) == _TWO
        cluster.note_leader(_T0, 3, "http://b3:80", 7)
        assert cluster.leader(_T0) == BrokerAddress(3, "b3", 80)
        assert cluster.broker(3) == BrokerAddress(3, "b3", 80)
        cluster.note_leader(_T0, 1, "http://b1:9092", 6)
        assert cluster.leader(_T0) == BrokerAddress(3, "b3", 80), "an older epoch"
        cluster.note_leader(_T0, -1, "", 8)
        assert cluster.leader(_T0) is None

    _run(scenario, FakeTopics({"t": [(1, 5)]}))


def test_an_answer_older_than_what_leaders_said_changes_nothing() -> None:
    topics = FakeTopics({"t": [(1, 5)]})

    async def scenario(cluster: Cluster, _brokers: FakeBrokers, __: FakeClock) -> None:
        await cluster.refresh(["t"])
        cluster.note_leader(_T0, 2, "http://b2:9092", 6)
        await cluster.refresh(["t"])
        assert cluster.leader(_T0) == _TWO
        topics.leaders["t"] = [(1, 7)]
        await cluster.refresh(["t"])
        assert cluster.leader(_T0) == _ONE
        # Made anew, a topic begins with its epochs again.
        topics.leaders["t"], topics.topic_ids["t"] = [(2, 0)], "another"
        await cluster.refresh(["t"])
        assert cluster.leader(_T0) == _TWO
        assert cluster.topic_id("t") == "another"

    _run(scenario, topics)


@pytest.mark.parametrize("name", [b"t", 7, _Text("t"), "\ud800"])
def test_a_name_that_cannot_be_sent_is_refused_and_spoils_no_request_of_others(
    name: object,
) -> None:
    async def scenario(cluster: Cluster, _brokers: FakeBrokers, __: FakeClock) -> None:
        wrong = asyncio.ensure_future(cluster.partitions(cast("str", name)))
        right = asyncio.ensure_future(cluster.partitions("t"))
        with pytest.raises(InvalidTopicError):
            await wrong
        assert await right == 3

    _run(scenario, FakeTopics({"t": [(1, 0)] * 3}))


def test_who_waits_is_told_when_it_is_closed() -> None:
    async def scenario(cluster: Cluster, _brokers: FakeBrokers, _: FakeClock) -> None:
        await cluster.refresh(["t"])
        waiting = [asyncio.create_task(cluster.refresh(["t"])) for _ in range(3)]
        await _idle()
        await cluster.close()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in found] == [ClosedError] * 3
        with pytest.raises(ClosedError):
            await cluster.refresh(["t"])

    _run(scenario, FakeTopics({"t": [(1, 0)]}), backoff_ms=60_000)


def test_the_live_brokers_can_be_asked_for_without_a_topic() -> None:
    async def scenario(cluster: Cluster, _brokers: FakeBrokers, _: FakeClock) -> None:
        await cluster.refresh(())
        assert cluster.broker(2) == _TWO
        assert cluster.broker(3) is None

    _run(scenario, FakeTopics())


def test_nonsense_is_an_error_of_the_network() -> None:
    async def scenario(cluster: Cluster, _brokers: FakeBrokers, _: FakeClock) -> None:
        with pytest.raises(NetworkError, match="seed:1 is not a broker of kafkalite"):
            await cluster.refresh(["t"])

    _run(scenario, lambda _: (200, {"no": "metadata"}))
    _run(scenario, lambda _: (200, b'{"cluster_id":"\xff"}'))
