"""Runs a scenario against the control plane of a broker that is not there."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from tests.support.fake_broker import FakeBroker, control_plane

Scenario = Callable[[httpx.AsyncClient], Awaitable[None]]


def run(scenario: Scenario, broker: FakeBroker | None = None) -> None:
    """Give `scenario` a client of `broker`, by default of one that is alone."""

    async def scene() -> None:
        async with control_plane(broker or FakeBroker()) as client:
            await scenario(client)

    asyncio.run(scene())


def refusal(response: httpx.Response) -> tuple[int, str, str]:
    """Status, Kafka's name of the error and what happened, of a problem document."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    document: dict[str, Any] = response.json()
    return response.status_code, document["error"], document["detail"]
