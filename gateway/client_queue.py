"""Messages on their way to one client: bounded, in order, a newer partial in place of an older one.

Filling never waits; one writer task per session waits for the network. A client that does not read fills the queue,
and then it is closed as too slow: its finals are never dropped in silence.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from gateway.wire.messages import FinalMessage, PartialMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.errors import Reason
    from gateway.wire.messages import ServerMessage


class ClientQueue:
    """Filled by the session's runner, emptied by the transport's writer."""

    __slots__ = ("_bound", "_close_reason", "_messages", "_on_close", "_waiter", "partials_replaced")

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._messages: deque[ServerMessage] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._close_reason: Reason | None = None
        self._on_close: Callable[[], None] | None = None
        self.partials_replaced = 0

    def put(self, message: ServerMessage) -> bool:
        """Append; False when the queue is full and the message was not taken."""
        messages = self._messages
        if messages and type(message) is PartialMessage and type(messages[-1]) is PartialMessage:
            messages[-1] = message
            self.partials_replaced += 1
            return True
        if len(messages) >= self._bound:
            return False
        messages.append(message)
        self._wake()
        return True

    def close(self, reason: Reason) -> None:
        """Nothing follows; what is queued is still sent."""
        if self._close_reason is None:
            self._close_reason = reason
            self._wake()
            if self._on_close is not None:
                self._on_close()

    def when_closed(self, call: Callable[[], None]) -> None:
        """Call back once nothing follows: at once, if that is so already."""
        self._on_close = call
        if self._close_reason is not None:
            call()

    def replace_all(self, message: ServerMessage) -> None:
        """For a client that does not read: only the reason for its end is worth sending."""
        self._messages.clear()
        self._messages.append(message)
        self._wake()

    async def take(self) -> tuple[list[ServerMessage], Reason | None]:
        """Wait for messages or the end. The reason comes with the last messages, or after them."""
        while not self._messages and self._close_reason is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        taken = list(self._messages)
        self._messages.clear()
        return taken, self._close_reason

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __len__(self) -> int:
        return len(self._messages)


class OverheardQueue(ClientQueue):
    """Of a session whose finals are kept: `heard` is told of each that the client will be told. It returns at once."""

    __slots__ = ("_heard",)

    def __init__(self, bound: int, heard: Callable[[FinalMessage], None]) -> None:
        super().__init__(bound)
        self._heard = heard

    def put(self, message: ServerMessage) -> bool:
        is_taken = super().put(message)
        if is_taken and type(message) is FinalMessage:
            self._heard(message)
        return is_taken
