"""REST Proxy's API beside its consumers: what is asked, who answers, and how errors are told."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

import msgspec

from kafkalite.api.data_plane.exchange import ClientGoneError, Exchange, Receive, Scope, Send
from kafkalite.api.errors import unexpected
from kafkalite.api.http.whole_request import WholeRequest
from kafkalite.api.rest.errors import (
    BAD_REQUEST,
    NOT_FOUND,
    RestAnswer,
    RestError,
    check_method,
    not_ready,
    refusal,
)
from kafkalite.api.rest.media import check_accepts_json
from kafkalite.api.rest.replying import send_answer
from kafkalite.api.rest.topics_admin import RestTopicAdmin
from kafkalite.api.rest.topics_metadata import RestMetadata
from kafkalite.api.rest.topics_paths import (
    ADMIN_TOPICS,
    BAD_PARTITION,
    HEALTHY,
    METHODS,
    NOTHING,
    READY,
    RECORDS,
    ROOT,
    TopicsPath,
    parse_topics_path,
)
from kafkalite.api.rest.topics_produce import RestProduce
from kafkalite.api.rest.topics_records import RestRecords
from kafkalite.model.errors import LogError, RequestTooLargeError
from kafkalite.model.ids import TopicPartition
from kafkalite.wire.rest_produce import RefusedBodyError
from kafkalite.wire.rest_records import PoisonRecordError

_MAX_ADMIN_BYTES: Final = 1 << 20


class TopicsEndpoint:
    """An ASGI application for the paths of `topics_paths`. Lives on the loop."""

    def __init__(
        self,
        produce: RestProduce,
        metadata: RestMetadata,
        records: RestRecords,
        admin: RestTopicAdmin,
        *,
        is_running: Callable[[], bool],
        not_ready_reasons: Callable[[], Sequence[str]],
    ) -> None:
        """Assign only.

        Args:
            produce: takes records.
            metadata: tells of topics and brokers.
            records: gives records of one partition.
            admin: creates topics.
            is_running: whether the broker's picture of the cluster can be trusted.
            not_ready_reasons: why it should not be sent requests; none: it may.
        """
        self._produce = produce
        self._metadata = metadata
        self._records = records
        self._admin = admin
        self._is_running = is_running
        self._not_ready_reasons = not_ready_reasons

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever happens, it is answered."""
        exchange = Exchange(scope, receive, send)
        close = False
        try:
            answer = await self._answer(exchange, scope["method"], scope["path"])
        except ClientGoneError:
            return
        except RequestTooLargeError as error:
            answer = refusal(RestError(413, f"HTTP Request Entity Too Large: {error.detail}"))
            close = True
        except (RestError, RefusedBodyError, PoisonRecordError, LogError) as error:
            answer = refusal(error)
        except Exception as error:  # noqa: BLE001 - no input may be answered with a bare 500
            answer = refusal(unexpected(error, exchange.request_id))
        await send_answer(exchange, answer, close=close)

    def post_whole(self, request: WholeRequest) -> bool:
        """Take a request to produce one record, where that takes no task.

        False, or any exception, leaves it to `__call__`; nothing was done then.
        """
        path = parse_topics_path(request.scope["path"])
        if path is None or "POST" not in METHODS.get(path.operation, ()) or not path.topic:
            return False
        return self._produce.post_whole(request, path.topic, path.partition)

    async def _answer(self, exchange: Exchange, method: str, raw_path: str) -> RestAnswer:
        path = parse_topics_path(raw_path)
        if path is None or path.operation == NOTHING:
            raise RestError(NOT_FOUND, "HTTP 404 Not Found")
        if path.operation == BAD_PARTITION:
            raise RestError(BAD_REQUEST, "The partition must be a number, 0 or more")
        options = check_method(method, METHODS[path.operation])
        if options is not None:
            return options
        if path.operation in {HEALTHY, READY}:
            return self._probe(path.operation)
        if path.operation != RECORDS:
            check_accepts_json(exchange.header(b"accept"))
        if path.operation == ROOT:
            return RestAnswer(200, _root())
        if method == "POST" and path.operation != ADMIN_TOPICS:
            return await self._produce.post(exchange, path.topic, path.partition)
        return await self._serve(exchange, path)

    async def _serve(self, exchange: Exchange, path: TopicsPath) -> RestAnswer:
        if not self._is_running():
            raise not_ready(["it is starting or stopping"])
        if path.operation == ADMIN_TOPICS:
            body = await exchange.read_body(_MAX_ADMIN_BYTES)
            return await self._admin.create(exchange.header(b"content-type"), body)
        if path.operation == RECORDS:
            topic, number = self._metadata.partition_of(path)
            place = TopicPartition(topic.name, number)
            page = self._records.get(place, exchange.header(b"accept"), exchange.raw_query)
            return await exchange.while_connected(page)
        return await self._metadata.get(path)

    def _probe(self, operation: str) -> RestAnswer:
        reasons = self._not_ready_reasons() if operation == READY else ()
        if reasons:
            raise not_ready(reasons)
        return RestAnswer(200)


@cache
def _root() -> bytes:
    # Imported late: it takes long, and hardly anybody asks.
    from importlib.metadata import version  # noqa: PLC0415

    own = version("kafkalite")
    return msgspec.json.encode({"bridge_version": own, "version": own})
