"""Commands on their way to one engine: gathered into messages, and bounded.

Adding is the hot path: it costs every chunk of audio of every session.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regions.links.settings import LinkSettings


class Outbox:
    """What waits to be sent on one connection. While `is_broken`, nothing is taken."""

    __slots__ = (
        "_max_commands_per_message",
        "_max_message_bytes",
        "_max_queued_bytes",
        "_messages",
        "_parts",
        "_parts_bytes",
        "_parts_commands",
        "_queued_bytes",
        "_wake",
        "is_broken",
    )

    def __init__(self, settings: LinkSettings) -> None:
        # A pydantic model's attributes cost more than the rest of queueing a message.
        self._max_message_bytes = settings.max_message_bytes
        self._max_commands_per_message = settings.max_commands_per_message
        self._max_queued_bytes = settings.max_queued_bytes
        self.is_broken = False
        self._wake = asyncio.Event()
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._parts_commands = 0
        self._messages: deque[bytes] = deque()
        self._queued_bytes = 0

    def overflow(self) -> None:
        """More than `max_queued_bytes` wait."""
        self.is_broken = True

    def queue(self, command: bytes) -> None:
        if self.is_broken:
            return
        self._parts.append(command)
        self._count_queued(len(command))

    def queue_audio(self, head: bytes, pcm16: bytes) -> None:
        if self.is_broken:
            return
        self._parts += (head, pcm16)
        self._count_queued(len(head) + len(pcm16))

    async def wait(self) -> None:
        """Until there is something to send, or `nudge`."""
        await self._wake.wait()
        self._wake.clear()

    def nudge(self) -> None:
        self._wake.set()

    def next_message(self) -> bytes:
        """The oldest, which counts as queued until `sent`; empty: nothing waits."""
        if not self._messages:
            if not self._parts:
                return b""
            self._seal()
        return self._messages.popleft()

    def sent(self, message: bytes) -> None:
        self._queued_bytes -= len(message)

    def _count_queued(self, num_bytes: int) -> None:
        self._parts_bytes += num_bytes
        self._parts_commands += 1
        if self._parts_bytes >= self._max_message_bytes or self._parts_commands >= self._max_commands_per_message:
            self._seal()
        if self._queued_bytes + self._parts_bytes > self._max_queued_bytes:
            self.overflow()
        self._wake.set()

    def _seal(self) -> None:
        """What was gathered becomes one message."""
        self._messages.append(b"".join(self._parts))
        self._queued_bytes += self._parts_bytes
        self._parts = []
        self._parts_bytes = 0
        self._parts_commands = 0
