import asyncio
from typing import Any

import pytest

from kafkalite.client.consumer.core import ConsumerCore
from kafkalite.client.consumer.polling import polling
from kafkalite.client.consumer.settings import ConsumerSettings


def test_each_poll_tells_of_what_ended_consuming_for_good() -> None:
    async def scenario() -> None:
        nobody: Any = None
        core = ConsumerCore(
            ConsumerSettings.of({}),
            nobody,
            nobody,
            notify=lambda: None,
            call_soon=lambda call: call(),
        )
        core.note_bug(ZeroDivisionError())
        for _ in range(2):
            steps = polling(core, lambda: core.take(1), 60.0)
            assert next(steps) is not None
            with pytest.raises(ZeroDivisionError):
                await core.turn()
            assert core.needs_turn

    asyncio.run(scenario())


def test_what_is_thrown_away_is_so_before_the_fetcher_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nobody: Any = None
    happened: list[object] = []
    core = ConsumerCore(
        ConsumerSettings.of({}),
        nobody,
        nobody,
        notify=lambda: None,
        call_soon=lambda _: happened.append("looks"),
    )
    monkeypatch.setattr(core._hand_out, "reject", lambda *_: happened.append("rejects"))
    core.reject(nobody, nobody)
    assert happened == ["rejects", "looks"]
