"""Consumers over plain HTTP, and topics for them, as a client of REST Proxy has them."""

import itertools
from collections.abc import Mapping
from typing import Any, Final

import httpx

from tests.support.broker import BrokerProcess

V2: Final = "application/vnd.kafka.v2+json"
_numbers: Final = itertools.count()


def next_number() -> int:
    """One that was not used yet, for names."""
    return next(_numbers)


class RestInstance:
    """One instance of a group of its own, and a client that knows its URL."""

    def __init__(self, broker: BrokerProcess, group: str, body: Mapping[str, Any]) -> None:
        self.client = httpx.Client(base_url=broker.url, timeout=60)
        self.group = group
        created = self.client.post(f"/consumers/{group}", json=dict(body))
        assert created.status_code == 200, created.text
        self.name: str = created.json()["instance_id"]
        self.path = f"/consumers/{group}/instances/{self.name}"

    def post(self, what: str, body: object) -> httpx.Response:
        return self.client.post(f"{self.path}/{what}", json=body)

    def get(self, what: str, **options: Any) -> httpx.Response:
        return self.client.get(f"{self.path}/{what}", **options)

    def subscribe(self, *topics: str) -> None:
        assert self.post("subscription", {"topics": list(topics)}).status_code == 204

    def records(self, query: str = "timeout=5000") -> list[dict[str, Any]]:
        answer = self.get(f"records?{query}")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    def offsets(self) -> list[tuple[str, int, int]]:
        answer = self.get("offsets")
        assert answer.status_code == 200, answer.text
        return [(one["topic"], one["partition"], one["offset"]) for one in answer.json()["offsets"]]


class RestApi:
    """Makes topics and instances on one broker."""

    def __init__(self, broker: BrokerProcess) -> None:
        self.broker = broker
        self.client = httpx.Client(base_url=broker.url, timeout=60)
        self.instances: list[RestInstance] = []

    def topic(self, *values: object, partitions: int = 1) -> str:
        """A new topic with JSON values in partition 0."""
        name = f"t{next_number()}"
        made = self.client.post("/v1/topics", json={"name": name, "partitions": partitions})
        assert made.status_code == 201, made.text
        if values:
            self.produce(name, *values)
        return name

    def produce(self, topic: str, *values: object, partition: int = 0) -> None:
        self.records(topic, *[{"value": value} for value in values], partition=partition)

    def records(self, topic: str, *records: Mapping[str, object], partition: int = 0) -> None:
        path = f"/v1/topics/{topic}/partitions/{partition}/records"
        sent = self.client.post(path, json={"records": records})
        assert sent.status_code == 200, sent.text

    def instance(
        self, body: Mapping[str, Any] | None = None, group: str | None = None
    ) -> RestInstance:
        """By default one that reads JSON from the beginning."""
        wanted = {"format": "json", "auto.offset.reset": "earliest"} if body is None else body
        made = RestInstance(self.broker, group or f"g{next_number()}", wanted)
        self.instances.append(made)
        return made

    def close(self) -> None:
        for instance in self.instances:
            instance.client.delete(instance.path)
            instance.client.close()
        self.client.close()


def rest_error(answer: httpx.Response) -> tuple[int, int]:
    """HTTP status and code of an error."""
    assert answer.headers["content-type"] == V2
    body = answer.json()
    assert list(body) == ["error_code", "message"], "the order that a client's test compares"
    return answer.status_code, body["error_code"]
