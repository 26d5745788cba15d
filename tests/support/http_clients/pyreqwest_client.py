"""pyreqwest (Rust's reqwest) behind the port."""

from collections.abc import Sequence
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import ConnectError, ConnectTimeoutError, PyreqwestError
from pyreqwest.request import RequestBuilder

from tests.support.http_clients.port import Answer, InDoubtError, NotSentError


class PyreqwestClient:
    """One Client, without proxies."""

    def __init__(self) -> None:
        self._client: Client = ClientBuilder().no_proxy().http1_only().build()

    async def post(
        self, host: str, port: int, target: str, parts: Sequence[bytes], timeout_s: float
    ) -> Answer:
        request = self._client.post(_url(host, port, target)).body_bytes(b"".join(parts))
        return await _send(request, timeout_s)

    async def get(self, host: str, port: int, target: str, timeout_s: float) -> Answer:
        return await _send(self._client.get(_url(host, port, target)), timeout_s)

    async def close(self) -> None:
        await self._client.close()


def _url(host: str, port: int, target: str) -> str:
    return f"http://[{host}]:{port}{target}" if ":" in host else f"http://{host}:{port}{target}"


async def _send(request: RequestBuilder, timeout_s: float) -> Answer:
    try:
        response = await request.timeout(timedelta(seconds=timeout_s)).build().send()
        return Answer(response.status, memoryview(await response.bytes()))
    except (ConnectError, ConnectTimeoutError) as error:
        raise NotSentError(str(error)) from error
    except PyreqwestError as error:
        raise InDoubtError(str(error)) from error
