"""Ends HTTP connections that do not bring a whole request in time: aiohttp itself waits for one for ever.

A connection counts from when it is first seen without a request, so one that is kept alive between two requests has the
same time again. WebSocket sessions are requests as long as they last; they have deadlines of their own.

It reads private attributes of aiohttp's handler; its test fails if they change.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web
    from aiohttp.web_protocol import RequestHandler

_LOOKS_PER_DEADLINE = 4


class RequestDeadline:
    """Watches one server's connections between `start` and `stop`."""

    def __init__(self, server: web.Server, deadline_ms: int) -> None:
        self._server = server
        self._deadline_s = deadline_ms / 1_000
        self._waiting_since_s: dict[tuple[RequestHandler, int], float] = {}
        """By connection and the number of requests that it has brought."""
        self._next_look: asyncio.TimerHandle | None = None

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._next_look = loop.call_later(self._deadline_s / _LOOKS_PER_DEADLINE, self._look)

    def stop(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None

    def _look(self) -> None:
        now_s = asyncio.get_running_loop().time()
        waiting = [
            (handler, handler._request_count)
            for handler in self._server.connections
            if handler._current_request is None
        ]
        self._waiting_since_s = {key: self._waiting_since_s.get(key, now_s) for key in waiting}
        for (handler, _), since_s in self._waiting_since_s.items():
            if now_s - since_s >= self._deadline_s and handler.transport is not None:
                handler.transport.abort()
        self.start()
