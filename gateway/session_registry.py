"""The live sessions of one process: their deadlines are swept here, and here they are counted and emptied."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.errors import SessionRefused
from gateway.metrics import LiveFigures

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.errors import Reason
    from gateway.metrics import GatewayMetrics
    from gateway.session_runner import SessionRunner
    from policies.facts import Caller
    from policies.residency.permitted import Permitted

SWEEP_MS = 50
"""Deadlines are kept to within this. One sweep costs two comparisons a session."""


class SessionRegistry:
    """One per process."""

    def __init__(self, metrics: GatewayMetrics, now_ms: Callable[[], int]) -> None:
        self._runners: dict[SessionRunner, Caller] = {}
        self._metrics = metrics
        self._now_ms = now_ms
        self._emptied = asyncio.Event()
        self._emptied.set()

    def add(self, runner: SessionRunner, caller: Caller) -> None:
        self._runners[runner] = caller
        self._emptied.clear()

    def remove(self, runner: SessionRunner) -> None:
        self._runners.pop(runner, None)
        if not self._runners:
            self._emptied.set()

    @property
    def sessions(self) -> list[tuple[SessionRunner, Caller]]:
        return list(self._runners.items())

    def __len__(self) -> int:
        return len(self._runners)

    async def sweep_for_ever(self) -> None:
        """Wake the sessions that are due; also measures how late the event loop is."""
        loop = asyncio.get_running_loop()
        while True:
            planned = loop.time() + SWEEP_MS / 1_000
            await asyncio.sleep(SWEEP_MS / 1_000)
            self._metrics.event_loop_lag.set(max(0.0, loop.time() - planned))
            self.sweep()

    def sweep(self) -> None:
        now_ms = self._now_ms()
        for runner in [runner for runner in self._runners if runner.machine.due_ms <= now_ms or runner.is_port_paused]:
            runner.tick()

    def end_all_after_utterance(self, reason: Reason) -> None:
        for runner in list(self._runners):
            runner.end_after_utterance(reason)

    def end_all_now(self, reason: Reason) -> None:
        for runner in list(self._runners):
            runner.refuse(SessionRefused(reason))

    def permit_anew(self, sets_of: Callable[[Caller], Permitted | SessionRefused]) -> None:
        """Regions came or went. Each session keeps to its caller's regions of now; one that may be nowhere ends after
        its utterance.
        """
        for runner, caller in list(self._runners.items()):
            permitted = sets_of(caller)
            if isinstance(permitted, SessionRefused):
                runner.end_after_utterance(permitted.reason)
            else:
                runner.permit(permitted)

    def end_those_of(self, is_meant: Callable[[Caller], bool], reason: Reason) -> int:
        """End the sessions of these callers now; gives how many there were."""
        ended = [runner for runner, caller in self._runners.items() if is_meant(caller)]
        for runner in ended:
            runner.refuse(SessionRefused(reason))
        return len(ended)

    async def wait_until_empty(self, timeout_ms: int) -> bool:
        """Whether the last session ended in time."""
        try:
            async with asyncio.timeout(timeout_ms / 1_000):
                await self._emptied.wait()
        except TimeoutError:
            return False
        return True

    def figures(self) -> LiveFigures:
        runners = list(self._runners)
        return LiveFigures(
            sessions=len(runners),
            held_samples=sum(runner.machine.held_samples for runner in runners),
            queued_messages=sum(len(runner.queue) for runner in runners),
            waiting_bytes=sum(runner.waiting_bytes for runner in runners),
        )
