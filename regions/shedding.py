"""Sessions of this gateway that end so that one of a higher tier can go on. Who it is, policies.shedding says.

A gateway ends its own sessions only: of those of other gateways, and of peers, it knows neither tier nor client. What
keeps room for a higher tier there is headroom (policies.tier_slots).
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import structlog

from policies.plans import Tier
from policies.routing import fits
from policies.routing_facts import RuledOut
from policies.shedding import Running, SheddingBook, is_above
from regions.placing import Shed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from policies.routing_facts import RegionFacts, RegionSnapshot, RouteDecision, RouteRequest
    from regions.placement_metrics import PlacementMetrics
    from regions.placement_rules import PlacementRules

_PERMILLE = 1_000
_AVOIDED = RuledOut.failed_this_session
_NOWHERE: frozenset[str] = frozenset()
_ORDER = tuple(Tier)
_MOST_ASKED = 4
"""Where so many end already, a slot comes by itself; whoever waits asks again."""

log = structlog.get_logger("placement")


def full_regions(decision: RouteDecision) -> frozenset[str]:
    """Those that would take the session if they had a slot."""
    return frozenset(name for name, why in decision.ruled_out.items() if why is RuledOut.no_free_slot)


def promised_away(decision: RouteDecision, kept: frozenset[str]) -> RouteDecision:
    """A decision without the regions of `kept`, with the reason that holds: their slots are for others."""
    if not kept:
        return decision
    changed = {name: RuledOut.no_free_slot for name in kept if decision.ruled_out.get(name) is _AVOIDED}
    return replace(decision, ruled_out={**decision.ruled_out, **changed})


class Sheddable(Protocol):
    """A session of this gateway, as regions.session_pool has it."""

    @property
    def session_id(self) -> str: ...
    @property
    def tier(self) -> Tier: ...
    @property
    def began_at_ms(self) -> int: ...

    def works_in(self) -> tuple[str, str, str] | None:
        """The region, model and version of the engine whose slot it would leave to somebody else; None: it would leave
        none, for no engine works for it, or only one that goes away itself.
        """

    def end_for_other(self, shed: Shed) -> bool:
        """End it, after its utterance. False: it ends already, or may not be ended."""


class Shedding:
    """One a gateway."""

    def __init__(
        self, rules: PlacementRules, metrics: PlacementMetrics, snapshot: Callable[[], RegionSnapshot]
    ) -> None:
        self._rules = rules
        self._metrics = metrics
        self._snapshot = snapshot
        self._book = SheddingBook(rules.shedding)
        self._sessions: dict[Tier, dict[str, Sheddable]] = {tier: {} for tier in Tier}

    # --- who is there -------------------------------------------------------------------------------------

    def begun(self, session: Sheddable) -> None:
        self._sessions[session.tier][session.session_id] = session

    def served(self, session_id: str) -> None:
        """It has an engine."""
        if not self._book.is_idle:
            self._book.served(session_id)

    def closed(self, session: Sheddable) -> None:
        known = self._sessions[session.tier]
        if known.get(session.session_id) is session:
            del known[session.session_id]
        if not self._book.is_idle:
            self._book.gone(session.session_id)

    # --- what is asked ------------------------------------------------------------------------------------

    def is_slot_coming(self, session: Sheddable, request: RouteRequest, full: frozenset[str], now_ms: int) -> bool:
        """No region has a slot for this session. Whether one is being freed for it; ends another session if it may be.

        Args:
            full: permitted regions that would take it if they had a slot.
        """
        if not full or not self._may_have_any_slot(session.tier, request):
            return False
        below = [tier for tier in _ORDER if is_above(session.tier, tier) and self._sessions[tier]]
        told: set[str] = set()
        while below and len(told) < _MOST_ASKED:
            running = self._running(below, request, full, told)
            victim = self._book.ask(now_ms, session.session_id, session.tier, running)
            if victim is None:
                break
            if self._end(victim, session.tier, now_ms):
                break
            told.add(victim.session_id)
            self._book.refused(session.session_id)
        claim = self._book.claim_of(session.session_id)
        return claim is not None and now_ms < claim.until_ms

    def kept_from(self, tier: Tier, now_ms: int) -> frozenset[str]:
        """Regions whose free slots are all promised to sessions above this tier."""
        if self._book.is_idle:
            return _NOWHERE
        promised = self._book.promised(tier, now_ms)
        if not promised:
            return _NOWHERE
        return frozenset(
            region.name
            for region in self._snapshot().regions
            if max(region.free_slots_of_tier.values(), default=0) <= promised.get(region.name, -_PERMILLE)
        )

    # --- parts --------------------------------------------------------------------------------------------

    def _may_have_any_slot(self, tier: Tier, request: RouteRequest) -> bool:
        """A tier that is kept off some machines might not get the slot that is freed: nobody ends for its new ones."""
        return request.goes_on or self._rules.classes.of(tier).is_free

    def _running(
        self, tiers: Iterable[Tier], request: RouteRequest, full: frozenset[str], told: set[str]
    ) -> Iterator[Running]:
        facts = {region.name: region for region in self._snapshot().regions if region.name in full}
        usable = {
            (name, model.name, model.version)
            for name, region in facts.items()
            if self._is_enough(region, request)
            for model in region.models
            if fits(model, request)
        }
        if not usable:
            return
        for tier in tiers:
            for session in self._sessions[tier].values():
                at = session.works_in()
                if at is not None and at in usable and session.session_id not in told:
                    yield Running(session.session_id, tier, session.began_at_ms, at[0])

    def _is_enough(self, region: RegionFacts, request: RouteRequest) -> bool:
        """Whether one more free slot is one that the tier may take, beside what it leaves to those above it."""
        kept = region.slots_total * self._rules.headroom.of(request.tier) // _PERMILLE
        if kept == 0:
            return True
        used = region.slots_total - max(region.free_slots_of_tier.values(), default=0)
        return used + kept <= region.slots_total

    def _end(self, victim: Running, for_tier: Tier, now_ms: int) -> bool:
        limits = self._rules.shedding
        retry_after_ms = self._book.retry_after_ms(now_ms, draw_permille=random.randrange(_PERMILLE))
        session = self._sessions[victim.tier][victim.session_id]
        if not session.end_for_other(Shed(for_tier, limits.grace_ms, retry_after_ms)):
            return False
        self._metrics.shed(victim.tier.value, for_tier.value)
        log.info(
            "session.shed",
            session=victim.session_id,
            tier=victim.tier.value,
            for_tier=for_tier.value,
            of_region=victim.region,
            retry_after_ms=retry_after_ms,
        )
        return True
