"""The process in which all links of a lab run, so that neither callers nor the lab disturb them.

`python -m regions.lab.relay_service` reads one command a line and answers each with one line; it ends when its input
does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import uvloop

from regions.lab.conditions import Conditions
from regions.lab.relay import RelayedLink
from regions.lab.udp_relay import UdpLink

Link = RelayedLink | UdpLink


class RelayService:
    """The links by their names, and what may be done with them."""

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}

    async def do(self, command: dict[str, Any]) -> dict[str, Any]:
        """Carry out one command; the answer has `error` where it could not be."""
        try:
            match command["do"]:
                case "open":
                    return await self._open(command)
                case "figures":
                    return {"links": {name: link.figures() for name, link in self._links.items()}}
                case other:
                    return self._change(other, self._links[command["link"]], command)
        except (KeyError, ValueError, OSError) as error:
            return {"error": f"{type(error).__name__}: {error}"}

    async def _open(self, command: dict[str, Any]) -> dict[str, Any]:
        kind = UdpLink if command.get("is_udp") else RelayedLink
        conditions = Conditions.model_validate(command.get("conditions", {}))
        link: Link = kind(command["host"], conditions, seed=command.get("seed", 0))
        await link.start()
        self._links[command["link"]] = link
        return {"port": link.port}

    def _change(self, what: str, link: Link, command: dict[str, Any]) -> dict[str, Any]:
        match what:
            case "aim":
                link.aim(command["to_host"], command["to_port"])
            case "conditions":
                link.conditions = Conditions.model_validate(command["conditions"])
            case "darken":
                link.darken()
            case "light":
                link.light()
            case "reset":
                link.reset()
            case _:
                raise ValueError(f"{what} is no command")
        return {}

    async def stop(self) -> None:
        for link in self._links.values():
            await link.stop()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1_048_576)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    service = RelayService()
    while line := await reader.readline():
        answer = await service.do(json.loads(line))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    await service.stop()


if __name__ == "__main__":
    uvloop.run(_serve())
