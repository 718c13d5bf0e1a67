"""Whose session ends so that one of a higher tier can go on, when no permitted region has a slot. Pure: told the time.

These must stay true:
  - Nobody ends for a session of his own tier or of a lower one.
  - At most one session ends for each that waits, however often it asks, until it has not asked for long. One that
    ends for somebody who needs it no more ends for the next who waits.
  - The lowest tier ends first; of one tier the session that began last, which loses the least.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.plans import Tier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PERMILLE = 1_000
_NEW_WAIT_AFTER_MS = 60_000
"""Longer than any session waits between two questions: one that asks again after so long was served meanwhile, by an
engine that it did not have to leave after all, or lost another one.
"""
_HEIGHT = {tier: height for height, tier in enumerate(reversed(Tier))}


@dataclass(frozen=True, slots=True)
class SheddingLimits:
    """`is_on` False: nobody is shed.

    Attributes:
        grace_ms: how long a session that is shed may go on with its utterance.
        retry_after_ms: advice to it while nobody else is shed; grows with each that was within `pressure_window_ms`.
        claim_ms: how long a slot is kept for the session that it was freed for; more than `grace_ms`.
    """

    is_on: bool = True
    grace_ms: int = 1_500
    retry_after_ms: int = 2_000
    max_retry_after_ms: int = 60_000
    pressure_window_ms: int = 10_000
    claim_ms: int = 5_000

    def __post_init__(self) -> None:
        if self.claim_ms <= self.grace_ms or self.grace_ms < 0:
            raise ValueError("claim_ms must exceed grace_ms: the slot would be lost before it is free")
        if not 0 < self.retry_after_ms <= self.max_retry_after_ms or self.pressure_window_ms <= 0:
            raise ValueError("0 < retry_after_ms <= max_retry_after_ms, and pressure_window_ms is above zero")


@dataclass(frozen=True, slots=True)
class Running:
    """A session that may be shed. `began_at_ms`: any clock that all of them share. `region`: where its engine is."""

    session_id: str
    tier: Tier
    began_at_ms: int
    region: str


@dataclass(slots=True)
class Claim:
    """A slot that is being freed for a waiting session. `until_ms`: how long it is kept for it; `asked_at_ms`: when it
    asked last; `is_free`: the other session is over.
    """

    victim: Running
    waiter_tier: Tier
    until_ms: int
    asked_at_ms: int
    is_free: bool = False


def is_above(tier: Tier, other: Tier) -> bool:
    """Whether the first is served before the other."""
    return _HEIGHT[tier] > _HEIGHT[other]


def victim_for(tier: Tier, running: Iterable[Running]) -> Running | None:
    """Give the session that ends for one of this tier: of the lowest tier below it the one that began last."""
    below = [session for session in running if is_above(tier, session.tier)]
    return min(
        below,
        key=lambda session: (_HEIGHT[session.tier], -session.began_at_ms, session.session_id),
        default=None,
    )


class SheddingBook:
    """Who waits for whose slot, at one gateway."""

    def __init__(self, limits: SheddingLimits) -> None:
        self._limits = limits
        self._claims: dict[str, Claim] = {}
        """By who waits; kept until he is served or gone, so that nobody else ends for him."""
        self._orphans: dict[str, Claim] = {}
        """By who ends: whoever he ended for needs it no more."""
        self._shed_at_ms: deque[int] = deque()

    @property
    def is_idle(self) -> bool:
        return not self._claims and not self._orphans

    def claim_of(self, waiter_id: str) -> Claim | None:
        return self._claims.get(waiter_id)

    def ask(self, now_ms: int, waiter_id: str, tier: Tier, running: Iterable[Running]) -> Running | None:
        """Give the session that is to end now for this one; None: nobody does, or somebody does already.

        Args:
            running: those on whose engines the waiting session could go on.
        """
        if not self._limits.is_on or self._waits(waiter_id, now_ms):
            return None
        sessions = list(running)
        usable = {session.session_id for session in sessions}
        for victim_id, claim in list(self._orphans.items()):
            if now_ms >= claim.until_ms:
                del self._orphans[victim_id]
            elif victim_id in usable and is_above(tier, claim.victim.tier):
                del self._orphans[victim_id]
                self._claims[waiter_id] = Claim(claim.victim, tier, now_ms + self._limits.claim_ms, now_ms)
                return None
        ending = {claim.victim.session_id for claim in self._claims.values()} | self._orphans.keys()
        victim = victim_for(tier, [session for session in sessions if session.session_id not in ending])
        if victim is None:
            return None
        self._claims[waiter_id] = Claim(victim, tier, now_ms + self._limits.claim_ms, now_ms)
        self._shed_at_ms.append(now_ms)
        return victim

    def _waits(self, waiter_id: str, now_ms: int) -> bool:
        claim = self._claims.get(waiter_id)
        if claim is None:
            return False
        if now_ms - claim.asked_at_ms >= _NEW_WAIT_AFTER_MS:
            self.served(waiter_id)
            return False
        claim.asked_at_ms = now_ms
        return True

    def refused(self, waiter_id: str) -> None:
        """The victim could not be told: it ends already, for another reason. The waiting one may ask again."""
        self._claims.pop(waiter_id, None)
        self._shed_at_ms.pop()

    def served(self, session_id: str) -> None:
        """It has an engine. Whoever still ends for it ends for the next who waits."""
        claim = self._claims.pop(session_id, None)
        if claim is not None and not claim.is_free:
            self._orphans[claim.victim.session_id] = claim

    def gone(self, session_id: str) -> None:
        """A session is over: one that waited, or one that was shed."""
        self.served(session_id)
        self._orphans.pop(session_id, None)
        for claim in self._claims.values():
            if claim.victim.session_id == session_id:
                claim.is_free = True

    def promised(self, tier: Tier, now_ms: int) -> Mapping[str, int]:
        """Give how many slots of each region are kept from a session of this tier for those above it."""
        kept: dict[str, int] = {}
        for claim in self._claims.values():
            if is_above(claim.waiter_tier, tier) and now_ms < claim.until_ms:
                kept[claim.victim.region] = kept.get(claim.victim.region, 0) + 1
        return kept

    def retry_after_ms(self, now_ms: int, *, draw_permille: int) -> int:
        """Give when whoever is shed now should try again: later, the more were shed lately, and not all at once.

        Args:
            draw_permille: 0-999, drawn by the caller.
        """
        limits = self._limits
        while self._shed_at_ms and now_ms - self._shed_at_ms[0] >= limits.pressure_window_ms:
            self._shed_at_ms.popleft()
        advice_ms = min(limits.max_retry_after_ms, limits.retry_after_ms * max(1, len(self._shed_at_ms)))
        return advice_ms // 2 + advice_ms * draw_permille // _PERMILLE
