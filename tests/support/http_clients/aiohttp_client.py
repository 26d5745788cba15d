"""aiohttp behind the port."""

from collections.abc import AsyncIterator, Sequence

import aiohttp

from tests.support.http_clients.port import Answer, InDoubtError, NotSentError


class AiohttpClient:
    """One ClientSession."""

    def __init__(self) -> None:
        connector = aiohttp.TCPConnector(limit_per_host=8, keepalive_timeout=600)
        self._session = aiohttp.ClientSession(connector=connector)

    async def post(
        self, host: str, port: int, target: str, parts: Sequence[bytes], timeout_s: float
    ) -> Answer:
        headers = {"content-length": str(sum(map(len, parts)))}
        data = parts[0] if len(parts) == 1 else _stream(parts)
        return await self._send("POST", host, port, target, timeout_s, data, headers)

    async def get(self, host: str, port: int, target: str, timeout_s: float) -> Answer:
        return await self._send("GET", host, port, target, timeout_s, None, {})

    async def close(self) -> None:
        await self._session.close()

    async def _send(
        self,
        method: str,
        host: str,
        port: int,
        target: str,
        timeout_s: float,
        data: bytes | AsyncIterator[bytes] | None,
        headers: dict[str, str],
    ) -> Answer:
        url = f"http://[{host}]:{port}{target}" if ":" in host else f"http://{host}:{port}{target}"
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._session.request(
                method, url, data=data, headers=headers, timeout=timeout
            ) as response:
                return Answer(response.status, await response.read())
        except aiohttp.ClientConnectorError as error:
            raise NotSentError(str(error)) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise InDoubtError(str(error)) from error


async def _stream(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
