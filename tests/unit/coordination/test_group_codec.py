import json
from dataclasses import fields

import pytest

from kafkalite.broker.groups.ports import CommittedOffset, MirroredMember
from kafkalite.coordination import group_codec
from kafkalite.coordination.errors import MalformedZnodeError
from kafkalite.groups.state import GroupState, Member
from kafkalite.model.ids import BrokerId, TopicPartition

_PATH = "/consumers/g/state"
_T0, _T1, _U0 = TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("u", 0)
_MEMBER = Member(
    "m",
    5,
    joined_epoch=4,
    instance_id="i",
    client_id="c",
    host="h",
    rack="r",
    topics=("t",),
    pattern="u.*",
    assignor="range",
    session_timeout_ms=1,
    rebalance_timeout_ms=2,
    held=frozenset({_T0, _U0}),
    target=frozenset({_T1}),
)


def _encode(state: GroupState, remainder: dict[str, object] | None = None) -> bytes:
    return group_codec.encode_group(state, BrokerId(3), 1_795_524_775_749, remainder or {})


def test_a_state_is_json_that_a_person_can_read() -> None:
    state = GroupState(7, {"m": _MEMBER}, {"t": 2, "u": 1}, version=9)
    assert json.loads(_encode(state)) == {
        "version": 1,
        "coordinator": 3,
        "timestamp": "1795524775749",
        "epoch": 7,
        "topics": {"t": 2, "u": 1},
        "members": {
            "m": {
                "epoch": 5,
                "joined_epoch": 4,
                "instance_id": "i",
                "client_id": "c",
                "host": "h",
                "rack": "r",
                "topics": ["t"],
                "pattern": "u.*",
                "assignor": "range",
                "session_timeout_ms": 1,
                "rebalance_timeout_ms": 2,
                "held": {"t": [0], "u": [0]},
                "target": {"t": [1]},
            }
        },
    }


def test_a_state_is_read_as_it_was_written() -> None:
    state = GroupState(7, {"m": _MEMBER, "n": Member("n", 1)}, {"t": 2}, version=9)
    stored = group_codec.decode_group(_PATH, _encode(state), 9)
    assert stored.state == state
    assert (stored.coordinator, stored.modified_ms) == (3, 1_795_524_775_749)
    assert stored.remainder == {}


def test_everything_that_a_member_has_is_stored() -> None:
    written = json.loads(_encode(GroupState(7, {"m": _MEMBER})))["members"]["m"]
    assert written.keys() | {"id"} == {each.name for each in fields(Member)}
    defaults = json.loads(_encode(GroupState(7, {"m": Member("m", 0)})))["members"]["m"]
    assert not [name for name, value in written.items() if value == defaults[name]]


def test_what_a_later_version_keeps_beside_it_stays() -> None:
    payload = json.loads(_encode(GroupState(7, {"m": _MEMBER, "n": Member("n", 1)})))
    payload["later"] = [1]
    payload["members"]["m"]["later"] = {"a": None}
    stored = group_codec.decode_group(_PATH, json.dumps(payload).encode(), 1)
    again = json.loads(_encode(stored.state, dict(stored.remainder)))
    assert again == payload
    without_m = GroupState(8, {"n": Member("n", 1)})
    assert set(json.loads(_encode(without_m, dict(stored.remainder)))["members"]) == {"n"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"members": None}, '"members"'),
        ({"epoch": "7"}, '"epoch"'),
        ({"topics": {"t": "2"}}, '"topics"'),
        ({"members": {"m": 5}}, "member 'm'"),
        ({"members": {"m": {}}}, '"epoch"'),
        ({"timestamp": "now"}, '"timestamp"'),
    ],
)
def test_a_state_that_makes_no_sense_is_refused(change: dict[str, object], problem: str) -> None:
    payload = json.loads(_encode(GroupState(7, {"m": _MEMBER}))) | change
    with pytest.raises(MalformedZnodeError, match=problem):
        group_codec.decode_group(_PATH, json.dumps(payload).encode(), 1)


def test_a_state_with_two_owners_of_a_partition_is_refused() -> None:
    """GRP-1, whoever wrote it."""
    members = {name: Member(name, 1, held=frozenset({_T0})) for name in ("m", "n")}
    with pytest.raises(MalformedZnodeError, match="hold the same partition"):
        group_codec.decode_group(_PATH, _encode(GroupState(1, members)), 1)


@pytest.mark.parametrize(
    ("data", "offset"), [(b"0", 0), (b" 12\n", 12), (b"9223372036854775807", 2**63 - 1)]
)
def test_an_offset_is_a_number_and_nothing_else(data: bytes, offset: int) -> None:
    assert group_codec.decode_offset("p", data, None) == CommittedOffset(offset)


@pytest.mark.parametrize("data", [b"", b"-1", b"1.0", b"x", b"9223372036854775808", b'{"a":1}'])
def test_anything_else_is_no_offset(data: bytes) -> None:
    with pytest.raises(MalformedZnodeError, match="is not an offset"):
        group_codec.decode_offset("p", data, None)


def test_what_belongs_to_an_offset_is_kept_beside_it() -> None:
    assert not group_codec.has_metadata(CommittedOffset(5))
    for offset in (CommittedOffset(5, 2), CommittedOffset(5, metadata="größer")):
        assert group_codec.has_metadata(offset)
        beside = group_codec.encode_offset_metadata(offset)
        assert group_codec.decode_offset("p", group_codec.encode_offset(offset), beside) == offset
    with pytest.raises(MalformedZnodeError):
        group_codec.decode_offset("p", b"5", b"{}")


def test_a_member_is_shown_as_kafkas_first_consumers_did() -> None:
    member = MirroredMember({"t": 1})
    one, other = (group_codec.encode_mirrored_member(member, now) for now in (1, 22))
    assert one == b'{"version":1,"subscription":{"t":1},"pattern":"static","timestamp":"1"}'
    assert group_codec.is_same_member(one, other)
    pattern = group_codec.encode_mirrored_member(MirroredMember({"t": 1}, is_pattern=True), 1)
    assert b'"pattern":"white_list"' in pattern
    assert not group_codec.is_same_member(one, pattern)
