"""The control plane, made when it is first needed: importing FastAPI takes longer than all else."""

import asyncio
import importlib
from typing import cast

from kafkalite.api.asgi import AsgiApp
from kafkalite.api.exchange import Receive, Scope, Send
from kafkalite.broker.broker import Broker


class LazyControl:
    """ASGI application that becomes the control plane of `api/control.py`.

    The import runs in a thread, so that records flow meanwhile; requests to the control plane wait
    for it.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._app: AsgiApp | None = None
        self._making: asyncio.Task[AsgiApp] | None = None

    def prepare(self) -> None:
        """Begin to make it, without waiting."""
        if self._making is None:
            self._making = asyncio.create_task(self._make(), name="make-control-plane")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            self.prepare()
            assert self._making is not None
            self._app = await asyncio.shield(self._making)
        await self._app(scope, receive, send)

    async def _make(self) -> AsgiApp:
        module = await asyncio.to_thread(importlib.import_module, "kafkalite.api.control")
        return cast("AsgiApp", module.make_control_app(self._broker))
