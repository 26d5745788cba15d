"""Whatever a client of the REST API sends is understood or refused, never a failure of ours."""

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafkalite.api.rest.base_uri import group_url
from kafkalite.api.rest.consumer_bodies import (
    ConsumerDefaults,
    parse_commit,
    parse_create,
    parse_partitions,
    parse_positions,
    parse_subscription,
)
from kafkalite.api.rest.errors import RestError, refusal
from kafkalite.api.rest.media import check_accepts_json, check_accepts_records, check_body_type
from kafkalite.api.rest.paths import ConsumersPath, parse_consumers_path
from kafkalite.api.rest.query import parse_partitions_query, parse_records_query
from kafkalite.broker.consumers.definition import ConsumerDefinition
from kafkalite.broker.consumers.messenger import Messenger
from kafkalite.model.ids import TopicPartition
from kafkalite.model.record import Record
from kafkalite.wire.rest_records import EmbeddedFormat, OnError, encode_rows

pytestmark = pytest.mark.slow

_NAMES = st.sampled_from(
    [
        "offsets",
        "partitions",
        "timestamps",
        "topics",
        "topic_pattern",
        "topic",
        "partition",
        "offset",
        "metadata",
        "timestamp",
        "name",
        "id",
        "format",
        "auto.offset.reset",
        "fetch.min.bytes",
        "requestWaitMs",
        "enable.auto.commit",
        "isolation.level",
    ]
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["0", "-1", "1970-01-01T00:00:00Z", "json", "true", "earliest", "9" * 30])
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=6),
    max_leaves=20,
)
_BODIES = st.binary(max_size=50) | _JSON.map(lambda document: json.dumps(document).encode())
_TEXTS = st.text(max_size=60)

_PARSERS: list[Callable[[bytes], object]] = [
    lambda body: parse_create(body, ConsumerDefaults()),
    parse_subscription,
    parse_partitions,
    parse_positions,
    lambda body: parse_commit(body, "confluent"),
    lambda body: parse_commit(body, "strimzi"),
    parse_records_query,
    parse_partitions_query,
]


@pytest.mark.parametrize("parse", _PARSERS)
@settings(max_examples=60, derandomize=True, deadline=None)
@given(body=_BODIES)
def test_body_is_understood_or_refused(parse: Callable[[bytes], object], body: bytes) -> None:
    try:
        parse(body)
    except RestError as error:
        answer = refusal(error)
        assert 400 <= answer.status < 500
        assert json.loads(answer.body)["message"]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(text=_TEXTS)
def test_headers_and_paths_are_understood_or_refused(text: str) -> None:
    for check in (check_body_type, check_accepts_json):
        with suppress(RestError):
            check(text)
    with suppress(RestError):
        check_accepts_records(text, EmbeddedFormat.JSON)
    Messenger.parse(text)
    url = group_url(ConsumersPath("g", "", "create"), lambda _: text, None)
    assert url.startswith(("http://", "https://"))
    assert "\n" not in url
    path = parse_consumers_path(f"/consumers/{text}")
    assert path is None or parse_consumers_path(path.target) == path


@settings(max_examples=100, derandomize=True, deadline=None)
@given(payload=_BODIES)
def test_stored_definition_is_read_or_left_alone(payload: bytes) -> None:
    ConsumerDefinition.decode(payload)


@pytest.mark.parametrize("on_error", [OnError.SKIP, OnError.BINARY, OnError.FAIL])
@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    records=st.lists(
        st.builds(
            Record,
            st.none() | st.binary(max_size=20) | _JSON.map(lambda each: json.dumps(each).encode()),
            st.none() | st.binary(max_size=5),
            st.integers(0, 2**63 - 1),
            st.lists(
                st.tuples(st.text(st.characters(codec="utf-8"), max_size=5), st.binary(max_size=5)),
                max_size=2,
            ).map(tuple),
        ),
        max_size=5,
    ),
    wanted=st.sampled_from(list(EmbeddedFormat)),
)
def test_rows_are_json_whatever_the_records_hold(
    on_error: OnError, records: list[Record], wanted: EmbeddedFormat
) -> None:
    found = encode_rows(wanted, TopicPartition("t%d", 0), records, 0, 1 << 20, on_error)
    rows = json.loads(b"[%b]" % b",".join(found.rows))
    assert all(row["topic"] == "t%d" for row in rows)
    if on_error is OnError.BINARY:
        assert len(rows) == len(records)
    if on_error is not OnError.FAIL:
        assert found.taken == len(records)
    assert (found.poison is not None) == (on_error is OnError.FAIL and found.taken < len(records))
