"""The simulated loop: time, processes, and the same order every time."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from tests.simulation.loop import LivelockError, SimulatedLoop
from tests.simulation.process import Process

Story = Callable[[SimulatedLoop], Coroutine[Any, Any, Any]]


def _run(story: Story, seed: int = 0) -> Any:
    complaints: list[object] = []
    loop = SimulatedLoop(Random(seed), lambda _, context: complaints.append(context))
    outcome = loop.run(story(loop))
    assert not complaints
    return outcome


def test_time_is_virtual() -> None:
    async def story(loop: SimulatedLoop) -> float:
        await asyncio.sleep(3_600)
        return loop.time()

    assert _run(story) == 3_600


def test_killed_process_runs_no_finally() -> None:
    async def story(loop: SimulatedLoop) -> list[str]:
        said: list[str] = []

        async def work() -> None:
            try:
                await asyncio.sleep(1)
            finally:
                said.append("cleaned up")

        process = Process(loop, "one")
        process.spawn(work())
        await asyncio.sleep(0.5)
        process.kill()
        await asyncio.sleep(5)
        return list(said)

    assert _run(story) == []


def test_stopped_process_does_what_it_missed_when_it_is_continued() -> None:
    async def story(loop: SimulatedLoop) -> list[float]:
        at: list[float] = []

        async def work() -> None:
            await asyncio.sleep(1)
            at.append(loop.time())

        process = Process(loop, "one")
        process.spawn(work())
        await asyncio.sleep(0.5)
        process.stop()
        await asyncio.sleep(9.5)
        process.resume()
        await asyncio.sleep(0.1)
        return at

    assert _run(story) == [10]


def test_callbacks_of_one_process_keep_their_order_and_seeds_mix_those_of_several() -> None:
    async def story(loop: SimulatedLoop) -> str:
        said: list[str] = []
        for name in "abc":
            process = Process(loop, name)
            for number in range(3):
                process.call(said.append, f"{name}{number}")
        await asyncio.sleep(1)
        return " ".join(said)

    orders = {_run(story, seed) for seed in range(20)}
    assert len(orders) > 1
    for order in orders:
        for name in "abc":
            assert [word for word in order.split() if word[0] == name] == [
                f"{name}{number}" for number in range(3)
            ]


def test_executor_takes_its_time_and_gives_the_result() -> None:
    async def story(loop: SimulatedLoop) -> tuple[int, bool]:
        before = loop.time()
        return await asyncio.to_thread(lambda: 7), loop.time() > before

    assert _run(story) == (7, True)


def test_loop_that_spins_without_time_going_by_is_an_error() -> None:
    async def story(_: SimulatedLoop) -> None:
        while True:  # noqa: ASYNC110 - that is what it is about
            await asyncio.sleep(0)

    with pytest.raises(LivelockError):
        _run(story)


def test_time_passes_for_who_looks_again_at_once() -> None:
    async def story(loop: SimulatedLoop) -> int:
        looks = 0
        while loop.time() < 1.001 and looks < 1_000:
            await asyncio.sleep(1 if looks == 0 else 1e-18)  # less than a float can tell from none
            looks += 1
        return looks

    assert 1 < _run(story) < 1_000
