"""Whole requests as uvicorn hands them over, and what goes out on their connection."""

import asyncio
import logging
from typing import Any, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from kafkalite.api.http.whole_request import WholeRequest


class SentBytes(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.is_closed = False
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_closed


class Received:
    """One request that arrived whole: `request` is what is tested, the rest is around it."""

    def __init__(
        self,
        body: bytes = b"",
        *,
        path: str = "/v1/topics/t/records",
        method: str = "POST",
        query: bytes = b"",
        media: bytes = b"application/json",
        keep_alive: bool = True,
    ) -> None:
        self.transport = SentBytes()
        self.answers = 0
        scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": [(b"host", b"x"), (b"content-type", media)],
        }
        self.cycle = RequestResponseCycle(
            scope=cast("Any", scope),
            transport=self.transport,
            flow=FlowControl(self.transport),
            logger=logging.getLogger(__name__),
            access_logger=logging.getLogger(__name__),
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=self._on_response,
        )
        self.cycle.body += body
        self.cycle.more_body = False
        self.request = WholeRequest(self.cycle)

    def _on_response(self) -> None:
        self.answers += 1

    @property
    def answer(self) -> tuple[int, bytes]:
        """Status and body of what was sent; status 0 when nothing was."""
        if not self.transport.sent:
            return 0, b""
        head, _, body = self.transport.sent.partition(b"\r\n\r\n")
        return int(head.split()[1]), body
