"""The control plane, made when it is first needed: importing FastAPI takes longer than all else."""

import asyncio
import importlib
from typing import cast

from kafkalite.api.data_plane.exchange import AsgiApp, Exchange, Receive, Scope, Send
from kafkalite.api.errors import problem_response, unexpected
from kafkalite.broker.broker import Broker


class LazyControl:
    """ASGI application that becomes the control plane of `api/control.py`.

    The import runs in a thread, so that records flow meanwhile; requests to the control plane wait
    for it. Where it fails (no descriptor is free, say) they are told, and the next one tries again.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._app: AsgiApp | None = None
        self._making: asyncio.Task[AsgiApp] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            try:
                self._app = await self._made()
            except Exception as error:  # noqa: BLE001 - an import may raise whatever it likes
                exchange = Exchange(scope, receive, send)
                problem = problem_response(unexpected(error, exchange.request_id))
                await exchange.refuse(problem)
                return
        await self._app(scope, receive, send)

    async def _made(self) -> AsgiApp:
        making = self._making
        if making is None or (making.done() and making.exception() is not None):
            making = asyncio.create_task(self._make(), name="make-control-plane")
            self._making = making
        return await asyncio.shield(making)

    async def _make(self) -> AsgiApp:
        module = await asyncio.to_thread(importlib.import_module, "kafkalite.api.control")
        return cast("AsgiApp", module.make_control_app(self._broker))
