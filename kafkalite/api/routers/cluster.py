"""The cluster as this broker sees it."""

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Final

from fastapi import APIRouter, Response

from kafkalite.api.answers import answer
from kafkalite.api.replies import replies
from kafkalite.api.routers.brokers import describe_brokers
from kafkalite.api.serving import RunningBroker
from kafkalite.broker.cluster_health import assess
from kafkalite.config.topic_config import topic_settings
from kafkalite.model.ids import NO_LEADER, TopicPartition
from kafkalite.wire.admin_messages import (
    BrokerHealth,
    ClusterDescription,
    ClusterHealth,
    PartitionsInTrouble,
)

router = APIRouter(prefix="/v1/cluster", tags=["cluster"])

_EXAMPLES: Final = 10
"""Partitions that are named of those that are in trouble."""


@router.get("", summary="Describe the cluster", responses=replies(ClusterDescription))
async def describe_cluster(broker: RunningBroker) -> Response:
    """The cluster's id, its controller and its live brokers."""
    view = broker.view
    return answer(
        ClusterDescription(
            cluster_id=view.cluster_id,
            controller=NO_LEADER if view.controller is None else view.controller,
            broker_id=broker.id,
            brokers=describe_brokers(view),
            version=_own_version(),
        )
    )


@router.get("/health", summary="How the cluster is", responses=replies(ClusterHealth))
async def describe_health(broker: RunningBroker) -> Response:
    """Brokers with their shares, and the partitions that something is wrong with."""
    view, settings = broker.view, broker.settings
    health = assess(view, lambda topic: topic_settings(settings, topic.config).min_insync_replicas)
    return answer(
        ClusterHealth(
            cluster_id=view.cluster_id,
            controller=NO_LEADER if view.controller is None else view.controller,
            brokers=[
                BrokerHealth(
                    id=number,
                    url=view.brokers[number].url if number in view.brokers else None,
                    leaders=load.leaders,
                    replicas=load.replicas,
                    in_sync=load.in_sync,
                    last_url=seen.url if (seen := view.last_seen(number)) else None,
                )
                for number, load in health.brokers.items()
            ],
            topics=health.topics,
            partitions=health.partitions,
            offline=_in_trouble(health.offline),
            under_replicated=_in_trouble(health.under_replicated),
            under_min_isr=_in_trouble(health.under_min_isr),
            reassignments=health.moving,
        )
    )


def _in_trouble(partitions: Sequence[TopicPartition]) -> PartitionsInTrouble:
    return PartitionsInTrouble(len(partitions), [str(each) for each in partitions[:_EXAMPLES]])


@cache
def _own_version() -> str:
    return version("kafkalite")
