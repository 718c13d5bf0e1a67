"""How often the machine itself stands still: a loop that sleeps 5 ms and writes down how much longer it slept.

It runs as a process of its own (`python -m regions.lab.stall_floor`), prints its figures as JSON when its input ends,
and gives the floor below which no figure of a drill on this machine means anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import select
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_SLEEP_S = 0.005
_END_S = 5.0


def quantile_of(values: list[float], share: float) -> float:
    """Nearest rank; 0 where there is nothing."""
    ordered = sorted(values)
    return ordered[round(share * (len(ordered) - 1))] if ordered else 0.0


def figures(overslept_ms: list[float]) -> dict[str, float]:
    return {
        "samples": len(overslept_ms),
        "p50_ms": round(quantile_of(overslept_ms, 0.5), 2),
        "p99_ms": round(quantile_of(overslept_ms, 0.99), 2),
        "longest_ms": round(max(overslept_ms, default=0.0), 2),
    }


def measure() -> list[float]:
    """Until standard input ends."""
    overslept_ms: list[float] = []
    while True:
        began_s = time.monotonic()
        readable, _, _ = select.select([sys.stdin], [], [], _SLEEP_S)
        if readable:
            return overslept_ms
        overslept_ms.append(1_000 * (time.monotonic() - began_s - _SLEEP_S))


@contextlib.asynccontextmanager
async def running_stall_floor() -> AsyncIterator[dict[str, float]]:
    """Measure while the block runs; the dictionary has the figures when it is over."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "regions.lab.stall_floor"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    found: dict[str, float] = {}
    try:
        yield found
    finally:
        try:
            if process.stdin is not None:
                process.stdin.close()  # at which it ends
            async with asyncio.timeout(_END_S):
                said, _ = await process.communicate()
            found |= json.loads(said)
        except TimeoutError:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(figures(measure())) + "\n")
