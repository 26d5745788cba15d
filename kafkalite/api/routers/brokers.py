"""Live brokers."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from kafkalite.api.answers import answer
from kafkalite.api.replies import replies
from kafkalite.api.serving import RunningBroker
from kafkalite.broker.metadata_view import MetadataView
from kafkalite.model.errors import PathNotFoundError
from kafkalite.model.ids import BrokerId
from kafkalite.wire.admin_messages import BrokerDescription, BrokerList

router = APIRouter(prefix="/v1/brokers", tags=["brokers"])


@router.get("", summary="List brokers", responses=replies(BrokerList))
async def list_brokers(broker: RunningBroker) -> Response:
    """The brokers that are registered, that is alive, by id."""
    return answer(BrokerList(describe_brokers(broker.view)))


@router.get(
    "/{broker_id}",
    summary="Describe a broker",
    responses=replies(BrokerDescription, PathNotFoundError),
)
async def describe_broker(
    broker: RunningBroker, broker_id: Annotated[int, Path(ge=0, description="Id of a broker.")]
) -> Response:
    """One live broker."""
    if BrokerId(broker_id) not in broker.view.brokers:
        raise PathNotFoundError(f"No live broker has the id {broker_id}.")
    return answer(_describe(BrokerId(broker_id), broker.view))


def describe_brokers(view: MetadataView) -> list[BrokerDescription]:
    """All live brokers by id."""
    return [_describe(broker_id, view) for broker_id in sorted(view.brokers)]


def _describe(broker_id: BrokerId, view: MetadataView) -> BrokerDescription:
    registered = view.brokers[broker_id]
    return BrokerDescription(
        id=registered.id,
        host=registered.host,
        port=registered.port,
        url=registered.url,
        rack=registered.rack,
        epoch=registered.epoch,
        controller=view.controller == registered.id,
    )
