"""The sent log on a thread of its own, so that a slow disk does not stop the loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from gateway.metering.exporter.sent_log import SentLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Answer = TypeVar("Answer")


class LogThread:
    """Calls are made one after the other. Raises what the log raises."""

    def __init__(self, directory: Path) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="sent-log")
        self._log = SentLog(directory)

    async def ask(self, call: Callable[[SentLog], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call, self._log)

    async def aclose(self) -> None:
        await self.ask(lambda log: log.close())
        self._executor.shutdown()
