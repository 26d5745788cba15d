"""Whatever is sent to be produced over REST Proxy's API is taken whole or refused, by rule."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kafkalite.api.rest.errors import RestError, refusal
from kafkalite.api.rest.media import embedded_format, format_to_send
from kafkalite.api.rest.query import parse_page_query
from kafkalite.api.rest.topics_paths import METHODS, NOTHING, parse_topics_path
from kafkalite.model.errors import LogError
from kafkalite.wire.rest_produce import (
    RefusedBodyError,
    decode_one_produced,
    decode_produce,
    decode_values,
)
from kafkalite.wire.rest_records import EmbeddedFormat

pytestmark = pytest.mark.slow

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_FIELD = st.sampled_from(["key", "value", "partition", "timestamp", "headers", "key_schema", "x"])
_VALUE = _JSON | st.sampled_from(["QQ==", "!!", "3", 7, [{"key": "a", "value": "QQ=="}]])
_RECORD = st.dictionaries(_FIELD, _VALUE, max_size=4) | st.fixed_dictionaries({"value": _VALUE})
_BODY = st.fixed_dictionaries(
    {"records": st.lists(_RECORD | _JSON, max_size=4) | st.lists(_RECORD, max_size=4)},
    optional={"value_schema": _JSON, "y": _JSON},
)


def _encoded(body: Any, indent: int | None) -> bytes:
    return json.dumps(body, indent=indent).encode()


_BODIES = st.binary(max_size=50) | st.builds(_encoded, _BODY | _JSON, st.none() | st.just(1))


@pytest.mark.parametrize("wanted", list(EmbeddedFormat))
@settings(max_examples=150, derandomize=True, deadline=None)
@given(body=_BODIES)
@example(body=b'{"records":[{"value":"!!"},{"value":')
@example(body=b'{"records":[{"value":"!!"}],"records":[]}')
def test_body_is_taken_whole_or_refused(wanted: EmbeddedFormat, body: bytes) -> None:
    values, one = decode_values(wanted, body), decode_one_produced(wanted, body)
    try:
        incoming = decode_produce(wanted, body)
    except (RefusedBodyError, LogError) as error:
        answer = refusal(error)
        assert 400 <= answer.status < 500
        assert json.loads(answer.body)["message"]
        assert values is None
        assert one is None
        return
    assert one == (incoming[0] if len(incoming) == 1 else None)
    if values is not None:
        assert [each.record.value for each in incoming] == values
        assert all(
            each.record._replace(value=None) == each.record._replace(value=None, key=None)
            and each.partition is None
            for each in incoming
        )


@settings(max_examples=150, derandomize=True, deadline=None)
@given(values=st.lists(_JSON, min_size=1, max_size=5), indent=st.none() | st.just(2))
def test_json_is_the_same_whatever_blanks_it_came_with(
    values: list[Any], indent: int | None
) -> None:
    finite = json.loads(json.dumps(values).replace("NaN", "0").replace("Infinity", "1"))
    body = _encoded({"records": [{"value": value} for value in finite]}, indent)
    stored = [each.record.value for each in decode_produce(EmbeddedFormat.JSON, body)]
    assert stored == [
        None if value is None else json.dumps(value, separators=(",", ":")).encode()
        for value in finite
    ]


@settings(max_examples=150, derandomize=True, deadline=None)
@given(text=st.text(max_size=40))
def test_paths_queries_and_headers_are_understood_or_refused(text: str) -> None:
    for path in (text, f"/topics/{text}", f"/topics/t/partitions/{text}"):
        found = parse_topics_path(path)
        if found is not None and found.operation != NOTHING:
            assert found.operation in METHODS or found.topic
    for read in (
        lambda: embedded_format(text, EmbeddedFormat.BINARY),
        lambda: format_to_send(text, EmbeddedFormat.BINARY),
        lambda: parse_page_query(f"offset={text}".encode()),
        lambda: parse_page_query(text.encode()),
    ):
        with suppress(RestError):
            read()
