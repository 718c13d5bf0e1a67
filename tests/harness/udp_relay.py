"""A UDP relay that is a bad network on purpose: delay, loss, doubling, other orders, narrow ways, silence, new ports.

All chances come from a seed. Each way writes down what became of every packet, so that a test can say what must have
been lost. The relay's own lateness is in `late_ms`: what it added to the delay that it was told to have.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import socket
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

Address = tuple[str, int]

_BUFFER_BYTES = 4 * 1024 * 1024
"""Of each socket: what is lost is lost by the relay's dice, not by a full buffer."""


@dataclass(frozen=True, slots=True)
class Way:
    """How one direction treats packets. Shares are of 1; each packet is rolled for by itself."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    """Up to so much more delay. Packets keep their order all the same."""
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    """This share of packets comes `reorder_by_ms` later than its place."""
    reorder_by_ms: float = 15.0
    bytes_per_s: float | None = None


class Fate(Enum):
    passed = "passed"
    lost = "lost"
    swallowed = "swallowed"


@dataclass(frozen=True, slots=True)
class Passage:
    """What became of one packet; `copies` that went on."""

    at_s: float
    packet: bytes
    fate: Fate
    copies: int


@dataclass
class Direction:
    """One way through the relay, while it runs. `way` and `is_swallowed` may be changed at any time."""

    way: Way
    is_swallowed: bool = False
    log: list[Passage] = field(default_factory=list)
    free_at_s: float = 0.0
    """When the narrow way has room again."""
    last_due_at_s: float = 0.0

    def packets(self, fate: Fate) -> list[bytes]:
        return [passage.packet for passage in self.log if passage.fate is fate]


class UdpRelay:
    """From a port of its own (`port`) to one of `to_host`. Use as an async context."""

    def __init__(
        self, to_port: int, *, there: Way = Way(), back: Way = Way(), seed: int = 0, to_host: str = "127.0.0.1"
    ) -> None:
        self.port = 0
        self.there = Direction(there)
        self.back = Direction(back)
        self.late_ms: list[float] = []
        self._to: Address = (to_host, to_port)
        self._dice = random.Random(seed)
        self._front: socket.socket | None = None
        self._upstreams: dict[Address, socket.socket] = {}
        self._waiting: list[tuple[float, int, Callable[[bytes], None], bytes]] = []
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None

    def swallow(self, *, there: bool = True, back: bool = True) -> None:
        self.there.is_swallowed = self.there.is_swallowed or there
        self.back.is_swallowed = self.back.is_swallowed or back

    def open(self) -> None:
        self.there.is_swallowed = self.back.is_swallowed = False

    def rebind(self) -> None:
        """Clients have other ports towards the server from here on; what comes to the old ones is lost."""
        for upstream in self._upstreams.values():
            self._close(upstream)
        self._upstreams.clear()

    def retarget(self, to_port: int) -> None:
        """Packets go to another port from here on."""
        self._to = (self._to[0], to_port)
        self.rebind()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._front = self._socket()
        self._front.bind(("127.0.0.1", 0))
        self.port = self._front.getsockname()[1]
        self._loop.add_reader(self._front, self._from_clients)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.rebind()
        if self._front is not None:
            self._close(self._front)
            self._front = None

    def _socket(self) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            made.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        return made

    def _close(self, made: socket.socket) -> None:
        self._loop.remove_reader(made)
        made.close()

    def _from_clients(self) -> None:
        assert self._front is not None
        while True:
            try:
                packet, client = self._front.recvfrom(65_536)
            except OSError:  # nothing more, or an ICMP error of a client that is gone
                return
            self._pass(self.there, packet, partial(self._to_server, client))

    def _from_server(self, upstream: socket.socket, client: Address) -> None:
        while True:
            try:
                packet = upstream.recv(65_536)
            except OSError:
                return
            self._pass(self.back, packet, partial(self._to_client, client))

    def _to_server(self, client: Address, packet: bytes) -> None:
        upstream = self._upstreams.get(client)
        if upstream is None:
            upstream = self._upstreams[client] = self._socket()
            upstream.connect(self._to)
            self._loop.add_reader(upstream, self._from_server, upstream, client)
        _send(partial(upstream.send, packet))

    def _to_client(self, client: Address, packet: bytes) -> None:
        front = self._front
        if front is not None:
            _send(partial(front.sendto, packet, client))

    def _pass(self, direction: Direction, packet: bytes, send: Callable[[bytes], None]) -> None:
        now_s = self._loop.time()
        way, dice = direction.way, self._dice
        fate = Fate.swallowed if direction.is_swallowed else Fate.lost if dice.random() < way.loss else Fate.passed
        copies = 0 if fate is not Fate.passed else 2 if dice.random() < way.duplicate else 1
        direction.log.append(Passage(now_s, packet, fate, copies))
        for _ in range(copies):
            self._send_at(self._due_at_s(direction, len(packet), now_s), packet, send)

    def _due_at_s(self, direction: Direction, size: int, now_s: float) -> float:
        way, dice = direction.way, self._dice
        due_at_s = now_s + (way.delay_ms + way.jitter_ms * dice.random()) / 1_000
        if way.bytes_per_s is not None:
            direction.free_at_s = max(direction.free_at_s, now_s) + size / way.bytes_per_s
            due_at_s += direction.free_at_s - now_s
        if dice.random() < way.reorder:
            return due_at_s + way.reorder_by_ms / 1_000
        direction.last_due_at_s = max(direction.last_due_at_s, due_at_s)
        return direction.last_due_at_s

    def _send_at(self, due_at_s: float, packet: bytes, send: Callable[[bytes], None]) -> None:
        if due_at_s <= self._loop.time() and not self._waiting:
            send(packet)
            return
        self._number += 1
        heapq.heappush(self._waiting, (due_at_s, self._number, send, packet))
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._waiting[0][0], self._send_due) if self._waiting else None

    def _send_due(self) -> None:
        now_s = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now_s + 0.000_5:
            due_at_s, _, send, packet = heapq.heappop(self._waiting)
            self.late_ms.append(max(0.0, now_s - due_at_s) * 1_000)
            send(packet)
        self._arm()


def _send(send: Callable[[], int]) -> None:
    try:
        send()
    except OSError:
        return  # nobody listens there (an ICMP error of an earlier packet), or the buffer is full: a network loses it
