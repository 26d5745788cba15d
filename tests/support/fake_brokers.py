"""Brokers that a client may ask, without a network: they answer what a test says."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kafkalite.client.broker_address import BrokerAddress
from kafkalite.client.errors import NotSentError
from kafkalite.model.errors import LogError
from kafkalite.transport.peer_reply import PeerReply

Answer = tuple[int, object] | LogError


@dataclass
class Request:
    """One request as it was made."""

    broker: BrokerAddress
    method: str
    target: str
    body: Any
    timeout_s: float


def problem(error: type[LogError], detail: str = "") -> Answer:
    """What a broker refuses a request with."""
    return error.status, {"error": error.name, "detail": detail}


@dataclass
class FakeBrokers:
    """Implements what Cluster and Calls need of Connections."""

    answer: Callable[[Request], Answer]
    """Says what a broker that lives answers."""
    dead: set[str] = field(default_factory=set)
    """Addresses of those that cannot be reached."""
    requests: list[Request] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with the first request."""

    async def request(
        self,
        address: BrokerAddress,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
    ) -> PeerReply:
        made = Request(address, method, target, json.loads(body) if body else None, timeout_s)
        self.requests.append(made)
        self.asked.set()
        await asyncio.sleep(0)
        if address.netloc in self.dead:
            raise NotSentError(f"Nobody listens at {address.netloc}")
        answer = self.answer(made)
        if isinstance(answer, LogError):
            raise answer
        status, document = answer
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        return PeerReply(status, {}, content)


@dataclass
class FakeTopics:
    """Answers requests for metadata; brokers are `http://bN:9092`."""

    leaders: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Of each topic: leader and epoch of each partition."""
    brokers: list[int] = field(default_factory=lambda: [1, 2])
    topic_ids: dict[str, str] = field(default_factory=dict)

    def __call__(self, request: Request) -> Answer:
        assert (request.method, request.target) == ("POST", "/v1/metadata")
        return 200, {
            "cluster_id": "c",
            "controller": 1,
            "brokers": [
                {"id": each, "host": f"b{each}", "port": 9092, "url": f"http://b{each}:9092"}
                for each in self.brokers
            ],
            "topics": [self._topic(name) for name in request.body["topics"]],
        }

    def _topic(self, name: str) -> dict[str, object]:
        if name not in self.leaders:
            return {
                "name": name,
                "error_code": 3,
                "error": "UNKNOWN_TOPIC_OR_PARTITION",
                "message": f"No {name}.",
            }
        return {
            "name": name,
            "topic_id": self.topic_ids.get(name, f"id-of-{name}"),
            "partitions": [
                {"leader": leader, "leader_epoch": epoch} for leader, epoch in self.leaders[name]
            ],
        }
