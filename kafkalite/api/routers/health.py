"""Probes for whoever supervises the process."""

from fastapi import APIRouter, Response

from kafkalite.api.answers import Health, answer
from kafkalite.api.replies import replies
from kafkalite.api.serving import AnyBroker

router = APIRouter(tags=["probes"])


@router.get("/healthz", summary="Whether the process lives", responses=replies(Health))
async def health() -> Response:
    """200 as long as the process can answer; restart it when it cannot."""
    return answer(Health("ok"))


@router.get(
    "/readyz",
    summary="Whether it may be sent requests",
    responses=replies(Health) | {503: replies(Health)[200] | {"description": "Not ready."}},
)
async def readiness(broker: AnyBroker) -> Response:
    """200 when the broker takes requests; else 503 with the reasons why not."""
    reasons = broker.not_ready_reasons()
    if reasons:
        return answer(Health("not ready", reasons), 503, {"retry-after": "1"})
    return answer(Health("ready"))
