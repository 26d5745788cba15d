"""REST Proxy's version 3: what is asked, who answers, and how errors are told."""

import logging
from collections.abc import Callable
from typing import Final

import msgspec

from kafkalite.api.data_plane.exchange import ClientGoneError, Exchange, Receive, Scope, Send
from kafkalite.api.errors import unexpected
from kafkalite.api.http.whole_request import WholeRequest
from kafkalite.api.rest.base_uri import origin_url
from kafkalite.api.rest.errors import (
    NOT_FOUND,
    UNSUPPORTED_MEDIA,
    RestAnswer,
    RestError,
    check_method,
    not_ready,
    switched_off,
)
from kafkalite.api.rest.media import check_accepts_json
from kafkalite.api.rest.replying import send_answer
from kafkalite.api.v3 import paths
from kafkalite.api.v3.errors import MEDIA, TOLD, refusal
from kafkalite.api.v3.group_reads import V3Groups
from kafkalite.api.v3.links import Links
from kafkalite.api.v3.metadata import V3Metadata
from kafkalite.api.v3.paths import V3Path, parse_v3_path
from kafkalite.api.v3.produce import V3Produce
from kafkalite.api.v3.topic_admin import V3TopicAdmin
from kafkalite.model.errors import RequestTooLargeError

_MAX_ADMIN_BYTES: Final = 1 << 20
_PRODUCE: Final = frozenset({paths.RECORDS, paths.BATCH})
_WITH_BODIES: Final = frozenset({"POST", "PUT", "PATCH"})
_encode: Final = msgspec.json.Encoder().encode
_log = logging.getLogger(__name__)


class V3Endpoint:
    """An ASGI application for the paths of `paths`. Lives on the loop."""

    def __init__(
        self,
        metadata: V3Metadata,
        groups: V3Groups,
        admin: V3TopicAdmin,
        produce: V3Produce,
        *,
        cluster_id: Callable[[], str],
        is_running: Callable[[], bool],
        takes_records: Callable[[], bool],
        advertised_url: Callable[[], str | None],
    ) -> None:
        """Assign only.

        Args:
            metadata: tells of the cluster, its brokers and topics.
            groups: tells of groups.
            admin: changes topics.
            produce: takes records.
            cluster_id: of the one cluster that there is.
            is_running: whether the broker's picture of the cluster can be trusted.
            takes_records: whether the operator wants anybody to produce this way.
            advertised_url: where clients reach it, if that was configured.
        """
        self._metadata = metadata
        self._groups = groups
        self._admin = admin
        self._produce = produce
        self._cluster_id = cluster_id
        self._is_running = is_running
        self._takes_records = takes_records
        self._advertised_url = advertised_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever happens, it is answered."""
        exchange = Exchange(scope, receive, send)
        path = parse_v3_path(scope.get("raw_path") or scope["path"].encode())
        close = False
        try:
            answer = await self._answer(exchange, scope["method"], path)
        except ClientGoneError:
            return
        except Exception as error:
            if exchange.started:
                # Too late to say why: the connection ends before the answer is whole.
                _log.warning("An answer was cut off", exc_info=error)
                raise
            known = error if isinstance(error, TOLD) else unexpected(error, exchange.request_id)
            answer = refusal(known)
            close = isinstance(error, RequestTooLargeError)
        if answer is not None:
            await send_answer(exchange, answer, close=close)

    def post_whole(self, request: WholeRequest) -> bool:
        """Take a request to produce one record, where that takes no task.

        False, or any exception, leaves it to `__call__`; nothing was done then.
        """
        scope = request.scope
        path = parse_v3_path(scope.get("raw_path") or scope["path"].encode())
        if path.operation != paths.RECORDS or not self._takes_records():
            return False
        check_accepts_json(request.header(b"accept"))
        _check_body_type(request.header(b"content-type"))
        self._check_cluster(path)
        names = path.names
        return self._produce.post_whole(request, names["cluster_id"], names["topic_name"])

    async def _answer(self, exchange: Exchange, method: str, path: V3Path) -> RestAnswer | None:
        if path.operation == paths.NOTHING:
            raise RestError(NOT_FOUND, "HTTP 404 Not Found")
        options = check_method(method, paths.METHODS[path.operation])
        if options is not None:
            return options
        check_accepts_json(exchange.header(b"accept"))
        if method in _WITH_BODIES:
            _check_body_type(exchange.header(b"content-type"))
        self._check_cluster(path)
        cluster_id = self._cluster_id()
        if path.operation in _PRODUCE and not self._takes_records():
            raise switched_off("Producer")
        if path.operation == paths.RECORDS:
            return await self._produce.post(exchange, cluster_id, path.names["topic_name"])
        if path.operation == paths.BATCH:
            return await self._produce.post_batch(exchange, cluster_id, path.names["topic_name"])
        links = Links(origin_url(exchange.header, self._advertised_url()) + path.root, cluster_id)
        if method == "GET":
            return await self._get(exchange, path, links)
        body = b"" if method == "DELETE" else await exchange.read_body(_MAX_ADMIN_BYTES)
        return await self._admin.change(method, path, links, body)

    async def _get(self, exchange: Exchange, path: V3Path, links: Links) -> RestAnswer:
        if path.operation.startswith(paths.GROUPS):
            document = await self._groups.get(path, links)
        else:
            document = await self._metadata.get(path, links, exchange.raw_query)
        return RestAnswer(200, _encode(document), MEDIA)

    def _check_cluster(self, path: V3Path) -> None:
        if not self._is_running():
            raise not_ready(["it is starting or stopping"])
        wanted = path.names.get("cluster_id")
        if wanted is not None and wanted != self._cluster_id():
            raise RestError(NOT_FOUND, f"Cluster {wanted} cannot be found.")


def _check_body_type(content_type: str) -> None:
    media = content_type.partition(";")[0].strip().lower()
    # Not without a type: that is what a web page of somebody else's may send.
    if media != "application/json" and not (
        media.startswith("application/") and media.endswith("+json")
    ):
        raise RestError(
            UNSUPPORTED_MEDIA,
            "HTTP 415 Unsupported Media Type; set Content-Type to application/json",
        )
