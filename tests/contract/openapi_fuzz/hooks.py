"""What Schemathesis cannot know: forms of bodies, what is to be there, and how long to wait."""

import json
import re
import threading
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
import requests
import schemathesis
from schemathesis.core.deserialization import DeserializationContext

Case = schemathesis.Case[Any]

_LONGEST_WAIT_MS: Final = 10
_WAITS: Final = ("timeout", "timeout_ms", "max_wait_ms")
_MOST_PARTITIONS: Final = 8
_COUNTS: Final = ("partitions", "partition_count", "partitions_count")
_REFUSED_PARTITIONS: Final = 10_001
_DIGITS: Final = re.compile(r"[0-9]{1,9}")
_TIMEOUT_S: Final = 15
_WIDEST: Final = 2**64
_INSTANCES: Final[Mapping[str, Mapping[str, object]]] = {
    "binary": {},
    "json": {"auto.commit.enable": False},
    "text": {"enable.auto.commit": False},
    "avro": {},
}
"""Consumer instances, by their format: what else they are created with."""
_GROUP: Final = "g"
_CLUSTER: Final = "this-one"
_EVENT: Final = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string"},
        "data": {"type": "string"},
        "id": {"type": "string"},
        "retry": {"type": "integer"},
    },
}

_made: Final[set[str]] = set()
_making: Final = threading.Lock()


# -- forms of bodies ------------------------------------------------------------------------------


@schemathesis.serializer("application/msgpack")
def write_msgpack(_context: schemathesis.SerializationContext, body: Any) -> bytes:
    """As msgpack, whose numbers have an end."""
    return msgspec.msgpack.encode(_narrowed(body))


@schemathesis.serializer("application/x-ndjson")
def write_lines(_context: schemathesis.SerializationContext, body: Any) -> bytes:
    """As one line of JSON."""
    return json.dumps(body).encode() + b"\n"


@schemathesis.deserializer("application/msgpack")
def read_msgpack(_context: DeserializationContext, response: schemathesis.Response) -> Any:
    """As JSON would hold it: bytes in base64."""
    return msgspec.to_builtins(msgspec.msgpack.decode(response.content))


@schemathesis.deserializer("application/x-ndjson")
def read_lines(_context: DeserializationContext, response: schemathesis.Response) -> Any:
    """The first line, which the schema is of."""
    lines = response.content.splitlines()
    return json.loads(lines[0]) if lines else {}


def _narrowed(body: Any) -> Any:
    match body:
        case dict():
            return {str(name): _narrowed(value) for name, value in body.items()}
        case list():
            return [_narrowed(value) for value in body]
        case int() if not -_WIDEST // 2 <= body < _WIDEST:
            return float(body)
    return body


@schemathesis.hook
def before_load_schema(_context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Say of streams of events what each event is: this is what it compares."""
    for item in raw_schema["paths"].values():
        for operation in item.values():
            for response in operation["responses"].values():
                stream = response.get("content", {}).get("text/event-stream")
                if stream is not None:
                    stream["schema"] = _EVENT


# -- what is said of errors -----------------------------------------------------------------------


@schemathesis.check
def error_codes(
    _context: schemathesis.CheckContext, response: schemathesis.Response, case: Case
) -> None:
    """Errors have one of the codes that the document names for their status, if it names some."""
    described = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    codes = described.get("x-error-codes")
    if codes is not None:
        document = json.loads(response.content)
        if "offsets" not in document:
            assert document["error_code"] in codes, f"{document['error_code']} is not documented"


# -- what is there --------------------------------------------------------------------------------


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: Case, _kwargs: dict[str, Any]) -> None:
    """Neither wait nor make much, ask for each type of answer, have the instance that is named."""
    for fields in (case.query, case.body):
        if isinstance(fields, dict):
            _bound(fields, _WAITS, range(_LONGEST_WAIT_MS, _WIDEST))
            _bound(fields, _COUNTS, range(_MOST_PARTITIONS, _REFUSED_PARTITIONS))
    if case.operation.path == "/v1/fetch" and isinstance(case.body, dict):
        case.body.setdefault("max_wait_ms", _LONGEST_WAIT_MS)
    accepted = _accepted(case)
    if accepted is not None and "Accept" not in case.headers:
        case.headers["Accept"] = accepted
    path = case.path_parameters
    if path.get("cluster_id") == _CLUSTER:
        path["cluster_id"] = _cluster_id(_url(case))
    name = str(path.get("instance"))
    if name in _INSTANCES and path.get("group") == _GROUP:
        with _making:
            if name not in _made:
                _make_instance(_url(case), name)
                _made.add(name)


@schemathesis.hook
def after_call(
    _context: schemathesis.HookContext, case: Case, response: schemathesis.Response
) -> None:
    """Make again what was deleted, for those who come after."""
    if case.method.upper() != "DELETE" or response.status_code != 204:
        return
    path = case.path_parameters
    if case.operation.path == "/v1/topics/{topic}":
        _post(_url(case), "/v1/topics", {"name": path["topic"]})
    elif case.operation.path == "/consumers/{group}/instances/{instance}":
        with _making:
            _made.discard(path["instance"])


def _bound(fields: dict[str, Any], names: Sequence[str], too_many: range) -> None:
    for name in names:
        value = fields.get(name)
        # What is no number would be looked for in all of the range, one after the other.
        number = int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value
        if isinstance(number, int) and number in too_many:
            fields[name] = str(too_many.start) if isinstance(value, str) else too_many.start


def _accepted(case: Case) -> str | None:
    """One of the types that it may be answered in, or none; always the same for the same case."""
    if case.operation.path.endswith("/stream"):
        return None  # only of events it knows when to have had enough
    described = case.operation.definition.raw["responses"].get("200", {})
    offered = sorted(described.get("content", ()))
    which = zlib.crc32(repr((case.path_parameters, case.query)).encode()) % (len(offered) + 1)
    choices: list[str | None] = [*offered, None]
    return choices[which]


def _url(case: Case) -> str:
    return (case.operation.base_url or "").rstrip("/")


@cache
def _cluster_id(url: str) -> str:
    found: str = requests.get(f"{url}/v1/cluster", timeout=_TIMEOUT_S).json()["cluster_id"]
    return found


def _make_instance(url: str, name: str) -> None:
    wanted = {
        "name": name,
        "format": name,
        "auto.offset.reset": "earliest",
        "consumer.request.timeout.ms": _LONGEST_WAIT_MS,
        **_INSTANCES[name],
    }
    _post(url, f"/consumers/{_GROUP}", wanted)
    _post(url, f"/consumers/{_GROUP}/instances/{name}/subscription", {"topics": ["flights"]})


def _post(url: str, path: str, body: Mapping[str, object]) -> None:
    headers = {"content-type": "application/json"}
    requests.post(f"{url}{path}", json.dumps(body), headers=headers, timeout=_TIMEOUT_S)
