"""The cluster as this broker sees it."""

from functools import cache
from importlib.metadata import version

from fastapi import APIRouter, Response

from kafkalite.api.answers import ClusterDescription, answer
from kafkalite.api.replies import replies
from kafkalite.api.routers.brokers import describe_brokers
from kafkalite.api.serving import RunningBroker
from kafkalite.model.ids import NO_LEADER

router = APIRouter(prefix="/v1/cluster", tags=["cluster"])


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


@cache
def _own_version() -> str:
    return version("kafkalite")
