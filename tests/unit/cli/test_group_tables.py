"""Groups on the screen: Kafka's columns, as wide as what is in them."""

import pytest

from kafkalite.cli.group_tables import (
    print_groups_with_states,
    print_members,
    print_notice,
    print_offsets,
    print_state,
)
from kafkalite.wire.group_descriptions import (
    GroupCoordinatorPlace,
    GroupDescription,
    GroupMember,
    GroupOffset,
    GroupSummary,
)
from kafkalite.wire.group_messages import TopicPartitions


def _member(
    member_id: str, client_id: str, host: str, *has: TopicPartitions, instance_id: str | None = None
) -> GroupMember:
    return GroupMember(
        member_id,
        instance_id,
        client_id,
        host,
        rack=None,
        member_epoch=1,
        topics=["t", "u"],
        pattern=None,
        assignor="sticky",
        session_timeout_ms=45_000,
        assignment=list(has),
        revoking=[],
        pending=[],
    )


_BUSY = _member("m1", "c1", "10.0.0.1", TopicPartitions("t", [1, 0]))
_IDLE = _member("m2", "", "10.0.0.2")
_STATIC = _member(
    "m3",
    "c3",
    "10.0.0.3",
    TopicPartitions("u", [0]),
    TopicPartitions("t", [2]),
    instance_id="me",
)


def _group(*members: GroupMember, offsets: list[GroupOffset] | None = None) -> GroupDescription:
    coordinator = GroupCoordinatorPlace(7, "host", 9092, "http://host:9092")
    return GroupDescription("g", "Stable", 1, "sticky", coordinator, list(members), offsets or [])


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_offsets_have_kafkas_columns(capsys: pytest.CaptureFixture[str]) -> None:
    offsets = [
        GroupOffset("t", 0, 4, 0, "", 0, 10, 6, "m1", "c1", "10.0.0.1"),
        GroupOffset("a-topic-of-20-letters", 12, *[None] * 9),
    ]
    print_offsets(_group(_BUSY, _IDLE, offsets=offsets))
    assert _lines(capsys) == [
        "",
        "GROUP           TOPIC                 PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  "
        "LAG             CONSUMER-ID     HOST            CLIENT-ID",
        "g               t                     0          4               10              "
        "6               m1              /10.0.0.1       c1",
        "g               a-topic-of-20-letters 12         -               -               "
        "-               -               -               -",
        "g               -                     -          -               -               "
        "-               m2              /10.0.0.2       -",
    ]


def test_members_show_instances_where_there_are_any(capsys: pytest.CaptureFixture[str]) -> None:
    print_members(_group(_BUSY), is_verbose=False)
    assert _lines(capsys) == [
        "",
        "GROUP           CONSUMER-ID     HOST            CLIENT-ID       #PARTITIONS",
        "g               m1              /10.0.0.1       c1              2",
    ]
    print_members(_group(_BUSY, _STATIC), is_verbose=True)
    assert [" ".join(line.split()) for line in _lines(capsys)[1:]] == [
        "GROUP CONSUMER-ID GROUP-INSTANCE-ID HOST CLIENT-ID #PARTITIONS ASSIGNMENT",
        "g m1 - /10.0.0.1 c1 2 t(0,1)",
        "g m3 me /10.0.0.3 c3 2 t(2), u(0)",
    ]


def test_what_has_no_rows_has_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_members(_group(), is_verbose=True)
    print_offsets(_group())
    assert _lines(capsys) == []


def test_the_state_names_the_coordinator(capsys: pytest.CaptureFixture[str]) -> None:
    print_state(_group(_BUSY))
    assert _lines(capsys) == [
        "",
        "GROUP                     COORDINATOR (ID)          ASSIGNMENT-STRATEGY  "
        "STATE           #MEMBERS",
        "g                         host:9092 (7)             sticky               "
        "Stable          1",
    ]


def test_a_list_with_states_has_two_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_groups_with_states([GroupSummary("g", "Empty", "", 0, 7)])
    assert [line.split() for line in _lines(capsys)] == [["GROUP", "STATE"], ["g", "Empty"]]


@pytest.mark.parametrize(
    ("state", "is_there", "out", "err"),
    [
        ("Stable", True, "", ""),
        ("Empty", True, "", "\nConsumer group 'g' has no active members.\n"),
        ("Reconciling", True, "", "\nWarning: Consumer group 'g' is rebalancing.\n"),
        ("Dead", False, "\nError: Consumer group 'g' does not exist.\n", ""),
    ],
)
def test_what_somebody_has_to_know_of_a_state_is_told(
    capsys: pytest.CaptureFixture[str], state: str, is_there: bool, out: str, err: str
) -> None:
    assert print_notice("g", state) is is_there
    assert capsys.readouterr() == (out, err)
