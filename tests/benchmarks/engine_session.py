"""A session with the engine through the gateway's own link, and no gateway: what latency is compared to."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from engines.interface import Granted, OpenStream, PartialResult, StreamOptions
from regions.links.grpc_link import GrpcLink
from regions.links.settings import LinkSettings
from tests.benchmarks.pacing import MESSAGES_PER_BLOCK
from tests.benchmarks.websocket_session import AUDIO_BYTES, SessionBroken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from engines.interface import StreamEvent

_CONNECT_TIMEOUT_S = 10.0
_POLL_S = 0.005
_PCM16 = (1_000).to_bytes(2, "little") * (AUDIO_BYTES // 2)


class EngineSession:
    """One stream on the link. `on_result`: see WebSocketSession."""

    def __init__(self, link: GrpcLink, number: int, on_result: Callable[[int], None]) -> None:
        self._on_result = on_result
        self._sent = 0
        self._completed_block_at_ns = 0
        self._granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        opened = OpenStream(
            session_id=f"benchmark-{number}", tenant="benchmark", epoch=1, start_sample=0, options=StreamOptions()
        )
        self._stream = link.open(opened, self._hear)

    def _hear(self, event: StreamEvent) -> None:
        if isinstance(event, PartialResult):
            self._on_result(time.perf_counter_ns() - self._completed_block_at_ns)
        elif isinstance(event, Granted):
            self._granted.set_result(None)
        elif not self._granted.done():
            self._granted.set_exception(SessionBroken(str(event)))

    async def until_started(self) -> None:
        """Raises SessionBroken."""
        await self._granted

    def send_audio(self) -> None:
        self._sent += 1
        if self._sent % MESSAGES_PER_BLOCK == 0:
            self._completed_block_at_ns = time.perf_counter_ns()
        self._stream.send_audio(_PCM16)

    def abort(self) -> None:
        self._stream.cancel()


@contextlib.asynccontextmanager
async def connected_link(address: str) -> AsyncIterator[GrpcLink]:
    """A link with the settings that a gateway has."""
    link = GrpcLink(address, LinkSettings(), gateway="benchmark")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run())
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            while not link.is_connected:
                await asyncio.sleep(_POLL_S)
        try:
            yield link
        finally:
            running.cancel()
