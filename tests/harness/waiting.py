"""Waiting for what is not an event: a condition with a deadline."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DEADLINE_S = 60.0
"""Far more than anything takes: it ends a hang, and is no bound on how quick something is."""
_POLL_S = 0.02


class Overdue(AssertionError):
    """What was waited for did not come in time."""


async def until(condition: Callable[[], bool], *, within_s: float = DEADLINE_S, what: str = "the condition") -> None:
    """Let the loop run until the condition holds."""
    due_at_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > due_at_s:
            raise Overdue(f"{what} did not come within {within_s} s")
        await asyncio.sleep(_POLL_S)


async def until_true(
    ask: Callable[[], Awaitable[bool]], *, within_s: float = DEADLINE_S, what: str = "the condition"
) -> None:
    """Ask again and again until the answer is yes."""
    due_at_s = time.monotonic() + within_s
    while not await ask():
        if time.monotonic() > due_at_s:
            raise Overdue(f"{what} did not come within {within_s} s")
        await asyncio.sleep(_POLL_S)


def until_sync(condition: Callable[[], bool], *, within_s: float = DEADLINE_S, what: str = "the condition") -> None:
    """As `until`, where no loop runs."""
    due_at_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > due_at_s:
            raise Overdue(f"{what} did not come within {within_s} s")
        time.sleep(_POLL_S)
