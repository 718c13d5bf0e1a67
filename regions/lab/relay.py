"""One link of the lab: a TCP relay in user space that delays, swallows or breaks what goes through it.

These must stay true:
  - What goes one way of a connection arrives in the order in which it came, however late.
  - While the link is dark nothing arrives, not even that a connection ended; new connections are taken and stay silent,
    as far as the kernel lets a relay: it has answered the caller's SYN already. What was swallowed arrives when the
    link is lit again, as TCP would send it again.
  - What it holds is bounded: a way with more stops reading, and TCP holds the sender.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import deque
from typing import cast

from regions.lab.conditions import Conditions, transmission_s, travel_s, worst_of

_MOST_HELD_BYTES = 8 * 1_048_576
_LATENESS_KEPT = 20_000
_BACKLOG = 1_024


class RelayedLink:
    """From a port of its own on `host` to a target. `lateness_s`: of the last pieces, what it added by itself."""

    def __init__(self, host: str, conditions: Conditions, *, seed: int = 0) -> None:
        self.host = host
        self.port = 0
        self.conditions = conditions
        self.is_dark = False
        self.lateness_s: deque[float] = deque(maxlen=_LATENESS_KEPT)
        self.dice = random.Random(seed)
        self.lit_at_s = 0.0
        self._target: tuple[str, int] | None = None
        self._server: asyncio.Server | None = None
        self._pairs: set[_Pair] = set()
        self._dialling: set[asyncio.Task[None]] = set()
        self._lit = asyncio.Event()
        self._lit.set()

    async def start(self, port: int = 0) -> None:
        """Listen. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._pair, self.host, port, backlog=_BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]

    def aim(self, host: str, port: int) -> None:
        """Where new connections lead."""
        self._target = (host, port)

    def darken(self) -> None:
        self.is_dark = True
        self._lit.clear()

    def light(self) -> None:
        self.is_dark = False
        self.lit_at_s = asyncio.get_running_loop().time()
        self._lit.set()
        for pair in self._pairs:
            pair.go_on()

    def reset(self) -> None:
        """Break all connections, as a machine that restarts does."""
        for pair in list(self._pairs):
            pair.reset()

    @property
    def open_connections(self) -> int:
        return len(self._pairs)

    def figures(self) -> dict[str, float]:
        return worst_of(self.lateness_s)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._dialling:
            task.cancel()
        self.reset()

    def forget(self, pair: _Pair) -> None:
        self._pairs.discard(pair)

    def _pair(self) -> _Side:
        pair = _Pair(self)
        self._pairs.add(pair)
        task = asyncio.get_running_loop().create_task(self._dial(pair))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)
        return pair.near

    async def _dial(self, pair: _Pair) -> None:
        await asyncio.sleep(self.conditions.delay_ms / 1_000)
        await self._lit.wait()
        if self._target is None:
            pair.reset()
            return
        try:
            await asyncio.get_running_loop().create_connection(lambda: pair.far, *self._target)
        except OSError:
            pair.reset()


class _Pair:
    """One connection through the link: the caller's side and the target's."""

    def __init__(self, link: RelayedLink) -> None:
        self.link = link
        self.near = _Side(self)
        self.far = _Side(self)
        self.near.way = _Way(link, self.near, self.far)
        self.far.way = _Way(link, self.far, self.near)

    def go_on(self) -> None:
        self.near.way.deliver()
        self.far.way.deliver()

    def reset(self) -> None:
        for side in (self.near, self.far):
            side.way.stop()
            side.break_off()
        self.link.forget(self)


class _Side(asyncio.Protocol):
    """One end; what comes in at it goes `way`."""

    way: _Way

    def __init__(self, pair: _Pair) -> None:
        self._pair = pair
        self.transport: asyncio.Transport | None = None
        self.is_full = False
        self.is_gone = False
        self._is_given_up = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        made = self.transport.get_extra_info("socket")
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._is_given_up:
            self.break_off()
            return
        self._other.way.deliver()

    @property
    def _other(self) -> _Side:
        return self._pair.near if self is self._pair.far else self._pair.far

    def data_received(self, data: bytes) -> None:
        self.way.take(data)

    def eof_received(self) -> bool:
        self.way.take(None)
        return True  # the way closes it when what came before has arrived

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.is_gone = True
        self.way.take(None)
        self._other.way.deliver()
        if self._other.is_gone:
            self._pair.link.forget(self._pair)

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        self._other.way.deliver()

    def end(self) -> None:
        """Nothing more comes for this side."""
        if self.transport is not None:
            self.transport.close()

    def break_off(self) -> None:
        self._is_given_up = True
        if self.transport is None:
            return
        made = self.transport.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST instead of FIN
        self.transport.abort()
        self.transport = None


class _Way:
    """What goes one way of one connection: a queue with a time for each piece; None is the end."""

    def __init__(self, link: RelayedLink, source: _Side, sink: _Side) -> None:
        self._link = link
        self._source = source
        self._sink = sink
        self._queue: deque[tuple[float, bytes | None]] = deque()
        self._held_bytes = 0
        self._last_due_s = 0.0
        self._free_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False

    def take(self, data: bytes | None) -> None:
        if self._is_over:
            return
        now_s = asyncio.get_running_loop().time()
        num_bytes = 0 if data is None else len(data)
        conditions = self._link.conditions
        self._free_at_s = max(self._free_at_s, now_s) + transmission_s(num_bytes, conditions)
        due_s = self._free_at_s + travel_s(num_bytes, conditions, self._link.dice)
        self._last_due_s = max(self._last_due_s, due_s)
        self._queue.append((self._last_due_s, data))
        self._is_over = data is None
        self._held_bytes += num_bytes
        if self._held_bytes > _MOST_HELD_BYTES and self._source.transport is not None:
            self._source.transport.pause_reading()
        self.deliver()

    def deliver(self) -> None:
        """Write what is due, and come back for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._queue and not self._link.is_dark and not self._sink.is_full:
            due_s, data = self._queue[0]
            if self._sink.is_gone:
                self.stop()
                self._source.end()
                return
            if self._sink.transport is None:
                return  # not connected yet; it asks again when it is
            now_s = loop.time()
            if due_s > now_s:
                self._timer = loop.call_at(due_s, self.deliver)
                return
            self._queue.popleft()
            if due_s > self._link.lit_at_s:
                self._link.lateness_s.append(now_s - due_s)
            self._arrive(data)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._queue.clear()
        self._is_over = True

    def _arrive(self, data: bytes | None) -> None:
        if data is None:
            self._sink.end()
            self._source.end()
            return
        if self._sink.transport is not None:
            self._sink.transport.write(data)
        was_held, self._held_bytes = self._held_bytes, self._held_bytes - len(data)
        if was_held > _MOST_HELD_BYTES >= self._held_bytes and self._source.transport is not None:
            self._source.transport.resume_reading()
