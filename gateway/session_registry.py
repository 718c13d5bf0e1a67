"""The live sessions of one process: their deadlines are swept here, and here they are counted and emptied."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.errors import Reason, SessionRefused
from gateway.metrics import LiveFigures
from gateway.wire.refusal import gateways_of
from policies.residency.situation import NOTHING_STATED, Stated

if TYPE_CHECKING:
    from gateway.admission.places import Place
    from gateway.admission.policy_sets import PolicySet, PolicySets
    from gateway.metrics import GatewayMetrics
    from gateway.session_runner import SessionRunner
    from policies.facts import Caller


log = structlog.get_logger("gateway")


@dataclass(slots=True)
class Terms:
    """What a session was let in by, and what it is asked about again with.

    Attributes:
        request: what its `start` said; `place`: where its caller is seen to be.
        follows: told of its set whenever it is another one.
    """

    policies: PolicySet | None = None
    request: Stated = NOTHING_STATED
    place: Place | None = None
    follows: tuple[Callable[[PolicySet], None], ...] = ()


_SESSIONS_A_TURN = 64
"""One takes some ten microseconds to ask about again."""

SWEEP_MS = 50
"""Deadlines are kept to within this. One sweep costs two comparisons a session."""


class SessionRegistry:
    """One per process."""

    def __init__(self, metrics: GatewayMetrics, now_ms: Callable[[], int]) -> None:
        self._runners: dict[SessionRunner, Caller] = {}
        self._terms: dict[SessionRunner, Terms] = {}
        self.on_outside: Callable[[SessionRunner, SessionRefused, bool], None] = lambda *_told: None
        """A session may not be here any more and is about to end: at once, or at its next commit point."""
        self._metrics = metrics
        self._now_ms = now_ms
        self._emptied = asyncio.Event()
        self._emptied.set()

    def add(self, runner: SessionRunner, caller: Caller, terms: Terms | None = None) -> None:
        self._runners[runner] = caller
        self._terms[runner] = Terms() if terms is None else terms
        self._emptied.clear()

    def remove(self, runner: SessionRunner) -> None:
        self._runners.pop(runner, None)
        self._terms.pop(runner, None)
        if not self._runners:
            self._emptied.set()

    @property
    def sessions(self) -> list[tuple[SessionRunner, Caller]]:
        return list(self._runners.items())

    def terms_of(self, runner: SessionRunner) -> Terms:
        """Raises KeyError: the session is over."""
        return self._terms[runner]

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

    async def permit_anew(self, sets: PolicySets, *, is_over: Callable[[], bool] = lambda: False) -> None:
        """Policy or regions are others than they were: each session is asked about again and keeps to what holds now.

        One whose set is another one moves, if its engine is outside of it. One that may not be here any more ends at
        its next commit point, which is made at once: no engine hears anything from now on. Where a rule says so (an
        embargo), not even that is waited for, and its audio is dropped.

        Others have their turns in between. `is_over`: whether policy is another one by now, and all must begin anew.
        """
        known: dict[Hashable, _Decided] = {}  # few kinds of callers, many sessions
        for number, (runner, caller) in enumerate(self.sessions):
            if number % _SESSIONS_A_TURN == 0:
                await asyncio.sleep(0)
            if is_over() or not sets.is_ready:
                return
            terms = self._terms.get(runner)
            if terms is None:
                continue  # it ended meanwhile
            try:
                key = _kind(caller, terms)
                if key not in known:
                    await sets.prepare(caller, terms.request, terms.place)
                    if is_over() or not sets.is_ready:
                        return
                    known[key] = _decided(sets, caller, terms)
                if runner in self._terms:
                    self._follow(runner, terms, sets, known[key])
            except Exception:  # a fault of ours with one session must not keep the others where they may not be
                log.exception("session.failed")
                runner.refuse(SessionRefused(Reason.internal_error))

    def _follow(self, runner: SessionRunner, terms: Terms, sets: PolicySets, decided: _Decided) -> None:
        found, refusal = decided.policies, decided.refusal
        if found is not None:
            terms.policies = found
            for follow in terms.follows:
                follow(found)  # also where it ends: what is written down of that is by the policy that ends it
        if refusal is not None:
            if found is not None:
                sets.note_refused(found)
            runner.resumes_at(gateways_of(refusal))  # and not where it could before
            is_at_once = bool(decided.at_once & (runner.engine_regions | {sets.here}))
            self._end_by_policy(runner, refusal, is_at_once=is_at_once)
        elif found is not None:
            runner.resumes_at(decided.gateways)
            runner.permit(found.permitted, at_once=decided.at_once)

    def _end_by_policy(self, runner: SessionRunner, refusal: SessionRefused, *, is_at_once: bool) -> None:
        self.on_outside(runner, refusal, is_at_once)
        if is_at_once:
            runner.refuse(refusal)
        else:
            runner.end_by_policy(refusal)

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


@dataclass(frozen=True, slots=True)
class _Decided:
    """What holds now for sessions of one kind. `policies` None: they have no set."""

    policies: PolicySet | None
    refusal: SessionRefused | None
    at_once: frozenset[str] = frozenset()
    gateways: tuple[str, ...] = ()


def _kind(caller: Caller, terms: Terms) -> Hashable:
    """All that policy looks at."""
    who = caller.tenant, caller.project, caller.residency_profile, caller.stated.for_policy
    return who, terms.request.for_policy, terms.place


def _decided(sets: PolicySets, caller: Caller, terms: Terms) -> _Decided:
    found = sets.permitted(caller, terms.request, terms.place)
    if isinstance(found, SessionRefused):
        return _Decided(None, found)
    refusal, at_once = sets.refusal_here(found, terms.place), sets.leaves_at_once(found)
    return _Decided(found, refusal, at_once, sets.gateways_for(found, terms.place))
