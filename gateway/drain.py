"""A gateway's way out: readiness off, announce, refuse, let utterances end, cut what is left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from gateway.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.reception import Reception
    from gateway.session_registry import SessionRegistry

log = structlog.get_logger("gateway")

_LAST_WORDS_MS = 2_000
"""For what is left after the drain's own time: to hear why it is closed."""


class Readiness:
    """Whether load balancers should send clients here."""

    def __init__(self) -> None:
        self.is_draining = False
        self.has_policy: Callable[[], bool] = lambda: True
        """Whether anything may be permitted here: no bundle in force, nobody is served."""


async def drain(
    readiness: Readiness,
    reception: Reception,
    registry: SessionRegistry,
    empty_relay: Callable[[int], Awaitable[None]],
    *,
    announce_ms: int,
    finish_ms: int,
) -> bool:
    """Run the steps in order. Whether every session ended by itself; the rest hears `draining` and is cut.

    `empty_relay`: has the streams of peers move away, and returns when they are gone, at the latest after so many
    milliseconds.
    """
    readiness.is_draining = True
    log.info("drain.announced", sessions=len(registry))
    await asyncio.sleep(announce_ms / 1_000)
    reception.close()
    registry.end_all_after_utterance(Reason.draining)
    is_clean, _ = await asyncio.gather(registry.wait_until_empty(finish_ms), empty_relay(finish_ms))
    if not is_clean:
        log.warning("drain.cut", sessions=len(registry))
        registry.end_all_now(Reason.draining)
        await registry.wait_until_empty(_LAST_WORDS_MS)
    log.info("drain.done", is_clean=is_clean)
    return is_clean
