"""Bodies of version 3 of REST Proxy that administer topics."""

import pytest

from kafkalite.api.rest.errors import RestError
from kafkalite.api.v3.bodies import AlterConfigsBody, CreateTopicBody, UpdateConfigBody, decode_body


@pytest.mark.parametrize(
    "assignments",
    [
        b'{"0":[1,2],"1":[2,1]}',
        b'[{"partition_id":0,"broker_ids":[1,2]},{"partition_id":1,"broker_ids":[2,1]}]',
    ],
)
def test_replicas_may_be_assigned_in_either_form(assignments: bytes) -> None:
    body = b'{"topic_name":"t","replicas_assignments":%b}' % assignments
    assert decode_body(body, CreateTopicBody).assignment == {0: [1, 2], 1: [2, 1]}


@pytest.mark.parametrize("assignments", [b"null", b"{}", b"[]"])
def test_nothing_said_of_replicas_leaves_them_to_the_broker(assignments: bytes) -> None:
    body = b'{"topic_name":"t","replicas_assignments":%b}' % assignments
    assert decode_body(body, CreateTopicBody).assignment is None


@pytest.mark.parametrize(
    ("body", "code", "part"),
    [
        (b"", 42206, "Request body is empty"),
        (b" ", 42206, "Request body is empty"),
        (b"{}", 400, "topic_name"),
        (b"{", 400, "Bad Request"),
        (b"[]", 400, "Bad Request"),
        (b"\xff", 400, "Bad Request"),
        (b"[" * 100_000, 400, "Bad Request"),
        (b'{"topic_name":1}', 400, "topic_name"),
        (b'{"topic_name":"t","partitions_count":"1"}', 400, "partitions_count"),
        (b'{"topic_name":"t","partitions_count":9999999999}', 400, "partitions_count"),
        (b'{"topic_name":"t","configs":{"a":"b"}}', 400, "configs"),
        (
            b'{"topic_name":"t","replicas_assignments":'
            b'[{"partition_id":0,"broker_ids":[1]},{"partition_id":0,"broker_ids":[2]}]}',
            400,
            "twice",
        ),
        (b'{"topic_name":"t","partition_count":1}', 422, "Unrecognized field: partition_count"),
    ],
)
def test_body_that_is_wrong_is_told_by_its_code(body: bytes, code: int, part: str) -> None:
    with pytest.raises(RestError) as caught:
        decode_body(body, CreateTopicBody)
    assert caught.value.code == code
    assert part in caught.value.message


def test_a_setting_must_have_a_value_that_is_text() -> None:
    for body in (b'{"value":null}', b"{}", b'{"value":1}'):
        with pytest.raises(RestError) as caught:
            decode_body(body, UpdateConfigBody)
        assert caught.value.code == 400


def test_changes_of_settings_set_or_delete() -> None:
    body = b'{"data":[{"name":"a","value":"1"},{"name":"b","operation":"DELETE"}]}'
    found = decode_body(body, AlterConfigsBody)
    assert [(each.name, each.value, each.operation) for each in found.data] == [
        ("a", "1", None),
        ("b", None, "DELETE"),
    ]
    with pytest.raises(RestError):
        decode_body(b'{"data":[{"name":"a","operation":"APPEND"}]}', AlterConfigsBody)
