"""The cluster in a few numbers."""

from kafkalite.broker.cluster_health import BrokerLoad, assess
from kafkalite.broker.metadata_view import ClusterPicture, MetadataView, StateAt, TopicAt
from kafkalite.model.cluster import Broker, PartitionState, Topic
from kafkalite.model.ids import BrokerId, ControllerEpoch, LeaderEpoch, TopicId, TopicPartition
from kafkalite.model.reassignment import move

_ALIVE = {BrokerId(number): Broker(BrokerId(number), "h", 9092) for number in (0, 1)}


def _view(topic: Topic, *states: tuple[int, tuple[int, ...]] | None) -> MetadataView:
    """A topic whose partitions have these leaders and in-sync replicas."""
    view = MetadataView()
    found = {
        TopicPartition("t", number): StateAt(
            PartitionState(
                BrokerId(state[0]),
                LeaderEpoch(0),
                tuple(map(BrokerId, state[1])),
                ControllerEpoch(1),
            ),
            number,
        )
        for number, state in enumerate(states)
        if state is not None
    }
    view.replace(ClusterPicture("c", BrokerId(0), _ALIVE, {"t": TopicAt(topic, 0)}, found))
    return view


def _topic(*assignment: tuple[int, ...]) -> Topic:
    return Topic(
        "t", TopicId("T"), {n: tuple(map(BrokerId, ids)) for n, ids in enumerate(assignment)}
    )


def test_all_is_well() -> None:
    health = assess(_view(_topic((0, 1), (1, 0)), (0, (0, 1)), (1, (0, 1))), lambda _: 2)
    assert (health.topics, health.partitions, health.moving) == (1, 2, 0)
    assert health.brokers == {0: BrokerLoad(1, 2, 2), 1: BrokerLoad(1, 2, 2)}
    assert health.offline == health.under_replicated == health.under_min_isr == []


def test_what_a_dead_broker_leaves_behind_is_counted() -> None:
    topic = _topic((0, 2), (2,), (2, 1), (0, 1))
    view = _view(topic, (0, (0,)), (-1, (2,)), (2, (2, 1)), None)
    health = assess(view, lambda _: 2)
    assert health.brokers == {
        0: BrokerLoad(1, 2, 1),
        1: BrokerLoad(0, 2, 1),
        2: BrokerLoad(0, 3, 2),
    }
    # 2 leads a partition still, as far as anybody has written, but does not live.
    assert health.offline == [("t", 1), ("t", 2), ("t", 3)]
    assert health.under_replicated == [("t", 0), ("t", 3)]
    assert health.under_min_isr == [("t", 0), ("t", 1), ("t", 3)]


def test_a_replica_that_is_only_coming_is_not_missed() -> None:
    topic = move(_topic((0,)), 0, (BrokerId(1),))
    health = assess(_view(topic, (0, (0,))), lambda _: 1)
    assert health.moving == 1
    assert health.under_replicated == []
