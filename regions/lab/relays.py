"""The lab's handle on the process that runs its links (regions.lab.relay_service)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from regions.lab.conditions import Conditions

_ANSWER_S = 20.0
_STOP_S = 3.0
_LINE_BYTES = 4 * 1_048_576


class RelayFailed(Exception):
    """The process of the links is gone, or refused a command."""


class Relays:
    """Links by their names. Use `running_relays`."""

    def __init__(self, process: asyncio.subprocess.Process, *, seed: int) -> None:
        self._process = process
        self._seed = seed
        self._turn = asyncio.Lock()
        self.names: list[str] = []

    async def open(self, link: str, host: str, conditions: Conditions, *, is_udp: bool = False) -> int:
        """Make a link that listens on a free port of `host`: its port. It leads nowhere until `aim`."""
        self._seed += 1
        command = {"do": "open", "link": link, "host": host, "conditions": conditions.model_dump()}
        answer = await self._ask(command | {"seed": self._seed, "is_udp": is_udp})
        self.names.append(link)
        return int(answer["port"])

    async def aim(self, link: str, host: str, port: int) -> None:
        await self._ask({"do": "aim", "link": link, "to_host": host, "to_port": port})

    async def set_conditions(self, link: str, conditions: Conditions) -> None:
        await self._ask({"do": "conditions", "link": link, "conditions": conditions.model_dump()})

    async def darken(self, link: str) -> None:
        """Nothing arrives any more, and nobody is told. Of UDP it never will."""
        await self._ask({"do": "darken", "link": link})

    async def light(self, link: str) -> None:
        await self._ask({"do": "light", "link": link})

    async def reset(self, link: str) -> None:
        """Break its connections; new ones can be made. Of UDP: clients come from other ports from here on."""
        await self._ask({"do": "reset", "link": link})

    async def figures(self) -> dict[str, dict[str, float]]:
        """What each link added by itself: `p50_ms` and `p99_ms` later than due."""
        links: dict[str, dict[str, float]] = (await self._ask({"do": "figures"}))["links"]
        return links

    async def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        async with self._turn:
            writer, reader = self._process.stdin, self._process.stdout
            if writer is None or reader is None:
                raise RelayFailed("the process of the links has no pipes")
            try:
                async with asyncio.timeout(_ANSWER_S):
                    writer.write(json.dumps(command).encode() + b"\n")
                    await writer.drain()
                    line = await reader.readline()
            except (OSError, TimeoutError) as error:
                raise RelayFailed(f"the process of the links does not answer: {error}") from error
        if not line:
            raise RelayFailed("the process of the links is gone")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RelayFailed(answer["error"])
        return answer


@contextlib.asynccontextmanager
async def running_relays(*, seed: int = 0) -> AsyncIterator[Relays]:
    """The process, without a link yet; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "regions.lab.relay_service"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=_LINE_BYTES,
    )
    try:
        yield Relays(process, seed=seed)
    finally:
        if process.stdin is not None:
            process.stdin.close()  # it ends when its input does
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
