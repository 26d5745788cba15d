"""What OpenAPI says of records in msgpack, in which keys and values are the bytes themselves."""

from typing import Any, Final

from kafkalite.api.replies import reference

PACKED_BYTES: Final = {
    "type": ["string", "null"],
    "contentEncoding": "base64",
    "description": "In msgpack: bin, or nil for none; what is sent may be str as well.",
}
PACKED_HEADERS: Final = {
    "type": "array",
    "items": {"type": "array", "items": PACKED_BYTES, "minItems": 2, "maxItems": 2},
    "description": "Name and value of each.",
}
_NUMBER: Final = {"type": "integer"}
_OPTIONAL: Final = {"type": ["integer", "null"]}


def _closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(required),
    }


def _list_of(name: str) -> dict[str, Any]:
    return {"type": "array", "items": reference(name)}


PACKED_SCHEMAS: Final[dict[str, Any]] = {
    "PackedRecord": _closed(
        {
            "value": PACKED_BYTES,
            "key": PACKED_BYTES,
            "partition": {**_OPTIONAL, "minimum": 0},
            "timestamp": {**_OPTIONAL, "description": "ms since the epoch."},
            "headers": {**PACKED_HEADERS, "type": ["array", "null"]},
        }
    ),
    "PackedRecords": {
        **_closed({"records": _list_of("PackedRecord")}, "records"),
        "examples": [{"records": [{"key": "UA", "value": "1545"}, {"value": "bye"}]}],
    },
    "PackedReadRecord": _closed(
        {
            "offset": _NUMBER,
            "timestamp": _NUMBER,
            "key": PACKED_BYTES,
            "value": PACKED_BYTES,
            "headers": PACKED_HEADERS,
        },
        *("offset", "timestamp", "key", "value", "headers"),
    ),
    "PackedPage": _closed(
        {
            "topic": {"type": "string"},
            "partition": _NUMBER,
            "records": _list_of("PackedReadRecord"),
            "next_offset": {**_NUMBER, "description": "Where to read on."},
            "high_watermark": _NUMBER,
            "log_start_offset": _NUMBER,
        },
        *("topic", "partition", "records", "next_offset", "high_watermark", "log_start_offset"),
    ),
}
