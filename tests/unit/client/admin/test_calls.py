"""When administrative requests are sent again."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import pytest

from kafkalite.client.admin.calls import Call, Calls, of_each, path, query
from kafkalite.client.admin.patience import Patience
from kafkalite.client.backoff import Backoff
from kafkalite.client.cluster import Cluster
from kafkalite.client.errors import ClosedError, NotSentError
from kafkalite.client.settings import AdminSettings
from kafkalite.model.errors import (
    BrokerNotAvailableError,
    InvalidConfigError,
    LeaderNotAvailableError,
    LogError,
    NetworkError,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
)
from kafkalite.wire.admin_messages import BrokerDescription, BrokerList
from tests.support.fake_brokers import Answer, FakeBrokers, Request, problem
from tests.support.fake_clock import FakeClock

_READ = Call("GET", "/v1/brokers")
_CHANGE = Call("POST", "/v1/topics", {"name": "t"}, is_idempotent=False)
_DONE: Answer = (200, {"brokers": []})

Scenario = Callable[[Calls, FakeBrokers], Awaitable[None]]


def _run(
    scenario: Scenario,
    *answers: Answer,
    clock: FakeClock | None = None,
    patience: Patience | None = None,
) -> None:
    """Run with brokers whose answers are `answers`, the last one for ever."""
    left = list(answers)

    def answer(_: Request) -> Answer:
        return left.pop(0) if len(left) > 1 else left[0]

    async def scene() -> None:
        brokers = FakeBrokers(answer)
        settings = AdminSettings.of({"bootstrap_servers": "x:1", "default_api_timeout_ms": 60_000})
        cluster = Cluster(settings, brokers, clock or FakeClock())
        backoff = partial(Backoff, 0, 0)
        patient = patience or Patience(5, 60_000)
        calls = Calls(settings, cluster, brokers, clock or FakeClock(), backoff, patient)
        async with asyncio.timeout(5):
            await scenario(calls, brokers)

    asyncio.run(scene())


@pytest.mark.parametrize("call", [_READ, _CHANGE])
@pytest.mark.parametrize("error", [LeaderNotAvailableError, BrokerNotAvailableError])
def test_a_refusal_that_may_pass_is_tried_again(call: Call, error: type[LogError]) -> None:
    async def scenario(calls: Calls, brokers: FakeBrokers) -> None:
        assert await calls.ask(call, BrokerList) == BrokerList([])
        assert len(brokers.requests) == 3
        assert brokers.requests[0].body == call.body

    _run(scenario, problem(error), problem(error), _DONE)


@pytest.mark.parametrize(
    "error",
    [
        NetworkError("broke"),
        RequestTimedOutError("late"),
        problem(NetworkError),
        problem(RequestTimedOutError),
    ],
)
def test_in_doubt_only_what_may_be_done_twice_is_tried_again(error: Answer) -> None:
    async def scenario(calls: Calls, brokers: FakeBrokers) -> None:
        with pytest.raises((NetworkError, RequestTimedOutError)):
            await calls.ask(_CHANGE, BrokerList)
        assert len(brokers.requests) == 1
        await calls.ask(_READ, BrokerList)
        assert len(brokers.requests) == 3

    _run(scenario, error, error, _DONE)


@pytest.mark.parametrize("error", [InvalidConfigError, UnknownTopicOrPartitionError])
def test_a_refusal_that_stays_is_told_at_once(error: type[LogError]) -> None:
    async def scenario(calls: Calls, brokers: FakeBrokers) -> None:
        with pytest.raises(error, match="because"):
            await calls.tell(_READ)
        assert len(brokers.requests) == 1

    _run(scenario, problem(error, "because"))


def test_trying_ends_after_so_many_retries() -> None:
    async def scenario(calls: Calls, brokers: FakeBrokers) -> None:
        with pytest.raises(LeaderNotAvailableError):
            await calls.tell(_READ)
        assert len(brokers.requests) == 6

    _run(scenario, problem(LeaderNotAvailableError))


def test_trying_ends_when_the_time_of_the_call_is_over() -> None:
    clock = FakeClock()

    async def scenario(calls: Calls, brokers: FakeBrokers) -> None:
        asked = asyncio.create_task(calls.tell(_READ))
        await brokers.asked.wait()
        clock.now_ms += 60_000
        with pytest.raises(LeaderNotAvailableError):
            await asked
        assert len(brokers.requests) == 1

    _run(scenario, problem(LeaderNotAvailableError), clock=clock)


def test_trying_ends_earlier_than_a_call_where_patience_does() -> None:
    clock = FakeClock()

    async def scenario(calls: Calls, brokers: FakeBrokers) -> None:
        asked = asyncio.create_task(calls.tell(_READ))
        await brokers.asked.wait()
        clock.now_ms += 10_000
        with pytest.raises(LeaderNotAvailableError):
            await asked
        assert len(brokers.requests) == 1
        assert brokers.requests[0].timeout_s > 10

    _run(scenario, problem(LeaderNotAvailableError), clock=clock, patience=Patience(5, 10_000))


def test_patience_may_end_a_call_with_an_error_of_its_own() -> None:
    class Ended(Exception):
        pass

    class NoPatience(Patience):
        def may_repeat(self, error: LogError, *, is_idempotent: bool) -> bool:
            raise Ended

    async def scenario(calls: Calls, brokers: FakeBrokers) -> None:
        with pytest.raises(Ended):
            await of_each(["a", "b"], lambda name: calls.tell(Call("GET", path(name))))

    _run(scenario, problem(LeaderNotAvailableError), patience=NoPatience(5, 60_000))


def test_brokers_that_are_away_are_tried_until_one_is_there() -> None:
    async def scenario(calls: Calls, brokers: FakeBrokers) -> None:
        brokers.dead = {"x:1"}
        with pytest.raises(NotSentError, match="No broker can be reached"):
            await calls.tell(_CHANGE)
        assert len(brokers.requests) == 6

    _run(scenario, _DONE)


def test_a_closed_client_tries_nothing_again() -> None:
    async def scenario(calls: Calls, brokers: FakeBrokers) -> None:
        with pytest.raises(ClosedError):
            await calls.tell(_READ)
        assert len(brokers.requests) == 1

    _run(scenario, ClosedError())


def test_an_answer_that_cannot_be_read_is_told() -> None:
    async def scenario(calls: Calls, _: FakeBrokers) -> None:
        with pytest.raises(NetworkError, match="x:1 is not a broker of kafkalite"):
            await calls.ask(_READ, BrokerList)

    _run(scenario, (200, {"topics": []}))


def test_a_broker_is_found_by_its_id() -> None:
    described = BrokerDescription(2, "b2", 9093, "http://b2:9093", None, 7, controller=False)

    async def scenario(calls: Calls, brokers: FakeBrokers) -> None:
        assert await calls.broker(2) == (2, "b2", 9093)
        assert brokers.requests[0].target == "/v1/brokers/2"

    _run(scenario, (200, msgspec.to_builtins(described)))


def test_several_things_are_asked_for_a_few_at_a_time() -> None:
    running = most = 0

    async def ask(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        if number == 7:
            raise InvalidConfigError("seven")
        return number * 2

    found = asyncio.run(of_each([*range(30), 0, 1], ask))
    assert list(found) == list(range(30))
    assert found[8] == 16
    assert isinstance(found[7], InvalidConfigError)
    assert 1 < most <= 8


def test_paths_and_queries_are_quoted() -> None:
    assert path("groups", "a/b c?", 1) == "/v1/groups/a%2Fb%20c%3F/1"
    assert query([("topic", "a&b"), ("partition", 0)]) == "?topic=a%26b&partition=0"
    assert query([]) == ""
