"""One level of one org as a gateway borrows for it: what it found last, what it is to do next. No I/O."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.escrow.lending import LevelAsk
from policies.escrow import Loan, Outcome
from policies.escrow_asking import Demand, look_after_ms, low_water_us, spent_us, wanted_us
from policies.escrow_region import Look, Minting
from policies.plans import WhenLimiterAway

if TYPE_CHECKING:
    from gateway.escrow.settings import EscrowSettings
    from policies.escrow_region import Seen
    from policies.plans import Level, Principal, Rate

_OTHERS_LOOKS = 4
"""Another gateway asks: this one looks so much more seldom."""
_FORGET_AFTER = 10
"""Times the idle time after which a level is forgotten though its root cannot be told; what it held stays there."""


class BorrowedLevel:
    """`rate`: as the plan says, of the root. `noted` renews what a session's plan says of the level."""

    def __init__(self, who: Principal, level: Level, settings: EscrowSettings, *, now_ms: int) -> None:
        self.who = who
        self.level = level
        self.is_known = asyncio.Event()
        """Waiting does not help a new session, or not any more."""
        self.may_open = False
        """The region holds enough to open a session, or its sessions use up all that the root has for it."""
        self.num_waiting = 0
        """Sessions that wait for compute to come."""
        self.does_root_lend = True
        """False: it is away, or learns."""
        self.is_done = False
        """Nobody needs it, and the root has back what was held."""
        self.due_ms = now_ms
        self._settings = settings
        self._rules = settings.asking()
        self._demand = Demand()
        self._loan: Loan | None = None
        self._is_unanswered = False
        self._resets = False
        self._gives_back = False
        self._reported_at_ms = now_ms - self._rules.report_ms
        self._used_at_ms = now_ms
        self._acknowledged_us: int | None = None
        self._num_unanswered = 0
        self._last_outcome: Outcome | None = None

    def noted(self, plan: str, rate: Rate, when_away: WhenLimiterAway, *, now_ms: int) -> None:
        """A session is opened with this plan."""
        self.plan = plan
        self.rate = rate
        self.when_away = when_away
        self._holding_us = self._settings.holding().holding_us(rate)
        self._used_at_ms = now_ms
        self.is_done = self._gives_back = False
        if not self.is_known.is_set():
            self.due_ms = now_ms

    def step(self, asker: str) -> Look:
        """What to do at the next look; `seen` or `missed` follows."""
        settings = self._settings
        return Look(
            asker=asker,
            turn_us=settings.turn_ms * 1_000,
            holding_us=self._holding_us,
            minting=self._minting(),
            safe_per_s=settings.safe_per_s(self.rate),
            away_after_us=settings.away_after_ms * 1_000,
            loan=self._loan,
            is_unanswered=self._is_unanswered,
            gives_back=self._gives_back,
            resets=self._resets,
        )

    def seen(self, seen: Seen, num_sessions: int, *, now_ms: int) -> LevelAsk | None:
        """What was found; the ask that is due, if any."""
        answered, self._loan = self._loan, None
        self._is_unanswered = self._resets = False
        self.does_root_lend = not seen.is_root_away and self._last_outcome is not Outcome.learning
        self._demand.observe(spent_us(seen.ask, seen.minted_us), now_ms=now_ms)
        self._mind_idleness(seen, num_sessions, now_ms=now_ms)
        low_us = low_water_us(self._demand.per_s, self.rate, self._holding_us, self._rules)
        is_used_up = num_sessions > 0 and self._last_outcome in (Outcome.short, Outcome.full)
        self.may_open = seen.balance_us >= low_us or is_used_up
        is_cut_off = seen.is_root_away and self._last_outcome is not Outcome.learning
        if self.may_open or (is_cut_off and self._minting() is Minting.never):
            self.is_known.set()
        else:
            self.is_known.clear()
        wanted = 0
        if not self._gives_back and answered is None:
            wanted = wanted_us(seen.balance_us, seen.ask, self._demand.per_s, self.rate, self._holding_us, self._rules)
        self.due_ms = now_ms + look_after_ms(seen.balance_us, self._demand.per_s, low_us, answered, self._rules)
        if not seen.may_ask or self.is_done:
            self.due_ms = max(self.due_ms, now_ms + _OTHERS_LOOKS * self._rules.look_ms)
            return None
        is_report_due = now_ms - self._reported_at_ms >= self._rules.report_ms
        if wanted == 0 and not is_report_due and not self._gives_back:
            return None
        self._reported_at_ms = now_ms
        return LevelAsk(self.who, self.level, self.plan, replace(seen.ask, wanted_us=wanted))

    def answered(self, loan: Loan, *, now_ms: int) -> None:
        """The root's answer; it is credited at the next look, which is due at once."""
        if loan.outcome is Outcome.unlimited:
            self.unanswered(now_ms=now_ms)
            return
        self._num_unanswered = 0
        self._last_outcome = loan.outcome
        # While it learns it counts as away: what the plan says of that time holds.
        self._is_unanswered = loan.outcome is Outcome.learning
        self._acknowledged_us = loan.returned_us
        self._resets = loan.outcome is Outcome.absurd
        self._loan = loan
        self.due_ms = now_ms

    def unanswered(self, *, now_ms: int) -> None:
        self._is_unanswered = True
        self._last_outcome = None
        wait_ms = self._rules.look_ms << min(self._num_unanswered, 10)
        self._num_unanswered += 1
        self.due_ms = now_ms + min(wait_ms, self._rules.report_ms)

    def _minting(self) -> Minting:
        if self._gives_back:
            return Minting.never
        if self.when_away is WhenLimiterAway.open:
            return Minting.fill
        if self._settings.sets_safe_share_aside and self._settings.safe_share_permille:
            return Minting.always
        if self.when_away is WhenLimiterAway.safe and self._settings.safe_share_permille:
            return Minting.while_away
        return Minting.never

    def _mind_idleness(self, seen: Seen, num_sessions: int, *, now_ms: int) -> None:
        """A level without sessions gives back what it holds, and is forgotten when the root has said that it knows."""
        if num_sessions > 0 or self.num_waiting > 0 or seen.ask.holding_us > max(0, seen.balance_us):
            self._used_at_ms = now_ms
        idle_ms = now_ms - max(self._used_at_ms, self._demand.used_at_ms)
        if idle_ms < self._rules.idle_ms:
            self._gives_back = False
            return
        was_giving = self._gives_back
        self._gives_back = True
        is_known = was_giving and self._acknowledged_us == seen.ask.returned_us
        self.is_done = is_known or not seen.may_ask or idle_ms >= _FORGET_AFTER * self._rules.idle_ms
