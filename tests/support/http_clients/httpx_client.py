"""httpx behind the port."""

from collections.abc import AsyncIterator, Sequence

import httpx

from tests.support.http_clients.port import Answer, InDoubtError, NotSentError


class HttpxClient:
    """One AsyncClient, without proxies."""

    def __init__(self) -> None:
        limits = httpx.Limits(max_connections=8, keepalive_expiry=600)
        self._client = httpx.AsyncClient(trust_env=False, limits=limits)

    async def post(
        self, host: str, port: int, target: str, parts: Sequence[bytes], timeout_s: float
    ) -> Answer:
        headers = {"content-length": str(sum(map(len, parts)))}
        return await self._send("POST", host, port, target, timeout_s, _stream(parts), headers)

    async def get(self, host: str, port: int, target: str, timeout_s: float) -> Answer:
        return await self._send("GET", host, port, target, timeout_s, None, {})

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(
        self,
        method: str,
        host: str,
        port: int,
        target: str,
        timeout_s: float,
        content: AsyncIterator[bytes] | None,
        headers: dict[str, str],
    ) -> Answer:
        url = f"http://[{host}]:{port}{target}" if ":" in host else f"http://{host}:{port}{target}"
        try:
            response = await self._client.request(
                method, url, content=content, headers=headers, timeout=timeout_s
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotSentError(str(error)) from error
        except httpx.HTTPError as error:
            raise InDoubtError(str(error)) from error
        return Answer(response.status_code, response.content)


async def _stream(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
