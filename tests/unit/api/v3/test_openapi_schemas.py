"""Schemas of version 3 of REST Proxy are what is answered."""

from typing import Any

import msgspec
import pytest

from kafkalite.api.v3 import bodies
from kafkalite.api.v3.openapi_examples import RESOURCES
from kafkalite.api.v3.openapi_schemas import LISTED, V3_SCHEMAS
from kafkalite.wire.v3_records import RecordBody

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


def _fits(found: Any, schema: dict[str, Any]) -> bool:
    """Whether a document fits a schema, as far as ours go."""
    if "$ref" in schema:
        return _fits(found, V3_SCHEMAS[schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return any(_fits(found, each) for each in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return found in schema.get("enum", [schema.get("const")])
    names = schema.get("type", list(_TYPES))
    names = [names] if isinstance(names, str) else names
    return any(isinstance(found, _TYPES[name]) for name in names) and _parts_fit(found, schema)


def _parts_fit(found: Any, schema: dict[str, Any]) -> bool:
    if isinstance(found, dict) and "properties" in schema:
        properties = schema["properties"]
        return set(schema["required"]) <= found.keys() <= properties.keys() and all(
            _fits(found[name], properties[name]) for name in found
        )
    if isinstance(found, list):
        return all(_fits(each, schema["items"]) for each in found)
    return True


@pytest.mark.parametrize("kind", sorted(RESOURCES))
def test_resource_is_described_as_it_is_made(kind: str) -> None:
    assert _fits(RESOURCES[kind], V3_SCHEMAS[kind])
    assert not _fits({**RESOURCES[kind], "more": 1}, V3_SCHEMAS[kind])
    for name in RESOURCES[kind]:
        less = {key: value for key, value in RESOURCES[kind].items() if key != name}
        assert not _fits(less, V3_SCHEMAS[kind])


def test_every_kind_that_is_listed_has_its_list() -> None:
    for kind in LISTED:
        document = {
            "kind": f"{kind}List",
            "metadata": {"self": "http://b", "next": None},
            "data": [RESOURCES[kind]],
        }
        assert _fits(document, V3_SCHEMAS[f"{kind}List"])


@pytest.mark.parametrize("name", sorted(V3_SCHEMAS))
def test_examples_fit(name: str) -> None:
    for example in V3_SCHEMAS[name].get("examples", ()):
        assert _fits(example, V3_SCHEMAS[name])


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("V3NewTopic", bodies.CreateTopicBody),
        ("V3Partitions", bodies.AlterTopicBody),
        ("V3Config", bodies.UpdateConfigBody),
        ("V3ConfigChanges", bodies.AlterConfigsBody),
        ("V3Record", RecordBody),
    ],
)
def test_body_is_described_with_all_its_fields_and_has_an_example_that_is_taken(
    name: str, body: type[msgspec.Struct]
) -> None:
    schema = V3_SCHEMAS[name]
    fields = msgspec.structs.fields(body)
    assert set(schema["properties"]) == {field.name for field in fields}
    assert set(schema["required"]) == {field.name for field in fields if field.required}
    for example in schema["examples"]:
        msgspec.json.decode(msgspec.json.encode(example), type=body)
