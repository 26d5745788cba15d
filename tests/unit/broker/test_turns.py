"""Those who were woken together go on one after the other."""

import asyncio

from kafkalite.broker.turns import Turn, Turns


async def _until_done(turn: asyncio.Future[None]) -> None:
    await asyncio.wait_for(turn, 10)


def test_many_go_on_in_their_order_and_not_at_once() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        turns = Turns()
        waiting: list[Turn] = [loop.create_future() for _ in range(40)]
        last = turns.give(waiting)
        done: list[int] = []
        while not last.done():
            done.append(sum(each.done() for each in waiting))
            assert all(each.done() for each in waiting[: done[-1]])
            await asyncio.sleep(0)
        assert done[0] == 8
        assert len(set(done)) > 1, "others have their turn in between"

    asyncio.run(scenario())


def test_few_go_on_at_once() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        waiting: list[Turn] = [loop.create_future() for _ in range(3)]
        last = Turns().give(waiting)
        assert all(each.done() for each in (*waiting, last))

    asyncio.run(scenario())


def test_who_has_gone_is_passed_over() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        turns = Turns()
        waiting: list[Turn] = [loop.create_future() for _ in range(20)]
        for each in waiting[3:]:
            each.cancel()
        first = turns.give(waiting)
        assert first.done(), "those that have gone are not waited for"
        second = turns.give([])
        await _until_done(second)

    asyncio.run(scenario())


def test_one_queue_is_for_all() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        turns = Turns()
        many: list[Turn] = [loop.create_future() for _ in range(40)]
        one: Turn = loop.create_future()
        turns.give(many)
        last = turns.give([one])
        assert not one.done()
        await _until_done(last)
        assert one.done()
        assert many[-1].done()

    asyncio.run(scenario())
