"""Problem documents as errors."""

import msgspec

from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.problem import refusal
from kafkalite.model.errors import LogError, NetworkError, NotLeaderOrFollowerError
from kafkalite.transport.peer_reply import PeerReply

_BROKER = BrokerAddress(0, "a", 1)


def _refusal(status: int, body: object) -> LogError:
    return refusal(PeerReply(status, {}, msgspec.json.encode(body)), _BROKER)


def test_a_problem_becomes_its_error_with_its_own_members() -> None:
    error = _refusal(
        421,
        {
            "type": "about:blank",
            "title": "This broker does not lead.",
            "status": 421,
            "detail": "Ask 2.",
            "error": "NOT_LEADER_OR_FOLLOWER",
            "error_code": 6,
            "retriable": True,
            "leader_id": 2,
        },
    )
    assert type(error) is NotLeaderOrFollowerError
    assert error.detail == "Ask 2."
    assert error.extra == {"leader_id": 2}


def test_an_error_that_is_not_known_is_one_all_the_same() -> None:
    error = _refusal(500, {"error": "FROM_THE_FUTURE", "detail": "What?"})
    assert type(error) is LogError
    assert error.detail == "What?"


def test_who_speaks_otherwise_is_no_broker() -> None:
    for body in ({}, [1], "no", {"error": 5}):
        error = _refusal(404, body)
        assert type(error) is NetworkError
        assert error.detail == "a:1 is not a broker of kafkalite: it answered with status 404"
