"""No more than so many a second, evenly."""

from __future__ import annotations

import asyncio


class Pace:
    """Each `turn` waits until it is its turn."""

    def __init__(self, per_s: int) -> None:
        self._each_s = 1 / per_s
        self._next_s = 0.0

    async def turn(self, weight: int = 1) -> None:
        now_s = asyncio.get_running_loop().time()
        begin_s = max(now_s, self._next_s)
        self._next_s = begin_s + weight * self._each_s
        if begin_s > now_s:
            await asyncio.sleep(begin_s - now_s)
