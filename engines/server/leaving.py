"""How an engine leaves: notices of all sources come together here, and say when its drain begins and when it is over.

These must stay true:
  - Of several notices the earliest times count; no notice gives back time that another took.
  - A drain that has begun is not taken back: gateways have moved sessions away for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import structlog

from engines.interface import LossReason
from policies.preemption import LeavePlan, NoticeKind, PreemptionNotice, leave_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.server.streams import StreamHost

log = structlog.get_logger("engine")


class Leaving:
    """Listens to the sources. Used on the host's event loop.

    Args:
        drains_on: kinds of notice that begin a drain although nobody has to hurry.
        on_begin: the drain begins; called once.
    """

    def __init__(self, host: StreamHost, *, drains_on: frozenset[NoticeKind], on_begin: Callable[[], None]) -> None:
        self._host = host
        self._drains_on = drains_on
        self._on_begin = on_begin
        self._loop = asyncio.get_running_loop()
        self._pending: dict[tuple[str, str], asyncio.TimerHandle | None] = {}
        """What makes the machine one at risk, and when the drain for it begins, if it does."""
        self._left_for: set[tuple[str, str]] = set()
        self._has_begun = False
        self._hand_back_at_s = 0.0
        self._limit: asyncio.Timeout | None = None

    # --- what sources say ---------------------------------------------------------------------------------

    def noticed(self, notice: PreemptionNotice) -> None:
        plan = leave_plan(notice, drains_on=self._drains_on)
        log.warning(
            "preemption.noticed",
            source=notice.source,
            kind=notice.kind.value,
            action=notice.action.value,
            confidence=notice.confidence.value,
            lead_ms=notice.lead_ms,
            begins_in_ms=None if plan.begin_at_ms is None else max(0, plan.begin_at_ms - _now_ms()),
        )
        key = (notice.source, notice.event_id)
        if plan.begin_at_ms is not None and plan.begin_at_ms <= _now_ms():
            self._begin(key, plan)
            return
        self._forget(key)
        begins = None
        if plan.begin_at_ms is not None:
            begins = self._loop.call_at(self._loop_s(plan.begin_at_ms), self._begin, key, plan)
        self._pending[key] = begins
        self._host.is_at_risk = True

    def withdrawn(self, source: str, event_id: str) -> None:
        key = (source, event_id)
        if key not in self._pending:
            return
        log.info("preemption.withdrawn", source=source)
        self._forget(key)
        self._host.is_at_risk = bool(self._pending)

    def source_away(self, source: str, error: str) -> None:
        log.warning("preemption.source_away", source=source, error=error)

    def source_back(self, source: str) -> None:
        log.info("preemption.source_heard", source=source)

    # --- leaving ------------------------------------------------------------------------------------------

    def left_for(self, source: str) -> frozenset[str]:
        """Events of this source for which the engine left."""
        return frozenset(event_id for name, event_id in self._left_for if name == source)

    async def until_left(self) -> None:
        """After it began: take no more streams, wait for those that are open, hand back what is left in the end."""
        self._host.begin_drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._hand_back_at_s) as self._limit:
                await self._host.until_empty()
        self._limit = None
        self._host.lose_all(LossReason.drained)

    def _begin(self, key: tuple[str, str], plan: LeavePlan) -> None:
        self._forget(key)
        self._left_for.add(key)
        self._host.leave_by(self._loop_s(plan.leave_by_ms))
        hand_back_at_s = self._loop_s(plan.hand_back_at_ms)
        if self._has_begun:
            self._hand_back_at_s = min(self._hand_back_at_s, hand_back_at_s)
            if self._limit is not None and not self._limit.expired():
                self._limit.reschedule(self._hand_back_at_s)
            return
        self._has_begun = True
        self._hand_back_at_s = hand_back_at_s
        self._host.begin_drain()
        self._on_begin()

    def _forget(self, key: tuple[str, str]) -> None:
        timer = self._pending.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _loop_s(self, at_ms: int) -> float:
        """On the loop's clock, which need not be that of `time.monotonic`."""
        return self._loop.time() + (at_ms - _now_ms()) / 1_000


def _now_ms() -> int:
    return int(time.monotonic() * 1_000)
