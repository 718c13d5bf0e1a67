"""What can go wrong between a sender and an HTTP receiver, on purpose: in a given order, or by chance."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable


@dataclass(frozen=True, slots=True)
class Status:
    """Answered so, and nothing was stored."""

    status: int
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class LostReply:
    """Stored, and the connection ends before a word of the answer."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection ends, and nothing was stored."""


@dataclass(frozen=True, slots=True)
class Slow:
    """Stored and answered, later."""

    by_s: float


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """The request is read and nothing ever comes back; nothing was stored."""


Fault = Status | LostReply | Reset | Slow | HalfOpen
COMMON_FAULTS: tuple[Fault, ...] = (Status(429, "0"), Status(500), Status(503), LostReply(), Reset(), Slow(0.05))


class Faults:
    """One for each request, oldest first; when none is left, by chance a share of the requests."""

    def __init__(self, *, seed: int = 0) -> None:
        self.next: deque[Fault] = deque()
        self.always: Fault | None = None
        self.share = 0.0
        self.happened = 0
        self._random = random.Random(seed)
        self._released = asyncio.Event()

    def then(self, *faults: Fault) -> None:
        self.next.extend(faults)

    def take(self, kinds: Iterable[Fault] = COMMON_FAULTS) -> Fault | None:
        fault = self.next.popleft() if self.next else self.always
        if fault is None and self._random.random() < self.share:
            fault = self._random.choice(tuple(kinds))
        self.happened += fault is not None
        return fault

    def release(self) -> None:
        """Let requests that wait for ever go."""
        self._released.set()

    async def around(
        self, request: web.Request, handle: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Handle the request, or not, as the next fault says."""
        match self.take():
            case None:
                return await handle(request)
            case Status(status, retry_after):
                await request.read()
                headers = {} if retry_after is None else {"Retry-After": retry_after}
                return web.json_response({"error": "injected"}, status=status, headers=headers)
            case LostReply():
                await handle(request)
                return _cut(request)
            case Reset():
                return _cut(request)
            case Slow(by_s):
                await asyncio.sleep(by_s)
                return await handle(request)
            case HalfOpen():
                await request.read()
                await self._released.wait()
                return _cut(request)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
