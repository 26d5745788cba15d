"""A balancer for HTTP, as people put in front of brokers: each request goes to the next one."""

import http.client
import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

_TIMEOUT_S: Final = 60.0
_ROUNDS: Final = 3
_PASSED_ON: Final = ("content-type", "accept", "host")
_PASSED_BACK: Final = ("content-type", "retry-after")


class HttpBalancer:
    """Takes requests on a port of its own, and tries the next server where one does not answer.

    As nginx does with `proxy_next_upstream error timeout non_idempotent`. A context manager.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        """Name the servers, `host:port` each; some of them may be down."""
        self._next = itertools.cycle(addresses)
        self._attempts = _ROUNDS * len(addresses)
        self._lock = threading.Lock()
        self.answered: Counter[str] = Counter()
        """How many requests each server answered."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _pass_on(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        headers = {name: text for name in _PASSED_ON if (text := request.headers.get(name))}
        for _ in range(self._attempts):
            with self._lock:
                address = next(self._next)
            connection = http.client.HTTPConnection(address, timeout=_TIMEOUT_S)
            try:
                connection.request(request.command, request.path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                continue
            finally:
                connection.close()
            with self._lock:
                self.answered[address] += 1
            request.send_response(answer.status)
            for name in _PASSED_BACK:
                if (text := answer.headers.get(name)) is not None:
                    request.send_header(name, text)
            _send(request, content, has_length=answer.status != 204)
            return
        request.send_response(502)
        _send(request, b"nobody answers", has_length=True)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        balancer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                balancer._pass_on(self)

            do_POST = do_DELETE = do_GET

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Nothing: the test says what went wrong."""

        return Handler


def _send(request: BaseHTTPRequestHandler, content: bytes, *, has_length: bool) -> None:
    if has_length:
        request.send_header("content-length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)
