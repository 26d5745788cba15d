"""The broker's picture of the cluster."""

import asyncio
from dataclasses import replace

import pytest

from kafkalite.broker.metadata_view import (
    ClusterPicture,
    ClusterUpdate,
    MetadataChange,
    MetadataView,
    StateAt,
    TopicAt,
)
from kafkalite.model.admin_requests import NO_REQUESTS, AdminRequests, ElectionRequest
from kafkalite.model.cluster import Broker, PartitionState, Topic
from kafkalite.model.ids import BrokerId, ControllerEpoch, LeaderEpoch, TopicId, TopicPartition

_T0 = TopicPartition("t", 0)
_BROKER = Broker(BrokerId(1), "a", 1, epoch=5)


def _topic(topic_id: str = "A", partitions: int = 1, **config: str) -> Topic:
    return Topic("t", TopicId(topic_id), {n: (BrokerId(1),) for n in range(partitions)}, config)


def _state(epoch: int, version: int = 0) -> PartitionState:
    return PartitionState(
        BrokerId(1), LeaderEpoch(epoch), (BrokerId(1),), ControllerEpoch(1), version
    )


def _view() -> tuple[MetadataView, list[MetadataChange]]:
    view = MetadataView()
    view.replace(
        ClusterPicture(
            "cluster",
            BrokerId(1),
            {BrokerId(1): _BROKER},
            {"t": TopicAt(_topic(), 10)},
            {_T0: StateAt(_state(0), 20)},
            {"1": {"a": "b"}},
        )
    )
    changes: list[MetadataChange] = []
    view.subscribe(changes.append)
    return view, changes


def test_a_picture_is_shown() -> None:
    view, _ = _view()
    assert view.is_loaded
    assert view.cluster_id == "cluster"
    assert view.controller == 1
    assert view.brokers == {1: _BROKER}
    assert view.topics == {"t": _topic()}
    assert view.states == {_T0: _state(0)}
    assert view.state_revisions == {_T0: 20}
    assert view.broker_configs == {"1": {"a": "b"}}


def test_the_picture_cannot_be_changed_by_those_who_look() -> None:
    view, _ = _view()
    with pytest.raises(TypeError):
        view.topics["u"] = _topic()  # type: ignore[index]


def test_a_newer_state_replaces_an_older_one_but_not_the_other_way_round() -> None:
    view, changes = _view()
    view.apply(ClusterUpdate(states={_T0: StateAt(_state(2), 40)}))
    view.apply(ClusterUpdate(states={_T0: StateAt(_state(1), 30)}))
    assert view.states[_T0] == _state(2)
    assert changes == [MetadataChange(partitions=frozenset({_T0}))]


def test_states_go_with_their_topic() -> None:
    view, changes = _view()
    view.apply(ClusterUpdate(topics={"t": None}))
    assert view.topics == {}
    assert view.states == {}
    assert changes == [MetadataChange(frozenset({"t"}), frozenset({_T0}))]


def test_late_news_of_a_deleted_topic_say_nothing_of_its_successor() -> None:
    view, _ = _view()
    view.apply(ClusterUpdate(topics={"t": TopicAt(_topic("B"), 50)}))
    assert view.states == {}
    view.apply(ClusterUpdate(states={_T0: StateAt(_state(7, version=9), 45)}))
    assert view.states == {}
    view.apply(ClusterUpdate(states={_T0: StateAt(_state(0), 55)}))
    assert view.states == {_T0: _state(0)}


def test_states_of_unknown_topics_are_left_out() -> None:
    view, changes = _view()
    view.apply(ClusterUpdate(states={TopicPartition("u", 0): StateAt(_state(0), 99)}))
    assert view.states == {_T0: _state(0)}
    assert changes == []


def test_a_changed_topic_keeps_its_states() -> None:
    view, changes = _view()
    view.apply(ClusterUpdate(topics={"t": TopicAt(_topic(partitions=2, x="y"), 10)}))
    assert view.topics["t"].partition_count == 2
    assert view.states == {_T0: _state(0)}
    assert changes == [MetadataChange(frozenset({"t"}))]


