"""REP-1, REP-2: however leaders changed, a follower comes to agree, and loses nothing in common."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kafkalite.replication.divergence import divergence, epoch_before, truncation_offset
from kafkalite.replication.position import Position
from tests.support.epoch_log import EpochLog

_REPLICAS = 3
_choices = st.lists(
    st.tuples(st.integers(0, _REPLICAS - 1), st.integers(0, 3), st.booleans()), max_size=12
)
"""For each epoch: who leads, how much it appends, and whether another one then catches up."""


def _common(one: EpochLog, other: EpochLog) -> int:
    """How many records two logs have in common: in one epoch only one leader appends."""
    count = 0
    for left, right in zip(one.epochs, other.epochs, strict=False):
        if left != right:
            break
        count += 1
    return count


def _catch_up(leader: EpochLog, follower: EpochLog) -> int:
    """Follow until nothing diverges, then copy; gives how many answers told of a divergence."""
    answers = 0
    while True:
        offset = follower.end_offset
        found = divergence(leader, Position(offset, epoch_before(follower, offset), 0))
        if found is None:
            break
        answers += 1
        common = _common(leader, follower)
        follower.truncate_to(truncation_offset(follower, found))
        assert common <= follower.end_offset < offset
    assert follower.epochs == leader.epochs[: follower.end_offset]
    follower.epochs = list(leader.epochs)
    return answers


@settings(max_examples=300, derandomize=True, deadline=None)
@given(_choices, st.integers(0, _REPLICAS - 1), st.integers(0, _REPLICAS - 1))
def test_follower_agrees_with_any_leader_after_as_many_answers_as_there_are_epochs(
    choices: list[tuple[int, int, bool]], leader: int, follower: int
) -> None:
    logs = [EpochLog([]) for _ in range(_REPLICAS)]
    for epoch, (who, count, follows) in enumerate(choices):
        logs[who].epochs += [epoch] * count
        if follows:
            _catch_up(logs[who], logs[(who + 1) % _REPLICAS])
    epochs = len(set(logs[follower].epochs))
    assert _catch_up(logs[leader], logs[follower]) <= epochs + 1
