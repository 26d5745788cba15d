"""The control plane is imported when it is first asked for, and again where that failed."""

import asyncio
import importlib
from collections.abc import MutableMapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kafkalite.api.data_plane.exchange import Exchange, Receive, Scope, Send
from kafkalite.api.lazy_control import LazyControl
from kafkalite.broker.broker import Broker


class _Imports:
    """Stands for the import of the control plane: counts, and fails as often as it is told."""

    def __init__(self, failures: int) -> None:
        self.count = 0
        self._failures = failures

    def __call__(self, _name: str) -> object:
        self.count += 1
        if self.count <= self._failures:
            raise OSError("Too many open files")
        return SimpleNamespace(make_control_app=lambda _broker: _answer)


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    await Exchange(scope, receive, send).respond(200, b"text/plain", b"")


async def _ask(control: LazyControl) -> int:
    """The status of an answer."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("nothing is to be read")

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await control({"type": "http", "path": "/healthz", "headers": []}, receive, send)
    status: int = sent[0]["status"]
    return status


def _control(monkeypatch: pytest.MonkeyPatch, imports: _Imports) -> LazyControl:
    monkeypatch.setattr(importlib, "import_module", imports)
    return LazyControl(cast("Broker", None))


def test_requests_that_come_together_share_one_import(monkeypatch: pytest.MonkeyPatch) -> None:
    imports = _Imports(failures=0)

    async def scenario() -> list[int]:
        control = _control(monkeypatch, imports)
        return list(await asyncio.gather(_ask(control), _ask(control), _ask(control)))

    assert asyncio.run(scenario()) == [200, 200, 200]
    assert imports.count == 1


def test_import_is_tried_again_when_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> list[int]:
        control = _control(monkeypatch, _Imports(failures=1))
        return [await _ask(control), await _ask(control)]

    assert asyncio.run(scenario()) == [500, 200]
