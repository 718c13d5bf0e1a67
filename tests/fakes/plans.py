"""One plan without limits, for tests that are not about plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.plan_book import key_pseudonym
from policies.plans import CallerPlan, LevelLimits, Principal, Rater, Tier, WhenExhausted, WhenLimiterAway

if TYPE_CHECKING:
    from policies.facts import Caller

_FOR_EVER_MS = 10 * 365 * 86_400_000


class UnlimitedPlans:
    """Whatever a token names."""

    def resolve(self, caller: Caller) -> CallerPlan:
        nothing = LevelLimits()
        return CallerPlan(
            name="unlimited",
            principal=Principal(caller.tenant, caller.project, key_pseudonym(caller.subject)),
            key=nothing,
            project=nothing,
            org=nothing,
            max_session_ms=_FOR_EVER_MS,
            when_exhausted=WhenExhausted.throttle,
            when_limiter_away=WhenLimiterAway.open,
            rater=Rater.audio_second,
            rating_version="0" * 12,
            tier=Tier.standard,
        )
