"""A simulated network of HTTP: delays, reordering, cuts in one direction or both, dead hosts.

What listens is an ASGI application in its own process; the HTTP server and the bytes of HTTP are
left out, everything above them is the product's. A request travels as TCP would have it: while its
way is cut it is sent again and again, so that it may arrive long after whoever sent it gave up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from random import Random
from typing import Any, Final

from kafkalite.transport.errors import (
    PeerBrokenError,
    PeerRefusedError,
    PeerTimeoutError,
    PeerUnreachableError,
)
from kafkalite.transport.peer_reply import PeerReply
from tests.simulation.loop import SimulatedLoop
from tests.simulation.process import CURRENT, Process

AsgiApp = Callable[..., Awaitable[None]]

_RETRANSMIT_S: Final = 0.2
_MAX_RETRANSMIT_S: Final = 3.0
_GIVES_UP_S: Final = 20.0
_GRACE_S: Final = 5.0
_ODDS_SLOW: Final = 0.02
_ODDS_SENT_ALL_THE_SAME: Final = 0.5


class Listener:
    """Someone who listens on an address."""

    def __init__(self, network: "Network", process: Process, address: str, app: AsgiApp) -> None:
        self.process = process
        self.address = address
        self.app = app
        self.machine = _name_of(process)
        self.calls: dict[_Call, None] = {}
        """Requests in work."""
        self._network = network
        self.is_open = True
        process.when_dead.append(self._process_died)

    async def stop(self) -> None:
        """Listen no longer; return when requests in work are answered, or had their time."""
        self.is_open = False
        self._network.forget(self)
        deadline = self.process.loop.time() + _GRACE_S
        while self.calls and self.process.loop.time() < deadline:  # noqa: ASYNC110 - no event here
            await asyncio.sleep(0.01)
        for call in list(self.calls):
            call.break_from(self.machine)
            call.hang_up()

    def _process_died(self) -> None:
        self.is_open = False
        self._network.forget(self)
        for call in list(self.calls):
            call.break_from(self.machine)


class _Call:
    """One request and its answer."""

    def __init__(self, network: "Network", source: Process, listener: Listener) -> None:
        self.source = source
        self.listener = listener
        self.reply: asyncio.Future[PeerReply] = network.loop.create_future()
        self._network = network
        self._gone: asyncio.Future[None] | None = None
        self._is_gone = False

    # -- at the side that asks ------------------------------------------------------------------

    def answer(self, reply: PeerReply) -> None:
        if not self.reply.done():
            self.reply.set_result(reply)

    def fail(self, error: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(error)
            self.reply.exception()  # whoever asked may be gone

    # -- at the side that is asked --------------------------------------------------------------

    def break_from(self, machine: str) -> None:
        """The connection ends at `machine`, whose kernel tells the other side."""
        source = _name_of(self.source)
        if machine == source:
            self._network.send(source, self.listener.machine, self.hang_up)
        else:
            error = PeerBrokenError(f"The connection to {self.listener.address} broke")
            self._network.send(machine, source, self.fail, error)

    def hang_up(self) -> None:
        """The side that asks is gone."""
        self._is_gone = True
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def serve(self, scope: MutableMapping[str, Any], body: bytes) -> None:
        """The request arrived."""
        listener = self.listener
        if not listener.is_open:
            self.break_from(listener.machine)
            return
        listener.calls[self] = None
        listener.process.spawn(self._serve(scope, body), "http-request")

    async def _serve(self, scope: MutableMapping[str, Any], body: bytes) -> None:
        parts: list[bytes] = []
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])
        status = 0
        is_answered = False
        headers: dict[str, str] = {}

        async def receive() -> dict[str, Any]:
            for message in messages:
                return message
            if not self._is_gone:
                if self._gone is None:
                    self._gone = asyncio.get_running_loop().create_future()
                await asyncio.wait((self._gone,))
            return {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            nonlocal status, is_answered
            if message["type"] == "http.response.start":
                status = message["status"]
                headers.update(
                    (name.decode(), text.decode("latin-1")) for name, text in message["headers"]
                )
                return
            parts.append(bytes(message.get("body", b"")))
            if not message.get("more_body", False):
                is_answered = True
                reply = PeerReply(status, headers, b"".join(parts))
                self._network.send(self.listener.machine, _name_of(self.source), self.answer, reply)

        try:
            await self.listener.app(scope, receive, send)
        finally:
            if not self.listener.process.is_dead:
                self.listener.calls.pop(self, None)
                if not is_answered:
                    self.break_from(self.listener.machine)


class Network:
    """All machines' connections."""

    def __init__(self, loop: SimulatedLoop, random: Random) -> None:
        self.loop = loop
        self._random = random
        self.cut: set[tuple[str, str]] = set()
        """Ways on which nothing gets through: from machine, to machine."""
        self.refused: set[tuple[str, str]] = set()
        """Ways on which connections are refused, whoever listens."""
        self.off: set[str] = set()
        """Machines without power: they do not even refuse."""
        self.slowness: dict[tuple[str, str], float] = {}
        self._listeners: dict[str, Listener] = {}
        self._machines: dict[str, str] = {}
        self._known: set[tuple[Process, Listener]] = set()
        """Processes that have a connection to a listener."""
        self._calls: dict[Process, dict[_Call, None]] = {}
        self._generation: dict[str, int] = {}

    # -- listening ------------------------------------------------------------------------------

    def listen(self, process: Process, address: str, app: AsgiApp) -> Listener:
        """Serve `address`, host:port, from now on."""
        listener = Listener(self, process, address, app)
        self._listeners[address] = listener
        self._machines[address] = listener.machine
        return listener

    def forget(self, listener: Listener) -> None:
        """Someone listens no longer; whoever has a connection learns it soon."""
        if self._listeners.get(listener.address) is listener:
            del self._listeners[listener.address]

    def turn_off(self, machine: str) -> None:
        self.off.add(machine)
        self._generation[machine] = self._generation.get(machine, 0) + 1

    # -- asking ---------------------------------------------------------------------------------

    async def exchange(
        self,
        address: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
    ) -> PeerReply:
        """Send a request from the running process, and wait for its answer.

        Raises:
            PeerError: as `Peers` says.
        """
        listener: Listener | None = None
        call: _Call | None = None
        source = CURRENT.get()
        try:
            async with asyncio.timeout(timeout_s):
                listener = await self._connect(source, address)
                call = _Call(self, source, listener)
                self._track(call)
                scope = _scope(method, target, headers, len(body))
                self._send_request(call, scope, body)
                return await call.reply
        except TimeoutError as error:
            if call is None:
                raise PeerUnreachableError(f"No connection to {address}") from error
            raise PeerTimeoutError(f"No answer from {address} in {timeout_s} s") from error
        finally:
            if call is not None:
                self._calls[source].pop(call, None)
                if not call.reply.done() or call.reply.cancelled():
                    call.break_from(_name_of(source))

    async def refuses(self, address: str, timeout_s: float) -> bool:
        """Whether a connection is refused, tried now."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._shake_hands(CURRENT.get(), address)
        except PeerRefusedError:
            return True
        except TimeoutError:
            return False
        return False

    async def _connect(self, source: Process, address: str) -> Listener:
        listener = self._listeners.get(address)
        is_refused = listener is not None and (_name_of(source), listener.machine) in self.refused
        if listener is not None and (source, listener) in self._known and not is_refused:
            return listener
        listener = await self._shake_hands(source, address)
        self._known.add((source, listener))
        return listener

    async def _shake_hands(self, source: Process, address: str) -> Listener:
        machine = self._machines.get(address, address.partition(":")[0])
        here = _name_of(source)
        done: asyncio.Future[Listener] = self.loop.create_future()

        def arrive() -> None:
            is_refused = (here, machine) in self.refused
            self.send(machine, here, conclude, None if is_refused else self._listeners.get(address))

        def conclude(listener: Listener | None) -> None:
            if done.done():
                return
            if listener is None:
                done.set_exception(PeerRefusedError(f"Nobody listens at {address}"))
                done.exception()
            else:
                done.set_result(listener)

        self.send(here, machine, arrive)
        return await done

    def _track(self, call: _Call) -> None:
        source = call.source
        calls = self._calls.get(source)
        if calls is None:
            calls = self._calls[source] = {}
            source.when_dead.append(lambda: self._hang_up_all(source))
        calls[call] = None

    def _hang_up_all(self, source: Process) -> None:
        for call in list(self._calls[source]):
            call.break_from(_name_of(source))

    def _send_request(self, call: _Call, scope: dict[str, Any], body: bytes) -> None:
        stays = self._random.random() < _ODDS_SENT_ALL_THE_SAME

        def arrive() -> None:
            if stays or not call.reply.done():
                call.serve(scope, body)

        self.send(_name_of(call.source), call.listener.machine, arrive)

    # -- packets --------------------------------------------------------------------------------

    def send(self, source: str, target: str, arrive: Callable[..., object], *args: object) -> None:
        """Have `arrive` called in the world when something from one machine is at the other."""
        random = self._random
        delay = random.uniform(0.00005, 0.0005)
        if random.random() < _ODDS_SLOW:
            delay *= random.uniform(10, 100)
        delay *= self.slowness.get((source, target), 1.0)
        packet = _Packet(self, source, target, arrive, args)
        self.loop.world.call_later(delay, packet.arrive)

    def generations(self, source: str, target: str) -> tuple[int, int]:
        """What changes when a machine loses its power, and its connections with it."""
        return self._generation.get(source, 0), self._generation.get(target, 0)


class _Packet:
    """Something on its way, sent again while the way is cut."""

    def __init__(
        self,
        network: Network,
        source: str,
        target: str,
        arrived: Callable[..., object],
        args: Sequence[object],
    ) -> None:
        self._network = network
        self._way = source, target
        self._arrived = arrived
        self._args = args
        self._generations = network.generations(source, target)
        self._is_dead = source in network.off
        self._pause_s = _RETRANSMIT_S
        self._gives_up_at = network.loop.time() + _GIVES_UP_S

    def arrive(self) -> None:
        network = self._network
        if self._is_dead or network.generations(*self._way) != self._generations:
            return
        if self._way in network.cut or self._way[1] in network.off:
            if network.loop.time() < self._gives_up_at:
                network.loop.world.call_later(self._pause_s, self.arrive)
                self._pause_s = min(2 * self._pause_s, _MAX_RETRANSMIT_S)
            return
        self._arrived(*self._args)


def _scope(method: str, target: str, headers: Mapping[str, str], body_bytes: int) -> dict[str, Any]:
    path, _, query = target.partition("?")
    raw = [(name.lower().encode(), text.encode("latin-1")) for name, text in headers.items()]
    raw.append((b"content-length", b"%d" % body_bytes))
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": raw,
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "server": ("simulated", 80),
        "client": ("simulated", 1),
        "asgi": {"version": "3.0"},
    }


def _name_of(process: Process) -> str:
    return process.machine.name if process.machine is not None else process.name
