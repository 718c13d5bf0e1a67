"""One link of the lab for UDP: a relay in user space that delays, loses or swallows packets, and never mends them.

These must stay true:
  - A packet is one packet on the other side, or none: what is lost, or comes while the link is dark, is gone for good.
  - Packets keep their order.
  - Each client has a port of its own towards the target, as behind a NAT, until `reset` or a long silence.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import deque
from typing import TYPE_CHECKING

from regions.lab.conditions import transmission_s, worst_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from regions.lab.conditions import Conditions

_BUFFER_BYTES = 4 * 1_048_576
_LATENESS_KEPT = 20_000
_MOST_HELD = 4_096
"""Packets one way of one client; more are lost, as in a router."""
_FORGET_S = 120.0

Address = tuple[str, int]


class UdpLink:
    """From a port of its own on `host` to a target. `lateness_s`: of the last packets, what it added by itself."""

    def __init__(self, host: str, conditions: Conditions, *, seed: int = 0) -> None:
        self.host = host
        self.port = 0
        self.conditions = conditions
        self.is_dark = False
        self.lateness_s: deque[float] = deque(maxlen=_LATENESS_KEPT)
        self.dice = random.Random(seed)
        self.lost = 0
        """Packets, of which nothing more will be heard."""
        self._target: Address | None = None
        self._front: asyncio.DatagramTransport | None = None
        self._flows: dict[Address, _Flow] = {}

    async def start(self, port: int = 0) -> None:
        """Listen. Raises OSError."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Front(self), sock=_bound(self.host, port))
        self._front = transport
        self.port = transport.get_extra_info("sockname")[1]

    def aim(self, host: str, port: int) -> None:
        """Where packets go from here on. Clients get other ports towards it."""
        if self._target != (host, port):
            self._target = (host, port)
            self.reset()

    def darken(self) -> None:
        self.is_dark = True

    def light(self) -> None:
        self.is_dark = False

    def reset(self) -> None:
        """Forget the clients' ports, as a router does that restarts; they get others with their next packets."""
        for flow in self._flows.values():
            flow.stop()
        self._flows.clear()

    def figures(self) -> dict[str, float]:
        return worst_of(self.lateness_s)

    async def stop(self) -> None:
        self.reset()
        if self._front is not None:
            self._front.close()

    def from_client(self, packet: bytes, client: Address) -> None:
        if self._target is None:
            self.lost += 1
            return
        now_s = asyncio.get_running_loop().time()
        flow = self._flows.get(client)
        if flow is None:
            self._forget_silent(now_s)
            flow = self._flows[client] = _Flow(self, client, self._target)
        flow.used_at_s = now_s
        flow.there.take(packet)

    def to_client(self, packet: bytes, client: Address) -> None:
        if self._front is not None:
            self._front.sendto(packet, client)

    def _forget_silent(self, now_s: float) -> None:
        for client in [client for client, flow in self._flows.items() if now_s - flow.used_at_s > _FORGET_S]:
            self._flows.pop(client).stop()


class _Front(asyncio.DatagramProtocol):
    """Where clients send to."""

    def __init__(self, link: UdpLink) -> None:
        self._link = link

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._link.from_client(data, addr)


class _Flow:
    """One client, and its port towards the target."""

    def __init__(self, link: UdpLink, client: Address, target: Address) -> None:
        self.used_at_s = 0.0
        self.there = _Way(link, self._to_target)
        self.back = _Way(link, self._to_client)
        self._link = link
        self._client = client
        self._socket = _bound("", 0)
        self._socket.connect(target)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._from_target)

    def stop(self) -> None:
        self.there.stop()
        self.back.stop()
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()

    def _from_target(self) -> None:
        while True:
            try:
                packet = self._socket.recv(65_536)
            except OSError:  # no more, or nobody listens there: the client is not told, as behind a firewall
                return
            self.back.take(packet)

    def _to_target(self, packet: bytes) -> None:
        try:
            self._socket.send(packet)
        except OSError:  # nobody listens there, or its buffer is full
            self._link.lost += 1

    def _to_client(self, packet: bytes) -> None:
        self._link.to_client(packet, self._client)


class _Way:
    """What goes one way of one flow: a queue with a time for each packet."""

    def __init__(self, link: UdpLink, send: Callable[[bytes], None]) -> None:
        self._link = link
        self._send = send
        self._queue: deque[tuple[float, bytes]] = deque()
        self._last_due_s = 0.0
        self._free_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def take(self, packet: bytes) -> None:
        link, conditions = self._link, self._link.conditions
        if link.is_dark or len(self._queue) >= _MOST_HELD or link.dice.random() * 1_000 < conditions.loss_permille:
            link.lost += 1
            return
        now_s = asyncio.get_running_loop().time()
        self._free_at_s = max(self._free_at_s, now_s) + transmission_s(len(packet), conditions)
        travel_s = (conditions.delay_ms + conditions.jitter_ms * link.dice.random()) / 1_000
        self._last_due_s = max(self._last_due_s, self._free_at_s + travel_s)
        self._queue.append((self._last_due_s, packet))
        self._deliver()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._link.lost += len(self._queue)
        self._queue.clear()

    def _deliver(self) -> None:
        """Send what is due, and come back for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._queue:
            due_s, packet = self._queue[0]
            now_s = loop.time()
            if due_s > now_s:
                self._timer = loop.call_at(due_s, self._deliver)
                return
            self._queue.popleft()
            if self._link.is_dark:
                self._link.lost += 1
                continue
            self._link.lateness_s.append(now_s - due_s)
            self._send(packet)


def _bound(host: str, port: int) -> socket.socket:
    """Raises OSError."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            made.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made
