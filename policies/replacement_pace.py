"""When a session that lost its engine may open elsewhere: in turn, higher tiers first, never all at once. Pure.

The loss of a region sends all its sessions to the same survivors in the same second. Each target region and the
gateway itself have a token bucket of re-placements; who finds none waits in a queue by tier, then by age, and is told
when to ask again, with jitter. Nobody waits beyond a bound: then a session goes although the bucket is empty, and the
engine's slot grant is what protects the engine.

A session that waits falls behind, and replays what it missed faster than real time; policies.replay_share has the
arithmetic of that.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policies.plans import Tier

_PERMILLE = 1_000
_MS_PER_S = 1_000


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """Re-placements a second, and how patient a session is.

    Attributes:
        per_target_per_s: to one region, from this gateway.
        per_gateway_per_s: to all of them.
        burst: re-placements that a quiet target takes at once, so that a single lost engine is not paced; the gateway
            takes more in proportion to its rate.
        max_wait_ms: since a session first asked; jitter comes on top.
        jitter_ms: the most that is added to a wait.
    """

    per_target_per_s: int = 50
    per_gateway_per_s: int = 100
    burst: int = 50
    max_wait_ms: int = 8_000
    jitter_ms: int = 250

    def __post_init__(self) -> None:
        if min(self.per_target_per_s, self.per_gateway_per_s, self.burst) < 1:
            raise ValueError("a pace needs rates and a burst above zero")
        if min(self.max_wait_ms, self.jitter_ms) < 0:
            raise ValueError("waits may not be negative")


@dataclass(frozen=True, slots=True)
class Replacement:
    """One session's wish to go on elsewhere. `draw_permille`: as in RouteRequest."""

    session_id: str
    target: str
    tier: Tier
    draw_permille: int


class ReplacementPace:
    """Of one gateway. Times must not fall from call to call.

    A session that was told to wait and does not ask again is taken to be gone a second after its time.
    """

    def __init__(self, limits: PaceLimits) -> None:
        self._limits = limits
        gateway_burst = max(limits.burst, limits.burst * limits.per_gateway_per_s // limits.per_target_per_s)
        self._gateway = _Bucket(limits.per_gateway_per_s, gateway_burst)
        self._targets: dict[str, _Target] = {}
        self._waiting: dict[str, _Waiting] = {}

    def ask(self, now_ms: int, replacement: Replacement) -> int:
        """Whether a session may open at its target now: 0 says yes and takes its turn; else milliseconds until to ask
        again, at most `max_wait_ms` and the jitter in all.
        """
        target = self._target(replacement.target)
        place = self._place(now_ms, replacement, target)
        ahead = target.ahead_of(place, now_ms, self._waiting)
        may_go = target.bucket.wait_ms(now_ms, ahead) <= 0 and self._gateway.wait_ms(now_ms, 0) <= 0
        patience_ms = place.since_ms + self._limits.max_wait_ms - now_ms
        if may_go or patience_ms <= 0:
            target.bucket.take(now_ms)
            self._gateway.take(now_ms)
            self.gave_up(replacement.session_id)
            return 0
        wait_ms = max(target.bucket.wait_ms(now_ms, ahead), self._gateway.wait_ms(now_ms, ahead))
        jitter_ms = self._limits.jitter_ms * replacement.draw_permille // _PERMILLE
        told_ms = max(1, min(wait_ms, patience_ms) + jitter_ms)
        place.asks_by_ms = now_ms + told_ms + _MS_PER_S
        return told_ms

    def gave_up(self, session_id: str) -> None:
        """A session does not want its turn any more: it ended, or went elsewhere. May be told of any session."""
        place = self._waiting.pop(session_id, None)
        if place is not None:
            self._targets[place.target].leave(place)

    @property
    def waiting(self) -> int:
        """Sessions that were told to wait."""
        return len(self._waiting)

    def _target(self, name: str) -> _Target:
        target = self._targets.get(name)
        if target is None:
            target = self._targets[name] = _Target(_Bucket(self._limits.per_target_per_s, self._limits.burst))
        return target

    def _place(self, now_ms: int, replacement: Replacement, target: _Target) -> _Waiting:
        """Where a session stands in the queue; it keeps its age when its target becomes another one."""
        place = self._waiting.get(replacement.session_id)
        since_ms = now_ms if place is None else place.since_ms
        if place is not None and place.target != replacement.target:
            self.gave_up(replacement.session_id)
            place = None
        if place is None:
            rank = list(type(replacement.tier)).index(replacement.tier)
            place = _Waiting(rank, since_ms, replacement.session_id, replacement.target, asks_by_ms=now_ms)
            self._waiting[replacement.session_id] = place
            insort(target.queue, place)
        return place


@dataclass(slots=True, order=True)
class _Waiting:
    """A session in a target's queue, in the order in which they go."""

    rank: int
    since_ms: int
    session_id: str
    target: str = field(compare=False)
    asks_by_ms: int = field(compare=False)


@dataclass(slots=True)
class _Target:
    bucket: _Bucket
    queue: list[_Waiting] = field(default_factory=list)

    def ahead_of(self, place: _Waiting, now_ms: int, waiting: dict[str, _Waiting]) -> int:
        """How many go first, without those at the head that are gone."""
        while self.queue[0] is not place and self.queue[0].asks_by_ms < now_ms:
            del waiting[self.queue.pop(0).session_id]
        return bisect_left(self.queue, place)

    def leave(self, place: _Waiting) -> None:
        position = bisect_left(self.queue, place)
        del self.queue[position]


class _Bucket:
    """Tokens in thousandths, so that all is integers; it may owe some."""

    def __init__(self, per_s: int, burst: int) -> None:
        self._per_s = per_s
        self._burst = burst * _MS_PER_S
        self._tokens = self._burst
        self._at_ms: int | None = None

    def wait_ms(self, now_ms: int, ahead: int) -> int:
        """Until there is a token for whoever has so many before him; 0 when there is one."""
        self._fill(now_ms)
        missing = (ahead + 1) * _MS_PER_S - self._tokens
        return max(0, -(-missing // self._per_s))

    def take(self, now_ms: int) -> None:
        self._fill(now_ms)
        self._tokens -= _MS_PER_S

    def _fill(self, now_ms: int) -> None:
        if self._at_ms is not None:
            self._tokens = min(self._burst, self._tokens + (now_ms - self._at_ms) * self._per_s)
        self._at_ms = now_ms
