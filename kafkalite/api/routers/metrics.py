"""`GET /metrics`."""

from importlib import import_module
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from kafkalite.api.serving import AnyBroker

if TYPE_CHECKING:
    from kafkalite.api.metrics.exposition import MetricsPage

router = APIRouter(tags=["probes"])


@router.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
async def metrics(request: Request, broker: AnyBroker) -> Response:
    """The broker's numbers in Prometheus' text format, or OpenMetrics where that is preferred."""
    page: MetricsPage | None = getattr(request.app.state, "metrics_page", None)
    if page is None:
        # Loaded when first scraped: it would be felt in how fast a broker starts.
        page = import_module("kafkalite.api.metrics.exposition").MetricsPage(broker)
        request.app.state.metrics_page = page
    body, media = await page.render(request.headers.get("accept", ""))
    return Response(body, headers={"content-type": media})
