"""What a region says of its health over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from tests.harness.region import Region


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: dict[str, Any]


async def ask(url: str) -> Answer | None:
    """One GET; None when nobody answers."""
    try:
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            return Answer(response.status, await response.json())
    except aiohttp.ClientError:
        return None


async def readiness(region: Region) -> Answer | None:
    return await ask(f"{region.admin}/readyz")


async def is_ready(region: Region) -> bool:
    answer = await readiness(region)
    return answer is not None and answer.status == 200