def test_subscribers_hear_of_what_changed_only() -> None:
    view, changes = _view()
    view.apply(
        ClusterUpdate(
            controller=(BrokerId(1),),
            brokers={BrokerId(1): _BROKER},
            topics={"t": TopicAt(_topic(), 10), "gone": None},
            broker_configs={"1": {"a": "b"}},
            deletions=frozenset(),
        )
    )
    assert changes == []
    view.apply(ClusterUpdate(controller=(None,)))
    view.apply(ClusterUpdate(brokers={}))
    view.apply(ClusterUpdate(broker_configs={"1": {}}))
    view.apply(ClusterUpdate(deletions=frozenset({"t"})))
    assert changes == [
        MetadataChange(controller=True),
        MetadataChange(brokers=True),
        MetadataChange(configs=True),
        MetadataChange(deletions=True),
    ]


def test_a_replaced_picture_is_told_as_its_difference() -> None:
    view, changes = _view()
    picture = ClusterPicture(
        "cluster", BrokerId(1), {BrokerId(1): _BROKER}, {"t": TopicAt(_topic(), 10)}, {}
    )
    view.replace(picture)
    assert changes == [MetadataChange(partitions=frozenset({_T0}), configs=True)]
    assert view.broker_configs == {"1": {}}


def test_a_broker_that_is_gone_is_remembered_as_it_was_last() -> None:
    view, _ = _view()
    assert view.last_seen(_BROKER.id) == _BROKER
    view.apply(ClusterUpdate(brokers={}))
    assert view.last_seen(_BROKER.id) == _BROKER
    moved = replace(_BROKER, port=1)
    view.apply(ClusterUpdate(brokers={moved.id: moved}))
    view.replace(ClusterPicture("cluster"))
    assert view.last_seen(_BROKER.id) == moved
    assert view.last_seen(BrokerId(7)) is None


def test_requests_of_tools_are_shown_and_told_once() -> None:
    view, changes = _view()
    assert view.admin_requests == NO_REQUESTS
    requests = AdminRequests(election=ElectionRequest(0, 30, partitions=frozenset({_T0})))
    view.apply(ClusterUpdate(admin_requests=requests))
    view.apply(ClusterUpdate(admin_requests=requests))
    assert changes == [MetadataChange(admin_requests=True)]
    assert view.admin_requests == requests
    view.apply(ClusterUpdate())
    assert view.admin_requests == requests


def test_after_a_lost_session_everything_counts_as_changed() -> None:
    view, changes = _view()
    picture = ClusterPicture(
        "cluster",
        BrokerId(1),
        {BrokerId(1): _BROKER},
        {"t": TopicAt(_topic(), 10)},
        {_T0: StateAt(_state(0), 20)},
        {"1": {"a": "b"}},
    )
    view.replace(picture, everything_changed=True)
    (change,) = changes
    everything = MetadataChange(frozenset({"t"}), frozenset({_T0}), True, True, True, True, True)
    assert change == everything


def test_a_subscriber_that_fails_does_not_keep_the_news_from_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    view, _ = _view()
    heard: list[MetadataChange] = []

    def fail(_: MetadataChange) -> None:
        raise ZeroDivisionError

    view.subscribe(fail)
    view.subscribe(heard.append)
    view.apply(ClusterUpdate(controller=(None,)))
    assert heard == [MetadataChange(controller=True)]
    assert "ZeroDivisionError" in caplog.text


def test_waiting_ends_when_the_view_shows_it() -> None:
    async def scenario() -> bool:
        view, _ = _view()
        loop = asyncio.get_running_loop()
        loop.call_soon(view.apply, ClusterUpdate(brokers={}))
        loop.call_soon(view.apply, ClusterUpdate(controller=(None,)))
        return await view.wait_until(lambda: view.controller is None, 60.0)

    assert asyncio.run(scenario())


def test_waiting_ends_when_the_time_is_up() -> None:
    view, _ = _view()
    assert not asyncio.run(view.wait_until(lambda: False, 0.0))
    assert asyncio.run(view.wait_until(lambda: True, 0.0))


def test_an_unsubscribed_callback_hears_nothing() -> None:
    view, changes = _view()
    view.unsubscribe(changes.append)
    view.apply(ClusterUpdate(controller=(None,)))
    assert changes == []
