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
        (b'{"topic_name":"t","partitions_count":"all"}', 400, "partitions_count"),
        (b'{"topic_name":"t","partitions_count":1.5}', 400, "partitions_count"),
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


def test_numbers_and_truth_values_may_be_strings() -> None:
    found = decode_body(
        b'{"topic_name":"t","partitions_count":"3","replication_factor":"2",'
        b'"validate_only":"true"}',
        CreateTopicBody,
    )
    assert (found.partitions_count, found.replication_factor, found.validate_only) == (3, 2, True)
    found = decode_body(b'{"topic_name":"t","replicas_assignments":{"0":["1"]}}', CreateTopicBody)
    assert found.assignment == {0: [1]}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (b"604800000", "604800000"),
        (b"9223372036854775807", "9223372036854775807"),
        (b"0.5", "0.5"),
        (b"true", "true"),
        (b"false", "false"),
        (b'"null"', "null"),
        (b'"07"', "07"),
    ],
)
def test_value_of_a_setting_may_be_a_number_or_a_truth_value(given: bytes, text: str) -> None:
    assert decode_body(b'{"value":%b}' % given, UpdateConfigBody).text == text
    created = b'{"topic_name":"t","configs":[{"name":"a","value":%b}]}' % given
    assert [each.text for each in decode_body(created, CreateTopicBody).configs or ()] == [text]
    altered = b'{"data":[{"name":"a","value":%b}]}' % given
    assert [each.text for each in decode_body(altered, AlterConfigsBody).data] == [text]


def test_a_setting_must_have_a_value_that_is_one() -> None:
    for body in (b'{"value":null}', b"{}", b'{"value":[1]}', b'{"value":{}}'):
        with pytest.raises(RestError) as caught:
            decode_body(body, UpdateConfigBody)
        assert caught.value.code == 400


def test_changes_of_settings_set_or_delete() -> None:
    body = b'{"data":[{"name":"a","value":"1"},{"name":"b","operation":"DELETE"}]}'
    found = decode_body(body, AlterConfigsBody)
    assert [(each.name, each.text, each.operation) for each in found.data] == [
        ("a", "1", None),
        ("b", None, "DELETE"),
    ]
    with pytest.raises(RestError):
        decode_body(b'{"data":[{"name":"a","operation":"APPEND"}]}', AlterConfigsBody)
