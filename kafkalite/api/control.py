"""The control plane: a FastAPI application on a broker."""

import json
from typing import Any, Final

from fastapi import FastAPI, Request, Response

from kafkalite.api import docs_page, exception_handlers
from kafkalite.api.constant_page import ConstantPage
from kafkalite.api.control_front import ControlFront
from kafkalite.api.openapi import make_openapi
from kafkalite.api.routers import (
    brokers,
    cluster,
    configs,
    elections,
    groups,
    health,
    log_dirs,
    metadata,
    metrics,
    partitions,
    producer_ids,
    reassignments,
    topics,
)
from kafkalite.broker.broker import Broker

_TAGS = [
    {"name": "topics", "description": "Create, describe, alter and delete topics."},
    {"name": "partitions", "description": "Of a partition's leader: offsets, delete records."},
    {"name": "records", "description": "Produce and read."},
    {"name": "groups", "description": "Consumer groups: members, and how far they have read."},
    {"name": "consumers", "description": "Consumers over plain HTTP, as REST Proxy's version 2."},
    {"name": "configs", "description": "Settings of topics and brokers."},
    {"name": "reassignments", "description": "Where partitions are, and who leads them."},
    {"name": "brokers", "description": "Who is alive, and what it keeps."},
    {"name": "cluster", "description": "The whole."},
    {"name": "probes", "description": "For whoever supervises the process."},
]
_DOCS: Final = ConstantPage(docs_page.HTML.encode(), "text/html", docs_page.HEADERS)
_PARTS: Final = (
    topics,
    partitions,
    reassignments,
    elections,
    groups,
    producer_ids,
    configs,
    brokers,
    log_dirs,
    cluster,
    metadata,
    health,
    metrics,
)


def make_control_app(broker: Broker) -> FastAPI:
    """The application for every path that the data plane does not take.

    Can be made at any time, also after the broker has started to take requests: it answers 503
    itself while `broker.state` is not `running`. Has no lifespan of its own.
    """
    app = _ControlApp(
        title="kafkalite",
        version="1",
        openapi_tags=_TAGS,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.broker = broker
    exception_handlers.install(app)
    app.add_middleware(ControlFront)
    for part in _PARTS:
        app.include_router(part.router)
    app.add_api_route("/docs", _docs, include_in_schema=False)
    for path in ("/openapi.json", "/openapi", "/openapi/v3"):  # two, as Strimzi's bridge has it
        app.add_api_route(path, _document, include_in_schema=False)
    return app


class _ControlApp(FastAPI):
    """FastAPI, but for the document that describes it."""

    _page: ConstantPage | None = None

    @property
    def document(self) -> ConstantPage:
        """The document as it is sent; made once."""
        if self._page is None:
            body = json.dumps(self.openapi(), ensure_ascii=False, separators=(",", ":"))
            self._page = ConstantPage(body.encode(), "application/json")
        return self._page

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = make_openapi(self)
        return self.openapi_schema


async def _document(request: Request) -> Response:
    app: _ControlApp = request.app
    return app.document.answer(request)


async def _docs(request: Request) -> Response:
    return _DOCS.answer(request)
