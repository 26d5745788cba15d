"""Payloads in ZooKeeper: Kafka's JSON, byte for byte, and what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kafkalite.coordination import codec
from kafkalite.coordination.errors import MalformedZnodeError
from kafkalite.model.cluster import Broker, PartitionState, Topic
from kafkalite.model.ids import BrokerId, ControllerEpoch, LeaderEpoch, TopicId, TopicPartition

_STATE = PartitionState(BrokerId(0), LeaderEpoch(0), (BrokerId(0),), ControllerEpoch(1), version=4)
_TOPIC = Topic("T", TopicId("BQUGVf7uRRigq8XGvHFxKA"), {0: (BrokerId(0),), 1: (BrokerId(0),)})


def test_a_broker_is_written_as_kafka_does() -> None:
    broker = Broker(BrokerId(0), "127.0.0.1", 9092, None, 17, 1795524775749)
    data = codec.encode_broker(broker)
    assert data == (
        b'{"features":{},"listener_security_protocol_map":{"HTTP":"HTTP"},'
        b'"endpoints":["HTTP://127.0.0.1:9092"],"jmx_port":-1,"port":9092,"host":"127.0.0.1",'
        b'"version":5,"timestamp":"1795524775749"}'
    )
    assert codec.decode_broker("/brokers/ids/0", data, 0, 17) == broker


def test_a_brokers_rack_and_ipv6_address_survive() -> None:
    broker = Broker(BrokerId(3), "::1", 9092, "r1", 5, 1)
    assert codec.decode_broker("/x", codec.encode_broker(broker), 3, 5) == broker


def test_the_endpoint_of_ours_is_found_among_others() -> None:
    data = b'{"endpoints":["PLAINTEXT://a:1","HTTP://b:2"],"version":9,"timestamp":"7"}'
    assert codec.decode_broker("/x", data, 1, 2) == Broker(BrokerId(1), "b", 2, None, 2, 7)


def test_a_topic_is_written_as_kafka_does() -> None:
    data = codec.encode_topic(_TOPIC)
    assert json.loads(data) == {
        "partitions": {"0": [0], "1": [0]},
        "topic_id": "BQUGVf7uRRigq8XGvHFxKA",
        "adding_replicas": {},
        "removing_replicas": {},
        "version": 3,
    }
    topic, _ = codec.decode_topic("/x", data, "T", {})
    assert topic == _TOPIC


def test_what_a_newer_program_wrote_into_a_topic_is_kept() -> None:
    data = b'{"partitions":{"0":[0]},"topic_id":"A","mood":9,"version":4}'
    topic, members = codec.decode_topic("/x", data, "T", {})
    grown = replace(topic, assignment={**topic.assignment, 1: (BrokerId(0),)})
    rewritten = json.loads(codec.encode_topic(grown, members))
    assert rewritten["partitions"] == {"0": [0], "1": [0]}
    assert rewritten["mood"] == 9
    assert rewritten["version"] == 4


def test_a_reassignment_is_written_as_kafka_does() -> None:
    moving = replace(
        _TOPIC,
        assignment={0: (BrokerId(1), BrokerId(0)), 1: (BrokerId(0),)},
        adding={0: (BrokerId(1),)},
        removing={0: (BrokerId(0),), 1: ()},
    )
    data = codec.encode_topic(moving)
    assert json.loads(data) == {
        "partitions": {"0": [1, 0], "1": [0]},
        "topic_id": "BQUGVf7uRRigq8XGvHFxKA",
        "adding_replicas": {"0": [1]},
        "removing_replicas": {"0": [0]},
        "version": 3,
    }
    decoded, members = codec.decode_topic("/x", data, "T", {})
    assert decoded == replace(moving, removing={0: (BrokerId(0),)})
    assert json.loads(codec.encode_topic(_TOPIC, members)) == json.loads(codec.encode_topic(_TOPIC))


def test_a_state_is_written_as_kafka_does() -> None:
    data = codec.encode_state(_STATE)
    assert data == b'{"controller_epoch":1,"leader":0,"version":1,"leader_epoch":0,"isr":[0]}'
    assert codec.decode_state("/x", data, 4) == (_STATE, {})


def test_what_a_newer_program_wrote_into_a_state_is_kept() -> None:
    data = b'{"controller_epoch":1,"leader":0,"version":1,"leader_epoch":0,"isr":[0],"mood":"fine"}'
    state, unknown = codec.decode_state("/x", data, 0)
    assert json.loads(codec.encode_state(state, unknown))["mood"] == "fine"


def test_a_change_notice_comes_back() -> None:
    partition = TopicPartition("T", 1)
    notice = codec.StateNotice(partition, _STATE, {"mood": 1})
    data = codec.encode_change_notice(["U"], [notice])
    assert codec.decode_change_notice("/x", data) == codec.ChangeNotice(("U",), (notice,))


def test_configurations_and_their_notices_are_written_as_kafka_does() -> None:
    data = codec.encode_config({"retention.ms": "1000"})
    assert data == b'{"version":1,"config":{"retention.ms":"1000"}}'
    config, members = codec.decode_config("/x", b'{"version":2,"config":{"a":"b"},"by":"me"}')
    assert config == {"a": "b"}
    assert json.loads(codec.encode_config({}, members)) == {"version": 2, "config": {}, "by": "me"}
    change = codec.encode_config_change("topics/zz1")
    assert change == b'{"version":2,"entity_path":"topics/zz1"}'
    assert codec.decode_config_change("/x", change) == "topics/zz1"


def test_cluster_id_and_controller_are_written_as_kafka_does() -> None:
    data = codec.encode_cluster_id("U-R8gPTgRA-YTciTXz4u0A")
    assert data == b'{"version":"1","id":"U-R8gPTgRA-YTciTXz4u0A"}'
    assert codec.decode_cluster_id("/x", data) == "U-R8gPTgRA-YTciTXz4u0A"
    controller = codec.encode_controller(BrokerId(0), 1795524775919)
    assert controller == b'{"version":2,"brokerid":0,"timestamp":"1795524775919"}'
    assert codec.decode_controller("/x", controller) == 0
    assert codec.decode_controller_epoch("/x", codec.encode_controller_epoch(12)) == 12


_Decoder = Callable[[bytes], object]
_DECODERS: dict[str, _Decoder] = {
    "broker": lambda data: codec.decode_broker("/z", data, 0, 0),
    "topic": lambda data: codec.decode_topic("/z", data, "T", {}),
    "state": lambda data: codec.decode_state("/z", data, 0),
    "change": lambda data: codec.decode_change_notice("/z", data),
    "config": lambda data: codec.decode_config("/z", data),
    "config change": lambda data: codec.decode_config_change("/z", data),
    "cluster id": lambda data: codec.decode_cluster_id("/z", data),
    "controller": lambda data: codec.decode_controller("/z", data),
    "epoch": lambda data: codec.decode_controller_epoch("/z", data),
}
_GARBAGE = [b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b"[" * 100_000]
_BROKEN = {
    "broker": [
        b'{"endpoints":["PLAINTEXT://a:1"],"timestamp":"1"}',
        b'{"endpoints":["HTTP://a:b"],"timestamp":"1"}',
        b'{"endpoints":"HTTP://a:1","timestamp":"1"}',
        b'{"endpoints":["HTTP://a:1"],"timestamp":"soon"}',
        b'{"endpoints":["HTTP://a:1"],"timestamp":null}',
    ],
    "topic": [
        b'{"partitions":{"0":[0]}}',
        b'{"partitions":{"zero":[0]},"topic_id":"A"}',
        b'{"partitions":{"0":[true]},"topic_id":"A"}',
        b'{"partitions":{"0":0},"topic_id":"A"}',
        b'{"partitions":[[0]],"topic_id":"A"}',
        b'{"partitions":{"0":[0]},"topic_id":"A","adding_replicas":[]}',
        b'{"partitions":{"0":[0]},"topic_id":"A","adding_replicas":{"0":["1"]}}',
        b'{"partitions":{"0":[0]},"topic_id":"A","removing_replicas":{"1":[0]}}',
    ],
    "state": [
        b'{"controller_epoch":1,"leader":"0","version":1,"leader_epoch":0,"isr":[0]}',
        b'{"controller_epoch":1,"leader":0,"version":1,"leader_epoch":0,"isr":["0"]}',
        b'{"controller_epoch":1,"leader":0,"version":1,"leader_epoch":true,"isr":[0]}',
    ],
    "change": [
        b'{"topics":[1],"states":[]}',
        b'{"topics":[],"states":[{}]}',
        b'{"topics":[],"states":[{"topic":"T","partition":0,"state_version":1,"state":[]}]}',
    ],
    "config": [b'{"config":{"a":1}}', b'{"config":[]}'],
    "epoch": [b"one", b"1.5"],
}


@pytest.mark.parametrize(
    ("decoder", "data"),
    [(name, data) for name in _DECODERS for data in [*_GARBAGE, *_BROKEN.get(name, [])]],
    ids=lambda value: repr(value)[:60],
)
def test_a_malformed_payload_is_an_error_that_names_the_path(decoder: str, data: bytes) -> None:
    with pytest.raises(MalformedZnodeError, match=r"^The znode /z is malformed: "):
        _DECODERS[decoder](data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["partitions", "topic_id", "states", "state", "isr", "0", "config", "id"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=100, derandomize=True)
@given(value=_JSON)
def test_no_json_makes_a_decoder_fail_otherwise(value: object) -> None:
    data = json.dumps(value).encode()
    for decode in _DECODERS.values():
        try:
            decode(data)
        except MalformedZnodeError:
            continue
