"""Where brokers keep their partitions, and how large they are."""

from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Response

from kafkalite.api.answers import answer
from kafkalite.api.replies import replies
from kafkalite.api.serving import RunningBroker
from kafkalite.broker.broker import Broker
from kafkalite.model.errors import (
    BrokerNotAvailableError,
    KafkaStorageError,
    NetworkError,
    PathNotFoundError,
)
from kafkalite.model.ids import BrokerId
from kafkalite.transport.errors import PeerError
from kafkalite.wire.admin_messages import LogDirDescription, LogDirList, ReplicaDescription

router = APIRouter(prefix="/v1", tags=["brokers"])

_FORWARD_TIMEOUT_S: Final = 15.0
_TOPICS = Query(description="Only partitions of these topics; may be given several times.")


@router.get(
    "/log-dirs", summary="Describe this broker's log directories", responses=replies(LogDirList)
)
async def own_log_dirs(
    broker: RunningBroker, topic: Annotated[list[str] | None, _TOPICS] = None
) -> Response:
    """The log directories of the broker that is asked, and the partitions in each."""
    return await _describe(broker, topic)


@router.get(
    "/brokers/{broker_id}/log-dirs",
    summary="Describe a broker's log directories",
    responses=replies(LogDirList, PathNotFoundError, BrokerNotAvailableError, NetworkError),
)
async def log_dirs_of(
    broker: RunningBroker,
    broker_id: Annotated[int, Path(ge=0, description="Id of a broker.")],
    topic: Annotated[list[str] | None, _TOPICS] = None,
) -> Response:
    """The log directories of any live broker, which is asked by the one that is."""
    if broker_id == broker.id:
        return await _describe(broker, topic)
    other = broker.view.brokers.get(BrokerId(broker_id))
    if other is None:
        raise PathNotFoundError(f"No live broker has the id {broker_id}.")
    query = "&".join(f"topic={quote(name, safe='')}" for name in topic or ())
    target = f"/v1/log-dirs?{query}" if query else "/v1/log-dirs"
    try:
        reply = await broker.peers.request(other, "GET", target, {}, b"", _FORWARD_TIMEOUT_S)
    except PeerError as error:
        if error.was_sent:
            raise NetworkError(f"Broker {broker_id} did not answer: {error}") from error
        raise BrokerNotAvailableError(f"Broker {broker_id} cannot be asked: {error}") from error
    return Response(reply.body, reply.status, media_type=reply.headers.get("content-type"))


async def _describe(broker: Broker, topics: list[str] | None) -> Response:
    return answer(
        LogDirList(
            broker.id,
            [
                LogDirDescription(
                    path=state.path,
                    error=None if state.failure is None else KafkaStorageError.name,
                    message=state.failure or "",
                    total_bytes=state.total_bytes,
                    usable_bytes=state.usable_bytes,
                    partitions=[
                        ReplicaDescription(*size.partition, size.size_bytes, size.offset_lag)
                        for size in state.replicas
                    ],
                )
                for state in await broker.log_dirs.describe(topics)
            ],
        )
    )
