"""Heartbeats and offsets: decoded, answered by the coordinator, in the type that was asked for."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
import pytest

from kafkalite.api.data_plane.exchange import ClientGoneError, Exchange
from kafkalite.api.groups.endpoint import GroupsEndpoint
from kafkalite.broker.groups.ports import CommittedOffset
from kafkalite.broker.metadata_view import ClusterPicture, MetadataView, TopicAt
from kafkalite.model.cluster import Topic
from kafkalite.model.errors import (
    CoordinatorNotAvailableError,
    FencedMemberEpochError,
    InvalidGroupIdError,
    InvalidRequestError,
    LogError,
    MethodNotAllowedError,
    NotAcceptableError,
    UnknownMemberIdError,
    UnsupportedMediaTypeError,
)
from kafkalite.model.ids import BrokerId, TopicId, TopicPartition
from kafkalite.transport.peer_reply import PeerReply
from kafkalite.wire.group_messages import (
    HeartbeatRequest,
    HeartbeatResponse,
    OffsetCommitResponse,
    TopicPartitions,
)
from tests.support.api_groups import FakeGroup, FakeGroups, FakeRouting

_JSON = b"application/json"
_MSGPACK = b"application/msgpack"
_ANSWER = HeartbeatResponse("m", 3, 3000, 3, "Stable", [TopicPartitions("t", [0])], 0, "http://b")


class _Answer:
    def __init__(self, sent: list[MutableMapping[str, Any]]) -> None:
        start, *parts = sent
        self.status: int = start["status"]
        self.headers = dict(start["headers"])
        self.body = b"".join(part["body"] for part in parts)

    @property
    def json(self) -> Any:
        assert self.headers[b"content-type"] == _JSON
        return msgspec.json.decode(self.body)


class _Api:
    def __init__(self) -> None:
        self.groups, self.routing = FakeGroups(), FakeRouting()
        self.groups.answer = _ANSWER
        view = MetadataView()
        assignment = dict.fromkeys(range(2), (BrokerId(0),))
        known = Topic("known", TopicId("AAAAAAAAAAAAAAAAAAAAAA"), assignment)
        view.replace(ClusterPicture("c", topics={"known": TopicAt(known, 1)}))
        self.endpoint = GroupsEndpoint(self.groups, self.routing, view)

    def ask(
        self,
        end: str,
        method: str = "POST",
        body: bytes = b"",
        *,
        group: str = "g",
        query: bytes = b"",
        is_gone: bool = False,
        **headers: bytes,
    ) -> _Answer:
        pending = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            if pending:
                return pending.pop()
            if not is_gone:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {
            "headers": [(key.replace("_", "-").encode(), text) for key, text in headers.items()],
            "query_string": query,
            "client": ("10.0.0.9", 1234),
        }
        serve: Callable[[Exchange, str, str], Awaitable[None]] = getattr(self.endpoint, end)
        asyncio.run(_awaited(serve(Exchange(scope, receive, send), method, group)))
        return _Answer(sent)

    def refusal(self, end: str, method: str = "POST", body: bytes = b"", **rest: Any) -> LogError:
        with pytest.raises(LogError) as refused:
            self.ask(end, method, body, **rest)
        return refused.value


async def _awaited(work: Awaitable[None]) -> None:
    await work


@pytest.fixture
def api() -> _Api:
    return _Api()


def test_a_heartbeat_in_json_is_answered_in_json(api: _Api) -> None:
    answer = api.ask("heartbeat", body=b'{"topics": ["t"]}', content_type=_JSON)
    assert answer.status == 200
    assert answer.json["assignment"] == [{"topic": "t", "partitions": [0]}]
    assert answer.json["heartbeat_interval_ms"] == 3000
    ((group, request, host),) = api.groups.heard
    assert (group, request.topics, host) == ("g", ["t"], "10.0.0.9")


def test_msgpack_is_answered_in_msgpack_unless_something_else_is_accepted(api: _Api) -> None:
    body = msgspec.msgpack.encode(HeartbeatRequest(topics=["t"]))
    answer = api.ask("heartbeat", body=body, content_type=_MSGPACK)
    assert msgspec.msgpack.decode(answer.body, type=HeartbeatResponse) == _ANSWER
    both = api.ask("heartbeat", body=body, content_type=_MSGPACK, accept=_JSON)
    assert both.json["member_id"] == "m"


def test_a_refused_heartbeat_is_an_error_of_the_table(api: _Api) -> None:
    api.groups.answer = UnknownMemberIdError("who?")
    refusal = api.refusal("heartbeat", body=b'{"member_id": "x"}', content_type=_JSON)
    assert isinstance(refusal, UnknownMemberIdError)


@pytest.mark.parametrize(
    ("body", "content_type", "kind"),
    [
        (b"{", _JSON, InvalidRequestError),
        (b'{"topic": ["t"]}', _JSON, InvalidRequestError),
        (b'{"member_epoch": "1"}', _JSON, InvalidRequestError),
        (b'{"member_epoch": -3}', _JSON, InvalidRequestError),
        (b'{"max_wait_ms": 3600001}', _JSON, InvalidRequestError),
        (b"\xc1", _MSGPACK, InvalidRequestError),
        (b"{}", b"text/plain", UnsupportedMediaTypeError),
        (b"{}", b"", UnsupportedMediaTypeError),
    ],
)
def test_bodies_that_make_no_sense_are_refused(
    api: _Api, body: bytes, content_type: bytes, kind: type[LogError]
) -> None:
    assert isinstance(api.refusal("heartbeat", body=body, content_type=content_type), kind)
    assert api.groups.heard == []


def test_other_requests_that_make_no_sense_are_refused(api: _Api) -> None:
    for end, method, allowed in (
        ("heartbeat", "GET", "POST, OPTIONS"),
        ("offsets", "PUT", "DELETE, GET, POST, HEAD, OPTIONS"),
    ):
        refusal = api.refusal(end, method)
        assert isinstance(refusal, MethodNotAllowedError)
        assert refusal.extra["allow"] == allowed
    assert isinstance(api.refusal("offsets", "GET", group="a\x00"), InvalidGroupIdError)
    assert isinstance(api.refusal("offsets", "GET", accept=b"text/html"), NotAcceptableError)
    for query in (b"partition=0", b"topic=t&partition=x", b"from=t"):
        assert isinstance(api.refusal("offsets", "GET", query=query), InvalidRequestError)
    for query in (b"", b"topic=", b"topic=&partition=0"):
        assert isinstance(api.refusal("offsets", "DELETE", query=query), InvalidRequestError)


def test_a_heartbeat_that_waits_is_given_up_when_its_member_goes_away(api: _Api) -> None:
    api.groups.answer = None
    with pytest.raises(ClientGoneError):
        api.ask("heartbeat", body=b'{"max_wait_ms": 1000}', content_type=_JSON, is_gone=True)
    assert api.groups.given_up == 1


def test_commits_say_of_each_partition_what_became_of_it(api: _Api) -> None:
    api.groups.groups["g"] = FakeGroup(
        refused={TopicPartition("t", 1): FencedMemberEpochError("it is another one's")}
    )
    body = (
        b'{"offsets": [{"topic": "t", "partition": 0, "offset": 5, "metadata": "x"},'
        b'{"topic": "t", "partition": 1, "offset": 6}]}'
    )
    response = api.ask("offsets", body=body, content_type=_JSON)
    results = msgspec.json.decode(response.body, type=OffsetCommitResponse).results
    assert [(each.partition, each.error_code, each.error) for each in results] == [
        (0, 0, ""),
        (1, 110, "FENCED_MEMBER_EPOCH"),
    ]
    assert api.ask("offsets", "GET").json == {
        "group": "g",
        "offsets": [
            {"topic": "t", "partition": 0, "offset": 5, "leader_epoch": -1, "metadata": "x"}
        ],
    }


def test_committed_offsets_can_be_asked_for_by_topic_and_partition(api: _Api) -> None:
    offsets = {
        TopicPartition(topic, number): CommittedOffset(number)
        for topic in ("u", "t")
        for number in (1, 0)
    }
    api.groups.groups["g"] = FakeGroup(offsets=offsets)

    def names(query: bytes) -> list[str]:
        found = api.ask("offsets", "GET", query=query).json["offsets"]
        return [f"{each['topic']}{each['partition']}" for each in found]

    assert names(b"") == ["t0", "t1", "u0", "u1"]
    assert names(b"topic=t") == ["t0", "t1"]
    assert names(b"topic=u&partition=1") == ["u1"]
    assert names(b"topic=nope") == []


def test_offsets_of_a_topic_are_deleted(api: _Api) -> None:
    offsets = {TopicPartition("t", number): CommittedOffset(number) for number in range(3)}
    group = api.groups.groups["g"] = FakeGroup(offsets=offsets)
    assert api.ask("offsets", "DELETE", query=b"topic=t&partition=2").json["results"] == [
        {"topic": "t", "partition": 2, "error_code": 0, "error": "", "message": ""}
    ]
    assert len(api.ask("offsets", "DELETE", query=b"topic=t").json["results"]) == 2
    assert group.offsets == {}
    every = api.ask("offsets", "DELETE", query=b"topic=known").json["results"]
    assert [each["partition"] for each in every] == [0, 1], "a member may have to be refused them"


def test_what_another_broker_coordinates_is_sent_on_as_it_came(api: _Api) -> None:
    api.routing.elsewhere = {"g 1"}
    api.routing.reply = PeerReply(
        409, {"content-type": "application/problem+json", "retry-after": "1"}, b"{}"
    )
    answer = api.ask("heartbeat", body=b'{"topics":["t"]}', group="g 1", content_type=_JSON)
    assert (answer.status, answer.body) == (409, b"{}")
    assert answer.headers[b"content-type"] == b"application/problem+json"
    assert answer.headers[b"retry-after"] == b"1"
    assert answer.headers[b"kafkalite-coordinator"] == b"http://host-1:9092"
    (sent,) = api.routing.forwarded
    assert (sent.method, sent.target) == ("POST", "/v1/groups/g%201/heartbeat")
    assert sent.body == b'{"topics":["t"]}'
    assert sent.headers == {
        "content-type": "application/json",
        "kafkalite-client-host": "10.0.0.9",
    }
    api.ask("offsets", "GET", group="g 1", query=b"topic=t")
    assert api.routing.forwarded[-1].target == "/v1/groups/g%201/offsets?topic=t"
    assert api.groups.heard == []


def test_what_was_sent_on_is_answered_here_whoever_coordinates(api: _Api) -> None:
    api.routing.elsewhere = {"g"}
    api.ask(
        "heartbeat",
        body=b"{}",
        content_type=_JSON,
        kafkalite_forwarded=b"1",
        kafkalite_client_host=b"10.0.0.7",
    )
    assert api.routing.forwarded == []
    assert [host for _, _, host in api.groups.heard] == ["10.0.0.7"]


def test_a_coordinator_that_cannot_be_reached_is_an_error_of_the_table(api: _Api) -> None:
    api.routing.elsewhere = {"g"}
    for end, method, body in (
        ("heartbeat", "POST", b"{}"),
        ("offsets", "POST", b'{"offsets":[]}'),
        ("offsets", "GET", b""),
    ):
        refusal = api.refusal(end, method, body, content_type=_JSON)
        assert isinstance(refusal, CoordinatorNotAvailableError)
