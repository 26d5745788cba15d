"""What is asked about groups."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from kafkalite.client.admin.calls import Calls
from kafkalite.client.admin.group_calls import GroupCalls, ResetPlace
from kafkalite.client.admin.patience import Patience
from kafkalite.client.backoff import Backoff
from kafkalite.client.cluster import Cluster
from kafkalite.client.settings import AdminSettings
from kafkalite.model.errors import GroupIdNotFoundError, GroupSubscribedToTopicError
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.iso_time import duration_ms
from tests.support.fake_brokers import Answer, FakeBrokers, Request, problem
from tests.support.fake_clock import FakeClock

_RESET: Answer = (200, {"group": "g", "dry_run": False, "offsets": []})
_ZERO, _ONE = TopicPartition("t", 0), TopicPartition("t", 1)


class _Groups(GroupCalls):
    def __init__(self, brokers: FakeBrokers) -> None:
        settings = AdminSettings.of({"bootstrap_servers": "x:1"})
        backoff = partial(Backoff, 0, 0)
        cluster = Cluster(settings, brokers)
        patience = Patience(0, 0)
        self._calls = Calls(settings, cluster, brokers, FakeClock(), backoff, patience)


def _asked(call: Callable[[GroupCalls], Awaitable[object]], answer: Answer) -> tuple[object, Any]:
    """What a call gives, and the request that it made."""
    requests: list[Request] = []

    def answering(request: Request) -> Answer:
        requests.append(request)
        return answer

    async def scene() -> object:
        return await call(_Groups(FakeBrokers(answering)))

    found = asyncio.run(scene())
    (request,) = requests
    return found, request


@pytest.mark.parametrize(
    ("to", "target"),
    [
        ("current", {"to": "current"}),
        (0, {"to_offset": 0}),
        (
            datetime(2026, 1, 31, 12, tzinfo=UTC),
            {"to_datetime": "2026-01-31T12:00:00.000+00:00"},
        ),
        (timedelta(hours=25, milliseconds=50), {"by_duration": "P1DT3600.050000S"}),
        (timedelta(seconds=-1.5), {"by_duration": "-P0DT1.500000S"}),
        (timedelta.max, {"by_duration": "P999999999DT86399.999999S"}),
    ],
)
def test_a_group_is_told_where_to_go_on(to: ResetPlace, target: dict[str, object]) -> None:
    _, request = _asked(lambda groups: groups.reset_group_offsets("g", to), _RESET)
    assert (request.method, request.target) == ("POST", "/v1/groups/g/offsets/reset")
    assert request.body == {**target, "all_topics": True, "dry_run": False}


@pytest.mark.parametrize("span", [timedelta(days=20_000, milliseconds=7), timedelta(seconds=-61)])
def test_brokers_read_a_duration_as_it_was_meant(span: timedelta) -> None:
    _, request = _asked(lambda groups: groups.reset_group_offsets("g", span), _RESET)
    assert duration_ms(request.body["by_duration"]) == span // timedelta(milliseconds=1)


def test_offsets_that_are_given_name_their_topics_themselves() -> None:
    _, request = _asked(
        lambda groups: groups.reset_group_offsets("g", offsets={_ZERO: 5, _ONE: 0}, dry_run=True),
        _RESET,
    )
    assert request.body == {
        "offsets": [
            {"topic": "t", "partition": 0, "offset": 5},
            {"topic": "t", "partition": 1, "offset": 0},
        ],
        "dry_run": True,
    }


def test_the_offsets_of_a_topic_go_in_one_request() -> None:
    refused = {"error": GroupSubscribedToTopicError.name, "message": "consumed"}
    results = [{"topic": "t", "partition": 0}, {"topic": "t", "partition": 1, **refused}]
    found, request = _asked(
        lambda groups: groups.delete_topic_offsets("g", "t"), (200, {"results": results})
    )
    assert (request.method, request.target) == ("DELETE", "/v1/groups/g/offsets?topic=t")
    assert isinstance(found, dict)
    assert found[_ZERO] is None
    assert isinstance(found[_ONE], GroupSubscribedToTopicError)


def test_offsets_of_a_group_that_is_not_there_cannot_go() -> None:
    with pytest.raises(GroupIdNotFoundError):
        _asked(lambda groups: groups.delete_topic_offsets("g", "t"), problem(GroupIdNotFoundError))
