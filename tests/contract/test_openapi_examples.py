"""Each example in `/openapi.json` is taken by brokers, and each operation answers as it is said to.

Sent as it stands, but for the names of topics and groups: what changes something has its own.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import httpx
import msgspec
import pytest
import schemathesis

from tests.support.cluster import Cluster
from tests.support.zookeeper import EmbeddedZooKeeper

pytestmark = pytest.mark.slow

_TOPIC: Final = "flights"
_RECORDS: Final = 1_000
"""In each partition: what examples that name an offset have behind it."""
_BODIES: Final[Mapping[str, object]] = {
    "produce": {"partitions": []},
    "fetch": {"partitions": [], "max_wait_ms": 0},
}
"""Of operations whose bodies are msgpack only, of which JSON cannot show one."""
_MAKE_TOPICS: Final = {"create_topic", "rest_create_topic", "v3_create_topic"}
_NEED_NO_SUBSCRIPTION: Final = {"create_consumer", "assign_consumer", "subscribe_consumer"}
_PASSED_OVER: Final = {
    "acknowledge": "only a stream knows the ids of its events",
    "v3_consumer": "only its group knows the id of a member",
    "v3_assignments": "only its group knows the id of a member",
    "v3_assignment": "only its group knows the id of a member",
}


class _Case(NamedTuple):
    """A request that the document describes."""

    operation: dict[str, Any]
    method: str
    path: str
    media: str = ""
    body: object = None
    query: str = ""

    def __str__(self) -> str:
        named = f"{self.operation['operationId']} {self.media}"
        return f"{named}{self.query} {json.dumps(self.body)[:40] if self.media else ''}"


def _examples(content: dict[str, Any], schemas: dict[str, Any]) -> list[object]:
    schema = content.get("schema", {})
    reference = schema.get("$ref", "").rpartition("/")[2]
    found: list[object] = [each["value"] for each in content.get("examples", {}).values()]
    found += [content["example"]] if "example" in content else []
    return found or schemas.get(reference, schema).get("examples", [])


def _cases(document: dict[str, Any]) -> Iterator[_Case]:
    schemas = document["components"]["schemas"]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if operation["operationId"] not in _PASSED_OVER:
                case = _Case(operation, method.upper(), path)
                yield from _queries(case)
                yield from _bodies(case, schemas)


def _queries(case: _Case) -> Iterator[_Case]:
    for parameter in case.operation.get("parameters", ()):
        if parameter["in"] == "query":
            for value in parameter["schema"].get("examples", ()):
                yield case._replace(query=f"?{parameter['name']}={value}")


def _bodies(case: _Case, schemas: dict[str, Any]) -> Iterator[_Case]:
    name = case.operation["operationId"]
    if "requestBody" not in case.operation:
        yield case
        return
    for media, content in case.operation["requestBody"]["content"].items():
        bodies = [_BODIES[name]] if name in _BODIES else _examples(content, schemas)
        for body in bodies:
            yield case._replace(media=media, body=body)


class _Trial:
    """Sends cases to a cluster, each about a topic and a group of its own."""

    def __init__(self, cluster: Cluster) -> None:
        self._client = httpx.Client(base_url=cluster[0].url, timeout=60, follow_redirects=True)
        self.document: dict[str, Any] = self._client.get("/openapi.json").json()
        self._schema = schemathesis.openapi.from_dict(self.document)
        self._cluster_id = self._client.get("/v1/cluster").json()["cluster_id"]
        self._number = 0
        self._make_topic(_TOPIC, _RECORDS)
        self._commit("g", _TOPIC)
        self._make_instance("g", _TOPIC)

    def send(self, case: _Case) -> list[str]:
        """What is wrong with the answer."""
        topic, group = _TOPIC, "g"
        name = case.operation["operationId"]
        if case.method != "GET":
            self._number += 1
            topic, group = f"{_TOPIC}{self._number}", f"g{self._number}"
            if name not in _MAKE_TOPICS and (_names_topic(case.path) or _TOPIC in repr(case.body)):
                self._make_topic(topic, _RECORDS if name == "delete_records" else 1)
            if "{instance}" in case.path:
                self._make_instance(group, topic if name not in _NEED_NO_SUBSCRIPTION else None)
            elif "{group}" in case.path and name != "heartbeat":
                self._commit(group, topic)
        path = case.path.format(
            topic=topic,
            topic_name=topic,
            group=group,
            consumer_group_id=group,
            instance="c1",
            partition=0,
            partition_id=0,
            broker_id=0,
            cluster_id=self._cluster_id,
            name="retention.ms",
        )
        if name == "stream":
            path += f"?topics={topic}"
        if name == "delete_offsets":
            path += f"?topic={topic}"
        body = json.loads(json.dumps(case.body).replace(f'"{_TOPIC}"', f'"{topic}"'))
        return self._ask(case, path + case.query, body)

    def _ask(self, case: _Case, target: str, body: object) -> list[str]:
        headers = {"content-type": case.media} if case.media else {}
        request = self._client.build_request(
            case.method, target, content=_encoded(case.media, body), headers=headers
        )
        answer = self._client.send(request, stream=True)
        try:
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                first = next(answer.iter_text())
                return [] if answer.status_code == 200 and "event: " in first else [first]
            answer.read()
        finally:
            answer.close()
        described = case.operation["responses"].get(str(answer.status_code))
        if described is None or not answer.is_success:
            return [f"{case}: {answer.status_code} {answer.text[:300]}"]
        media = answer.headers.get("content-type", "").partition(";")[0]
        known = {each.partition(";")[0] for each in described.get("content", ())}
        if answer.content and media not in known:
            return [f"{case}: answered in {media or 'nothing'}"]
        if media.endswith("json") and "ndjson" not in media:
            operation = self._schema.find_operation_by_id(case.operation["operationId"])
            if not operation.is_valid_response(answer):
                return [f"{case}: {answer.text[:300]} is not what the schema says"]
        return []

    def _make_topic(self, topic: str, records: int) -> None:
        wanted = {"name": topic, "replica_assignment": [[0, 1], [0, 2]]}
        made = self._client.post("/v1/topics", json=wanted)
        assert made.status_code == 201, made.text
        value = base64.b64encode(b'{"dest":"IAH"}').decode()
        for partition in range(2):
            path = f"/topics/{topic}/partitions/{partition}"
            body: dict[str, object] = {"records": [{"value": value}] * records}
            assert self._client.post(path, json=body).status_code == 200

    def _make_instance(self, group: str, topic: str | None) -> None:
        wanted = {"name": "c1", "format": "json", "auto.offset.reset": "earliest"}
        assert self._client.post(f"/consumers/{group}", json=wanted).status_code == 200
        if topic is not None:
            path = f"/consumers/{group}/instances/c1/subscription"
            assert self._client.post(path, json={"topics": [topic]}).status_code == 204

    def _commit(self, group: str, topic: str) -> None:
        offsets = [{"topic": topic, "partition": 0, "offset": 17}]
        done = self._client.post(f"/v1/groups/{group}/offsets", json={"offsets": offsets})
        assert done.status_code == 200, done.text

    def close(self) -> None:
        self._client.close()


def _names_topic(path: str) -> bool:
    return "{topic" in path or "{group}" in path or "{instance}" in path


def _encoded(media: str, body: object) -> bytes:
    if not media:
        return b""
    if isinstance(body, str):
        return body.encode()
    if media == "application/msgpack":
        return msgspec.msgpack.encode(body)
    return json.dumps(body).encode() + b"\n"


@pytest.fixture(scope="module")
def trial(
    tmp_path_factory: pytest.TempPathFactory, embedded_zookeeper: EmbeddedZooKeeper
) -> Iterator[_Trial]:
    directory = tmp_path_factory.mktemp("openapi-examples")
    with Cluster(directory, f"{embedded_zookeeper.hosts}/openapi-examples") as cluster:
        made = _Trial(cluster)
        yield made
        made.close()


def test_examples_are_taken_and_answered_as_described(trial: _Trial) -> None:
    cases = list(_cases(trial.document))
    wrong = [text for case in cases for text in trial.send(case)]
    assert not wrong, "\n".join(wrong)
    tried = {case.operation["operationId"] for case in cases} | _PASSED_OVER.keys()
    described = {
        operation["operationId"]
        for item in trial.document["paths"].values()
        for operation in item.values()
    }
    assert tried == described, "each operation has an example, or needs none"
