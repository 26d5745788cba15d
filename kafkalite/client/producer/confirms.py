"""Publisher confirms, as people of RabbitMQ know them.

One by one          producer.send(...).result(timeout)
In a batch          confirms.track(producer.send(...)) for each, then wait_for_confirms(timeout)
As they come        Confirms(on_ack=..., on_nack=...), and track
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from kafkalite.client.producer.delivery import Delivery
from kafkalite.client.producer.record_metadata import RecordMetadata


class Confirms:
    """Numbers records that are sent, and tells of each whether it was stored.

    Tags count from 1 in the order of `track`. Callbacks run where deliveries' do, on the thread of
    the producer's input and output, and must not block. Any thread may use it; with an
    AsyncProducer wait with `confirmed`.
    """

    def __init__(
        self,
        on_ack: Callable[[int, RecordMetadata], object] | None = None,
        on_nack: Callable[[int, Exception], object] | None = None,
    ) -> None:
        """Assign only.

        Args:
            on_ack: called with the tag of a record that was stored, and where.
            on_nack: called with the tag of one that was not, or of which nobody knows, and why.
        """
        self._on_ack = on_ack
        self._on_nack = on_nack
        self._changed = threading.Condition()
        self._last_tag = 0
        self._open: set[int] = set()
        self._has_nack = False
        """Since the last wait that told of it."""
        self._waiters: list[Callable[[], object]] = []

    @property
    def outstanding(self) -> int:
        """Records of which it is not known yet."""
        return len(self._open)

    def track(self, delivery: Delivery) -> int:
        """Await the confirm of a record; gives its tag."""
        with self._changed:
            self._last_tag += 1
            tag = self._last_tag
            self._open.add(tag)
        delivery.add_done_callback(lambda done: self._settle(tag, done))
        return tag

    def wait_for_confirms(self, timeout: float | None = None) -> bool:
        """Wait until it is known of each record; gives whether all since the last wait are stored.

        Raises:
            TimeoutError: it is not known of some after `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._open, timeout):
                raise TimeoutError(f"{len(self._open)} records are not confirmed")
            return self._take_outcome()

    async def confirmed(self) -> bool:
        """As `wait_for_confirms`, on a loop; bound it with `asyncio.timeout`."""
        loop = asyncio.get_running_loop()
        with self._changed:
            settled = asyncio.Event()
            if self._open:
                self._waiters.append(partial(_set_on, loop, settled))
            else:
                settled.set()
        await settled.wait()
        with self._changed:
            return self._take_outcome()

    def _take_outcome(self) -> bool:
        has_nack, self._has_nack = self._has_nack, False
        return not has_nack

    def _settle(self, tag: int, delivery: Delivery) -> None:
        error = delivery.exception(0)
        try:
            if error is not None and self._on_nack is not None:
                self._on_nack(tag, error)
            elif error is None and self._on_ack is not None:
                self._on_ack(tag, delivery.result(0))
        finally:
            with self._changed:
                self._has_nack = self._has_nack or error is not None
                self._open.discard(tag)
                if not self._open:
                    waiters, self._waiters = self._waiters, []
                    for wake in waiters:
                        wake()
                    self._changed.notify_all()


def _set_on(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Set `event`, which tasks of `loop` wait for, unless that has ended."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(event.set)
