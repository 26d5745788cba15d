"""A consumer's share of a group: taken over, committed, and let go in order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import pytest

from kafkalite.cli.answers import (
    FoundOffset,
    PartitionDescription,
    TopicDescription,
    TopicSummary,
)
from kafkalite.cli.cluster import Cluster
from kafkalite.cli.failure import CommandError
from kafkalite.cli.group_member import GroupMember, Membership
from kafkalite.cli.group_subscription import GroupOptions, GroupSubscription
from kafkalite.model.errors import (
    FencedMemberEpochError,
    GroupIdNotFoundError,
    InvalidSessionTimeoutError,
    LogError,
    NetworkError,
    StaleMemberEpochError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
)
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.group_messages import (
    CommittedPartition,
    OffsetCommitResponse,
    OffsetCommitResult,
    OffsetFetchResponse,
)

_T0, _T1, _T2 = (TopicPartition("t", number) for number in range(3))
_URL = "http://leader:9092"


class _Cluster:
    """One broker that leads all partitions of topic `t`; each has the offsets 10 to 20."""

    def __init__(self, events: list[object]) -> None:
        self.events = events
        self.partition_count = 2
        self.topic_id = "id-1"
        self.has_topic = True
        self.committed: dict[TopicPartition, int] = {}
        self.refusals: list[LogError] = []
        """Of the next commits, one each."""
        self.refused: dict[TopicPartition, LogError] = {}
        self.on_commit: Callable[[], None] = lambda: None

    def broker_urls(self) -> dict[int, str]:
        return {0: _URL}

    def topics(self) -> list[TopicSummary]:
        count = self.partition_count
        return [TopicSummary("t", self.topic_id, count, 1, {})] if self.has_topic else []

    def topic(self, name: str) -> TopicDescription:
        if not self.has_topic:
            raise UnknownTopicOrPartitionError(name)
        count = self.partition_count
        partitions = [PartitionDescription(number, 0, [0], [0]) for number in range(count)]
        return TopicDescription(name, self.topic_id, count, 1, {}, partitions)

    def offset(self, topic: str, partition: int, at: str, url: str | None = None) -> FoundOffset:
        del topic, partition, url
        return FoundOffset({"earliest": 10, "latest": 20}[at])

    def ask(
        self, method: str, path: str, kind: type[object], body: Any = None, **_: object
    ) -> object:
        assert path == "/v1/groups/g/offsets"
        if method == "GET":
            assert kind is OffsetFetchResponse
            found = [CommittedPartition(*each, at) for each, at in self.committed.items()]
            return OffsetFetchResponse("g", found)
        if self.refusals:
            self.on_commit()
            raise self.refusals.pop(0)
        offsets = {
            TopicPartition(each["topic"], each["partition"]): each["offset"]
            for each in body["offsets"]
        }
        self.events.append(("commit", body["member_epoch"], offsets))
        results = []
        for each, offset in offsets.items():
            error = self.refused.get(each)
            code, name = (0, "") if error is None else (error.code, error.name)
            results.append(OffsetCommitResult(*each, code, name))
            if error is None:
                self.committed[each] = offset
        return OffsetCommitResponse(results)

    def tell(self, method: str, path: str) -> None:
        self.events.append((method, path))
        raise GroupIdNotFoundError


class _Member:
    """A membership that a test changes."""

    news = 3

    def __init__(self, events: list[object]) -> None:
        self.events = events
        self.epoch, self.life = 1, 0
        self.assignment: frozenset[TopicPartition] = frozenset()
        self.failure: LogError | None = None
        self.joins = True

    def start(self) -> None:
        self.events.append("join")

    def wait_until_joined(self, timeout_s: float) -> bool:
        assert timeout_s > 0
        return self.joins

    def take_trouble(self) -> Exception | None:
        return NetworkError("nobody answers")

    def look(self) -> Membership:
        if self.failure is not None:
            raise self.failure
        return Membership("m", self.epoch, self.life, self.assignment, _URL)

    def release(self, partitions: Iterable[TopicPartition], life: int) -> None:
        self.events.append(("release", set(partitions), life))

    def wait_for_epoch_after(self, epoch: int, timeout_s: float) -> bool:
        assert timeout_s > 0
        self.events.append(("stale", epoch))
        self.epoch += 1
        return True

    def note_brokers(self, urls: Iterable[str]) -> None:
        assert list(urls) == [_URL]

    def close(self) -> None:
        self.events.append("leave")


class _World:
    def __init__(self, **options: Any) -> None:
        self.events: list[object] = []
        self.notices: list[str] = []
        self.cluster, self.member = _Cluster(self.events), _Member(self.events)
        self.subscription = GroupSubscription(
            cast("Cluster", self.cluster),
            cast("GroupMember", self.member),
            GroupOptions("g", "latest", 3_600_000)._replace(**options),
            topic="t",
            on_notice=self.notices.append,
        )

    def assign(self, *partitions: TopicPartition) -> "_World":
        """What the coordinator gives from now on, taken over."""
        self.member.assignment = frozenset(partitions)
        if self.subscription.follow():
            self.subscription.refresh()
        return self

    def start(self, *partitions: TopicPartition) -> "_World":
        self.subscription.start()
        return self.assign(*partitions)

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        return self.subscription.positions

    def commits(self) -> Sequence[Mapping[TopicPartition, int]]:
        return [each[2] for each in self.events if isinstance(each, tuple) and each[0] == "commit"]


def test_it_goes_on_where_the_group_is_and_else_where_it_was_told() -> None:
    world = _World()
    world.cluster.committed = {_T0: 15}
    world.start(_T0, _T1)
    assert world.positions == {_T0: 15, _T1: 20}
    assert world.subscription.leaders == {_T0: _URL, _T1: _URL}
    assert world.commits() == [{_T1: 20}], "whoever takes over must not begin later"


def test_partitions_that_are_new_are_read_from_the_first_record() -> None:
    world = _World()
    world.start(_T0)
    world.cluster.partition_count = 3
    world.assign(_T0, _T2)
    assert world.positions == {_T0: 20, _T2: 10}


def test_what_goes_is_committed_before_it_is_released() -> None:
    world = _World().start(_T0, _T1)
    world.events.clear()
    world.subscription.note_done(_T0, 21)
    world.subscription.note_done(_T1, 22)
    world.assign(_T1)
    assert world.events == [("commit", 1, {_T0: 21}), ("release", {_T0}, 0)]
    assert world.positions.keys() == world.subscription.leaders.keys() == {_T1}
    world.subscription.note_done(_T0, 30)  # what was in hand is nobody's business any more
    world.subscription.commit()
    assert world.commits()[-1] == {_T1: 22}


def test_what_was_lost_is_not_committed() -> None:
    world = _World().start(_T0, _T1)
    world.subscription.note_done(_T0, 21)
    world.events.clear()
    world.cluster.committed[_T0] = 25  # by whoever has it now
    world.member.life = 1
    world.assign(_T0)
    assert world.positions == {_T0: 25}
    assert world.commits() == []
    assert not any(each == ("release", {_T0, _T1}, 1) for each in world.events)


def test_offsets_are_committed_once() -> None:
    world = _World().start(_T0)
    world.events.clear()
    world.subscription.commit()
    world.subscription.note_done(_T0, 21)
    world.subscription.commit()
    world.subscription.commit()
    assert world.events == [("commit", 1, {_T0: 21})]


def test_a_stale_epoch_waits_for_the_new_one() -> None:
    world = _World().start(_T0)
    world.events.clear()
    world.subscription.note_done(_T0, 21)
    world.cluster.refusals = [StaleMemberEpochError()]
    world.subscription.commit()
    assert world.events == [("stale", 1), ("commit", 2, {_T0: 21})]


@pytest.mark.parametrize("error", [UnknownMemberIdError, FencedMemberEpochError])
def test_a_member_that_is_none_any_more_does_not_insist(error: type[LogError]) -> None:
    world = _World().start(_T0)
    world.events.clear()
    world.subscription.note_done(_T0, 21)
    world.cluster.refusals = [error()]
    world.subscription.commit()
    assert (world.events, world.notices) == ([], [])


def test_a_life_that_ends_meanwhile_ends_the_attempts() -> None:
    world = _World().start(_T0)
    world.subscription.note_done(_T0, 21)
    world.events.clear()

    def lose() -> None:
        world.member.life += 1

    world.cluster.on_commit = lose
    world.cluster.refusals = [StaleMemberEpochError()]
    world.subscription.commit()
    assert world.commits() == []


@pytest.mark.slow
def test_commits_that_fail_are_tried_again_and_then_told() -> None:
    world = _World().start(_T0)
    world.subscription.note_done(_T0, 21)
    world.cluster.refusals = [NetworkError("broke")]
    world.subscription.commit()
    assert world.cluster.committed[_T0] == 21
    world.subscription.note_done(_T0, 22)
    world.cluster.refusals = [NetworkError("broke")] * 5
    world.subscription.commit()
    assert world.notices == ["Offsets could not be committed: broke"]
    world.subscription.commit()
    assert world.cluster.committed[_T0] == 22


def test_a_partition_that_is_refused_holds_no_other_back() -> None:
    world = _World().start(_T0, _T1)
    world.cluster.refused = {_T0: FencedMemberEpochError("it is another one's")}
    world.subscription.note_done(_T0, 21)
    world.subscription.note_done(_T1, 22)
    world.subscription.commit()
    assert (world.cluster.committed[_T0], world.cluster.committed[_T1]) == (20, 22)
    assert world.notices == []


def test_an_offset_that_is_out_of_range_is_not_gone_back_to() -> None:
    world = _World()
    world.cluster.committed = {_T0: 5}
    world.start(_T0)
    world.subscription.note_out_of_range(_T0)
    world.subscription.refresh()
    assert world.positions == {_T0: 10}
    assert world.notices == ["Offset 5 of t-0 is out of range; going on at 10."]
    assert world.cluster.committed == {_T0: 10}


def test_a_topic_that_was_made_again_is_read_from_its_first_record() -> None:
    world = _World().start(_T0)
    world.cluster.topic_id = "id-2"
    world.cluster.committed = {}
    world.subscription.refresh()
    assert world.positions == {_T0: 10}
    assert world.subscription.is_complete


def test_a_topic_that_does_not_exist_is_told_once() -> None:
    world = _World()
    world.cluster.has_topic = False
    world.start()
    world.subscription.refresh()
    world.subscription.refresh()
    assert world.notices == ["Topic 't' does not exist; waiting until it does."]
    assert not world.subscription.is_complete
    world.cluster.has_topic = True
    world.assign(_T0)
    assert world.subscription.is_complete
    assert world.positions == {_T0: 10}


def test_it_commits_leaves_and_takes_a_made_up_group_along() -> None:
    world = _World(leaves_group_behind=False).start(_T0)
    world.subscription.note_done(_T0, 21)
    world.events.clear()
    world.subscription.close()
    assert world.events == [("commit", 1, {_T0: 21}), "leave", ("DELETE", "/v1/groups/g")]


def test_without_commits_nothing_is_remembered() -> None:
    world = _World(commit_interval_ms=None).start(_T0)
    world.subscription.note_done(_T0, 21)
    world.assign()
    world.subscription.close()
    assert world.commits() == []
    assert world.events == ["join", ("release", {_T0}, 0), "leave"]


def test_commits_are_due_after_their_interval() -> None:
    world = _World(commit_interval_ms=0).start(_T0)
    world.subscription.note_done(_T0, 21)
    world.subscription.follow()
    assert world.commits()[-1] == {_T0: 21}


def test_a_group_that_does_not_take_it_is_an_end() -> None:
    world = _World()
    world.member.joins = False
    with pytest.raises(CommandError, match="Cannot join group g: nobody answers"):
        world.start()
    world = _World().start(_T0)
    world.member.failure = InvalidSessionTimeoutError("too short")
    with pytest.raises(InvalidSessionTimeoutError):
        world.subscription.follow()
    world.subscription.close()
    assert world.events[-1] == "leave"


def test_what_never_began_has_nothing_to_leave() -> None:
    world = _World()
    world.subscription.close()
    assert world.events == []
