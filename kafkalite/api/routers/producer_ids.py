"""Ids for idempotent producers."""

import msgspec
from fastapi import APIRouter, Request, Response

from kafkalite.api.replies import replies
from kafkalite.api.serving import RunningBroker
from kafkalite.model.errors import CoordinatorNotAvailableError, NotAcceptableError
from kafkalite.wire.media import Media, negotiate
from kafkalite.wire.producer_messages import ProducerIdentity

router = APIRouter(prefix="/v1/producer-ids", tags=["records"])

_FIRST_EPOCH = 0
_ENCODERS = {
    Media.JSON: msgspec.json.Encoder().encode,
    Media.MSGPACK: msgspec.msgpack.Encoder().encode,
}


@router.post(
    "",
    summary="Get an id for an idempotent producer",
    responses=replies(ProducerIdentity, NotAcceptableError, CoordinatorNotAvailableError),
)
async def take_producer_id(broker: RunningBroker, request: Request) -> Response:
    """A producer id that nobody else has, and the epoch to begin with, 0. There is no body to send.

    Batches that carry both, and the sequence of their first record, may be sent again after any
    failure: they are stored once, in order. As `application/msgpack` where `Accept` says so.
    """
    media = negotiate(request.headers.get("accept", ""), tuple(_ENCODERS))
    identity = ProducerIdentity(await broker.producer_ids.take(), _FIRST_EPOCH)
    return Response(_ENCODERS[media](identity), media_type=media)
