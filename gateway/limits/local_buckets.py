"""What one gateway gives out by itself to plans that say `safe`, while Redis is away: a share of each of their limits.

These must stay true, for each level and from the moment that Redis went:
  - Sessions admitted so that live: at most the share of the level's limit, rounded up.
  - Starts in any time t: at most the share of burst + rate * t, rounded up to whole starts.
  - None is admitted whose opening credit is not in a bucket of the share of the level's compute. All that sessions
    admitted so use is taken from it, as a debt if need be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from gateway.limits.calls import RefusedFor
from policies.compute_quota import Bucket
from policies.plans import MICRO, Level, Rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from policies.plans import CallerPlan, LevelLimits, Principal


class LocalRefusal(NamedTuple):
    level: Level
    limit: RefusedFor
    remaining_us: int
    retry_after_ms: int | None


@dataclass(slots=True)
class _Filled:
    """A bucket that is refilled whenever it is looked at."""

    rate: Rate
    bucket: Bucket


@dataclass(slots=True)
class _Share:
    """Of one level of one org, project or key."""

    num_sessions: int
    compute: _Filled | None
    starts: _Filled | None


@dataclass(slots=True)
class _Admitted:
    shares: list[_Share]
    held_us: int
    used_us: int = 0


class LocalBuckets:
    """One per process; emptied by `reset` when Redis is back. `monotonic_us`: for refilling."""

    def __init__(self, *, share_permille: int, monotonic_us: Callable[[], int]) -> None:
        self._share_permille = share_permille
        self._monotonic_us = monotonic_us
        self._shares: dict[tuple[Level, str, str], _Share] = {}
        self._admitted: dict[str, _Admitted] = {}

    def reset(self) -> None:
        self._shares.clear()
        self._admitted.clear()

    def admit(self, plan: CallerPlan, *, session_id: str, hold_us: int) -> LocalRefusal | None:
        """Take a place and the opening credit at every level, or nothing and the narrowest level that refuses."""
        now_us = self._monotonic_us()
        levels = [(level, limits) for level in Level if not (limits := plan.of(level)).is_shadow]
        shares = [self._share(plan.principal, level, limits, now_us) for level, limits in levels]
        for (level, limits), share in zip(levels, shares, strict=True):
            refusal = self._refusal(level, limits, share, hold_us)
            if refusal is not None:
                return refusal
        for share in shares:
            share.num_sessions += 1
            if share.compute is not None:
                share.compute.bucket.hold(hold_us)
            if share.starts is not None:
                share.starts.bucket.balance_us -= MICRO
        self._admitted[session_id] = _Admitted(shares, hold_us)
        return None

    def used(self, session_id: str, compute_us: int, *, is_over: bool) -> None:
        """What a session has used in all by now; one that was not admitted here does not count."""
        admitted = self._admitted.get(session_id)
        if admitted is None:
            return
        cost_us = compute_us - admitted.used_us
        admitted.used_us = compute_us
        for share in admitted.shares:
            if share.compute is not None:
                share.compute.bucket.settle(cost_us, out_of_us=admitted.held_us)
                if is_over:
                    share.compute.bucket.release(max(0, admitted.held_us - cost_us))
            if is_over:
                share.num_sessions -= 1
        admitted.held_us = max(0, admitted.held_us - cost_us)
        if is_over:
            del self._admitted[session_id]

    def _share(self, who: Principal, level: Level, limits: LevelLimits, now_us: int) -> _Share:
        name = {Level.org: "", Level.project: who.project, Level.key: who.key}[level]
        share = self._shares.get((level, who.org, name))
        if share is None:
            starts, compute = limits.starts, limits.compute
            if starts is not None:
                starts = Rate(self._down(starts.per_s), MICRO * self._up(starts.burst // MICRO))
            if compute is not None:
                compute = Rate(self._down(compute.per_s), self._down(compute.burst))
            share = _Share(0, _filled(compute, now_us), _filled(starts, now_us))
            self._shares[level, who.org, name] = share
        for filled in (share.compute, share.starts):
            if filled is not None:
                filled.bucket.refill(filled.rate, now_us=now_us)
        return share

    def _refusal(self, level: Level, limits: LevelLimits, share: _Share, hold_us: int) -> LocalRefusal | None:
        if limits.max_sessions is not None and share.num_sessions >= self._up(limits.max_sessions):
            return LocalRefusal(level, RefusedFor.sessions, 0, None)
        if share.starts is not None and not share.starts.bucket.may_hold(MICRO):
            retry_after_ms = share.starts.bucket.wait_ms(MICRO, share.starts.rate)
            return LocalRefusal(level, RefusedFor.starts, 0, retry_after_ms)
        if share.compute is not None:
            bucket, rate = share.compute.bucket, share.compute.rate
            if bucket.balance_us <= 0 or not bucket.may_hold(hold_us):
                left_us = max(0, bucket.balance_us)
                return LocalRefusal(level, RefusedFor.compute, left_us, bucket.wait_ms(max(1, hold_us), rate))
        return None

    def _down(self, amount: int) -> int:
        return amount * self._share_permille // 1_000

    def _up(self, amount: int) -> int:
        return -(-amount * self._share_permille // 1_000)


def _filled(rate: Rate | None, now_us: int) -> _Filled | None:
    """Full at first: who comes when Redis goes has the share of the burst."""
    if rate is None:
        return None
    return _Filled(rate, Bucket(balance_us=rate.burst, held_us=0, at_us=now_us, carry=0))
