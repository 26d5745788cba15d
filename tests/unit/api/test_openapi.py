"""The OpenAPI document describes the whole of v1, the raw data plane included."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest

from kafkalite.api.answers import ANSWERS
from kafkalite.api.control import make_control_app
from kafkalite.api.data_plane.paths import DATA_PLANE_BODIES
from kafkalite.api.rest.openapi_errors import TEXTS
from kafkalite.api.v3 import paths as v3_paths
from kafkalite.broker.broker import Broker
from tests.support.fake_broker import FakeBroker

_INSTANCE = "/consumers/{group}/instances/{instance}"
_CONSUMERS = {
    ("post", "/consumers/{group}"),
    ("delete", _INSTANCE),
    ("get", f"{_INSTANCE}/subscription"),
    ("post", f"{_INSTANCE}/subscription"),
    ("delete", f"{_INSTANCE}/subscription"),
    ("get", f"{_INSTANCE}/assignments"),
    ("post", f"{_INSTANCE}/assignments"),
    ("post", f"{_INSTANCE}/positions"),
    ("post", f"{_INSTANCE}/positions/beginning"),
    ("post", f"{_INSTANCE}/positions/end"),
    ("get", f"{_INSTANCE}/records"),
    ("get", f"{_INSTANCE}/offsets"),
    ("post", f"{_INSTANCE}/offsets"),
}
_PARTITION = "/topics/{topic}/partitions/{partition}"
_REST_TOPICS = {
    ("get", "/"),
    ("get", "/brokers"),
    ("get", "/healthy"),
    ("get", "/ready"),
    ("get", "/topics"),
    ("get", "/topics/{topic}"),
    ("post", "/topics/{topic}"),
    ("get", "/topics/{topic}/partitions"),
    ("get", _PARTITION),
    ("post", _PARTITION),
    ("get", f"{_PARTITION}/offsets"),
    ("get", f"{_PARTITION}/records"),
    ("post", "/admin/topics"),
}
_V3 = {(method.lower(), path) for path, methods in v3_paths.METHODS.items() for method in methods}
V1 = {
    ("get", "/v1/topics"),
    ("post", "/v1/topics"),
    ("get", "/v1/topics/{topic}"),
    ("patch", "/v1/topics/{topic}"),
    ("delete", "/v1/topics/{topic}"),
    ("get", "/v1/topics/{topic}/config"),
    ("post", "/v1/topics/{topic}/records"),
    ("get", "/v1/topics/{topic}/partitions/{partition}/offsets"),
    ("post", "/v1/topics/{topic}/partitions/{partition}/delete-records"),
    ("get", "/v1/topics/{topic}/partitions/{partition}/records"),
    ("post", "/v1/topics/{topic}/partitions/{partition}/records"),
    ("post", "/v1/topics/{topic}/records/stream"),
    ("get", "/v1/topics/{topic}/stream"),
    ("post", "/v1/produce"),
    ("post", "/v1/producer-ids"),
    ("post", "/v1/fetch"),
    ("get", "/v1/groups"),
    ("get", "/v1/groups/{group}"),
    ("delete", "/v1/groups/{group}"),
    ("post", "/v1/groups/{group}/heartbeat"),
    ("get", "/v1/groups/{group}/offsets"),
    ("post", "/v1/groups/{group}/offsets"),
    ("get", "/v1/groups/{group}/stream"),
    ("post", "/v1/groups/{group}/stream/ack"),
    ("delete", "/v1/groups/{group}/offsets"),
    ("post", "/v1/groups/{group}/offsets/reset"),
    *_CONSUMERS,
    *_REST_TOPICS,
    *_V3,
    ("get", "/v1/brokers"),
    ("get", "/v1/brokers/{broker_id}"),
    ("get", "/v1/brokers/{broker_id}/config"),
    ("patch", "/v1/brokers/{broker_id}/config"),
    ("get", "/v1/brokers/{broker_id}/log-dirs"),
    ("get", "/v1/log-dirs"),
    ("get", "/v1/reassignments"),
    ("post", "/v1/reassignments"),
    ("post", "/v1/reassignments/cancel"),
    ("post", "/v1/reassignments/proposal"),
    ("post", "/v1/leader-elections"),
    ("post", "/v1/metadata"),
    ("get", "/v1/cluster"),
    ("get", "/v1/cluster/health"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app = make_control_app(cast("Broker", FakeBroker()))
    assert app.openapi() is app.openapi(), "made once"
    found: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    return found


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for child in node.values():
            yield from _references(child)
    elif isinstance(node, list):
        for child in node:
            yield from _references(child)


def test_all_of_v1_is_described(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert {(method, path) for method, path, _ in _operations(document)} == V1


def test_every_operation_answers_errors_with_problems(document: dict[str, Any]) -> None:
    assert "ValidationError" not in json.dumps(document), "FastAPI's own idea of a refusal"
    for method, path, operation in _operations(document):
        assert "default" in operation["responses"], (method, path)
        for status, reply in operation["responses"].items():
            if status.startswith(("4", "5")) and path != "/readyz":
                media = "vnd.kafka.v2" if (method, path) in _REST_TOPICS | _CONSUMERS else "problem"
                assert list(reply["content"]) == [f"application/{media}+json"], (path, status)


def test_rest_proxys_errors_say_which_codes_they_have(document: dict[str, Any]) -> None:
    found = {
        code
        for method, path, operation in _operations(document)
        if (method, path) in _REST_TOPICS | _CONSUMERS
        for status, reply in operation["responses"].items()
        if status[0] in "45"
        for code in reply["x-error-codes"]
        if str(code).startswith(status) and f"{code}: " in reply["description"]
    }
    assert found - {409} == TEXTS.keys(), "409 is of one dialect only"


def test_null_is_not_said_in_urls(document: dict[str, Any]) -> None:
    parameters = [
        parameter
        for _, _, operation in _operations(document)
        for parameter in operation.get("parameters", ())
    ]
    assert "null" not in json.dumps(parameters)
    topics = next(one for one in parameters if one["schema"].get("items") == {"type": "string"})
    assert topics["schema"]["type"] == "array"


def test_every_operation_says_what_it_answers_when_all_is_well(document: dict[str, Any]) -> None:
    for method, path, operation in _operations(document):
        good = [reply for status, reply in operation["responses"].items() if status[0] == "2"]
        assert good, (method, path)
        if "204" in operation["responses"]:
            continue
        if method != "delete" and path != "/metrics":
            assert all(content["schema"] for content in good[0]["content"].values()), (method, path)


def test_operations_have_their_own_names_and_known_tags(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in _operations(document)]
    assert len(set(names)) == len(names)
    known = {tag["name"] for tag in document["tags"]}
    for _, path, operation in _operations(document):
        assert set(operation["tags"]) <= known, path
        assert operation["summary"]
        assert operation["description"]


def test_path_parameters_are_declared(document: dict[str, Any]) -> None:
    for _, path, operation in _operations(document):
        declared = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", path)), path


def test_every_reference_leads_somewhere_and_every_schema_is_used(
    document: dict[str, Any],
) -> None:
    used = {reference.removeprefix("#/components/schemas/") for reference in _references(document)}
    assert used == set(document["components"]["schemas"])


def test_struct_bodies_are_described_as_they_are_sent(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for struct in (*ANSWERS, *DATA_PLANE_BODIES):
        fields = {field.encode_name for field in msgspec.structs.fields(struct)}
        assert set(schemas[struct.__name__]["properties"]) == fields


def test_request_bodies_have_examples_and_take_nothing_else(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in ("CreateTopicBody", "AlterTopicBody", "AlterConfigBody", "DeleteRecordsBody"):
        assert schemas[name]["examples"]
        assert schemas[name]["additionalProperties"] is False
