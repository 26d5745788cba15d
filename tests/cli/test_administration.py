"""How long commands try, and what they say of brokers that do not answer."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import msgspec
import pytest

from kafkalite.cli.administration import Administration
from kafkalite.cli.failure import NoBrokerError
from kafkalite.client.errors import NotSentError
from kafkalite.model.errors import (
    BrokerNotAvailableError,
    LeaderNotAvailableError,
    LogError,
    NetworkError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.admin_messages import TopicList
from tests.support.scripted_server import Heard, http, scripted_server

_NOBODY: Final = "http://127.0.0.1:1"
_NO_TOPICS: Final = http(msgspec.json.encode(TopicList([])))
_ZERO: Final = TopicPartition("t", 0)

T = TypeVar("T")


def _refused(error: type[LogError]) -> bytes:
    document = {"error": error.name, "detail": "because"}
    return http(msgspec.json.encode(document), status=f"{error.status} No")


def _asked(
    call: Callable[[Administration], T],
    *answers: bytes,
    retry_for_s: float = 10.0,
    others: tuple[str, ...] = (),
) -> tuple[T, int]:
    """What `call` gives where a broker answers so, the last one for ever; and how often it had to.

    An empty answer: it closes the connection.
    """

    def left() -> Iterator[bytes]:
        yield from answers
        while True:
            yield answers[-1]

    coming = left()

    async def answer(_heard: Heard, writer: asyncio.StreamWriter) -> None:
        if found := next(coming):
            writer.write(found)
        else:
            writer.close()

    async def scene() -> tuple[T, int]:
        async with asyncio.timeout(20), scripted_server(answer) as server:

            def ask() -> T:
                urls = [*others, server.broker.url]
                with Administration(urls, retry_for_s=retry_for_s) as admin:
                    return call(admin)

            return await asyncio.to_thread(ask), len(server.heard)

    return asyncio.run(scene())


def _caught(call: Callable[[Administration], object]) -> Callable[[Administration], LogError]:
    def catching(admin: Administration) -> LogError:
        with pytest.raises(LogError) as caught:
            call(admin)
        return caught.value

    return catching


def _list(admin: Administration) -> object:
    return admin.list_topics()


def _create(admin: Administration) -> object:
    return admin.create_topic("t")


@pytest.mark.parametrize(
    "call",
    [
        _list,
        _create,
        lambda admin: admin.list_offsets({_ZERO: "latest"}),
        lambda admin: admin.describe_broker_config(0, include_all=True),
    ],
)
def test_that_nobody_listens_is_told_at_once(call: Callable[[Administration], object]) -> None:
    with (
        Administration([_NOBODY, _NOBODY]) as admin,
        pytest.raises(NoBrokerError) as caught,
    ):
        call(admin)
    refused = "127.0.0.1:1 (Connection refused)"
    assert str(caught.value) == f"No broker can be reached: {refused}; {refused}."


def test_the_next_broker_is_asked_where_one_is_not_there() -> None:
    assert _asked(_list, _NO_TOPICS, others=(_NOBODY,)) == ([], 1)


@pytest.mark.parametrize("error", [LeaderNotAvailableError, BrokerNotAvailableError])
def test_what_a_broker_cannot_do_now_is_asked_for_again(error: type[LogError]) -> None:
    assert _asked(_list, _refused(error), _refused(error), _NO_TOPICS) == ([], 3)


def test_asking_again_ends_when_it_shall() -> None:
    error, count = _asked(_caught(_list), _refused(LeaderNotAvailableError), retry_for_s=0)
    assert (type(error), error.detail, count) == (LeaderNotAvailableError, "because", 1)


def test_what_brokers_say_of_themselves_is_told_when_none_can_do_it() -> None:
    error, count = _asked(_caught(_list), _refused(BrokerNotAvailableError), retry_for_s=0)
    assert (error.detail, count) == ("No broker can be reached: because", 1)


def test_that_there_is_no_such_topic_is_told_at_once() -> None:
    error, count = _asked(_caught(_list), _refused(UnknownTopicOrPartitionError))
    assert (type(error), count) == (UnknownTopicOrPartitionError, 1)


def test_a_change_that_nobody_answered_is_not_asked_for_again() -> None:
    error, count = _asked(_caught(_create), b"")
    assert (type(error), count) == (NetworkError, 1)
    assert "closed the connection without an answer in HTTP" in error.detail


def test_why_a_broker_that_has_answered_did_not_again_is_told() -> None:
    def call(admin: Administration) -> LogError:
        _list(admin)
        return _caught(_create)(admin)

    error, count = _asked(call, _NO_TOPICS, b"")
    assert (type(error), count) == (NetworkError, 2)
    assert error.detail.endswith("failed: The other side closed the connection before it answered")


def test_brokers_that_have_answered_are_waited_for() -> None:
    def call(admin: Administration) -> object:
        _list(admin)
        return _list(admin)

    assert _asked(call, _NO_TOPICS, b"", b"", _NO_TOPICS) == ([], 4)
    error, count = _asked(_caught(call), _NO_TOPICS, b"", retry_for_s=0.2)
    assert (type(error), count > 2) == (NotSentError, True)


def test_a_server_that_is_no_broker_is_told_at_once() -> None:
    error, count = _asked(_caught(_list), http(b"<html>", status="404 Not Found"))
    assert count == 1
    assert error.detail.endswith("is not a broker of kafkalite: it answered with status 404")
