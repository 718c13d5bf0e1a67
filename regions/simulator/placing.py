"""Finds an engine for a session of the simulated world, by the product's own rules.

Real are: which region (policies.routing), which engine (policies.replica_choice), whose slots (policies.tier_slots),
the turn after a loss (policies.replacement_pace), tries after a refusal (policies.retry_budget), which regions a
session does without (regions.session_losses), who ends for whom (policies.shedding), and what becomes of a region that
does sessions no good (policies.region_health). The gateways of one region are taken as one.

No session is given an engine outside of its policy set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.plans import Tier
from policies.region_health import Effect
from policies.replacement_pace import Replacement, ReplacementPace
from policies.retry_budget import RetryBudget
from policies.routing_facts import Health, RouteRequest, RuledOut
from policies.shedding import Running, SheddingBook, SheddingLimits
from policies.tier_slots import slots_tier
from regions.session_losses import SessionLosses
from regions.simulator.machines import MODEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from regions.placement_rules import PlacementRules
    from regions.simulator.events import Agenda
    from regions.simulator.machines import Engine
    from regions.simulator.session import Session
    from regions.simulator.sight import Place, Sight
    from regions.simulator.tally import Tally

_PERMILLE = 1_000
SHEDDING = SheddingLimits()


@dataclass(frozen=True, slots=True)
class Found:
    """An engine that has a slot for the session; it is not taken yet."""

    place: Place
    engine: Engine


@dataclass(frozen=True, slots=True)
class Wait:
    """It is not the session's turn yet."""

    wait_ms: int


class Placing:
    """Of all gateways of one run."""

    def __init__(
        self,
        agenda: Agenda,
        places: Sequence[Place],
        sight: Sight,
        rules: PlacementRules,
        tally: Tally,
        *,
        overflows: bool,
    ) -> None:
        self._agenda = agenda
        self._places = places
        self._sight = sight
        self._rules = rules
        self._tally = tally
        self._overflows = overflows
        self._paces = [ReplacementPace(rules.pace) for _ in places]
        self._retries = [RetryBudget(rules.retries) for _ in places]
        self._books = [SheddingBook(SHEDDING) for _ in places]

    # --- looking for an engine ----------------------------------------------------------------------------

    def find(self, session: Session, *, is_replay: bool) -> Found | Wait | None:
        """Decide, and ask the candidates in their order for a slot, as the retry budget allows. None: no one has."""
        now_ms, front = self._agenda.now_ms, session.front
        tier = slots_tier(session.caller.tier, is_replay=is_replay)
        avoided = frozenset[str]() if session.losses is None else session.losses.avoided(now_ms)
        request = self._request(session, tier, avoided, goes_on=is_replay)
        decision = self._sight.decide(front, request, now_ms)
        if not decision.candidates and avoided:
            request = self._request(session, tier, goes_on=is_replay)
            decision = self._sight.decide(front, request, now_ms)
        here = self._places[front].name
        session.found_it_full = decision.ruled_out.get(here) is RuledOut.no_free_slot
        if decision.chosen is None:
            return None
        if is_replay and (wait_ms := self._wait_ms(session, decision.chosen)) > 0:
            self._tally.count("paced")
            return Wait(wait_ms)
        retries = self._retries[front]
        retries.placed(now_ms)
        found = self._ask(session, decision.chosen, tier)
        if found is not None:
            return found
        self._tally.count("first_choices_refused")
        session.found_it_full |= decision.chosen == here
        others = self._sight.decide_over_all(front, request, now_ms).candidates
        left = [candidate.region for candidate in others if candidate.region != decision.chosen]
        for attempt, region in enumerate(left, 1):
            if retries.ask(now_ms, attempt=attempt) is not None:
                return None
            found = self._ask(session, region, tier)
            if found is not None:
                return found
        return None

    def has_room_for_premium(self, session: Session) -> bool:
        """Whether it was refused for its tier alone."""
        request = self._request(session, Tier.premium)
        return bool(self._sight.decide(session.front, request, self._agenda.now_ms).candidates)

    def _request(
        self, session: Session, tier: Tier, avoided: frozenset[str] = frozenset(), *, goes_on: bool = False
    ) -> RouteRequest:
        permitted = session.permitted
        if not self._overflows:
            permitted = frozenset({self._places[session.front].name})
        current = session.place.name if session.place is not None and session.place.name in permitted else None
        return RouteRequest(
            permitted=permitted,
            tier=tier,
            model=MODEL,
            model_version="",
            language="",
            current=current,
            avoided=avoided,
            draw_permille=session.caller.draw % _PERMILLE,
            goes_on=goes_on,
        )

    def _wait_ms(self, session: Session, target: str) -> int:
        caller = session.caller
        replacement = Replacement(session.name, target, caller.tier, caller.draw % _PERMILLE)
        return self._paces[session.front].ask(self._agenda.now_ms, replacement)

    def _ask(self, session: Session, region: str, tier: Tier) -> Found | None:
        """Ask one region for a slot."""
        now_ms, front = self._agenda.now_ms, session.front
        place = self._places[self._sight.number_of(region)]
        health = self._sight.glance(front, place.number).health
        if health.state(now_ms) is not Health.tripped and not health.begin(now_ms):
            return None
        self._sight.placed(front, place.number)
        engine = place.room.choose(tier, session.caller.draw + session.attempt, now_ms) if place.is_up else None
        book = self._books[front]
        if not book.is_idle and book.promised(session.caller.tier, now_ms).get(region, 0) >= place.room.slots_free:
            engine = None  # what is free is kept for who waits
        # One that is dark takes it and says nothing; its gateway asks another one.
        if engine is None or engine.is_dark:
            health.turned_away(now_ms)
            return None
        return Found(place, engine)

    # --- who ends for whom --------------------------------------------------------------------------------

    def victim_for(self, session: Session, others: Iterable[Session]) -> Session | None:
        """Nobody has a slot for it: which session of a lower tier at the same gateways ends now, if one does."""
        if session.caller.tier is Tier.economy:
            return None
        by_name: dict[str, Session] = {}
        running = []
        for other in others:
            if other.engine is not None and other.place is not None and other.place.name in session.permitted:
                by_name[other.name] = other
                running.append(Running(other.name, other.caller.tier, other.caller.at_ms, other.place.name))
        victim = self._books[session.front].ask(self._agenda.now_ms, session.name, session.caller.tier, running)
        return None if victim is None else by_name[victim.session_id]

    def shed(self, session: Session) -> int:
        """It has ended for another one: when its client should call again, in milliseconds."""
        book = self._books[session.front]
        book.gone(session.name)
        return book.retry_after_ms(self._agenda.now_ms, draw_permille=session.caller.draw % _PERMILLE)

    def served(self, session: Session) -> None:
        if not self._books[session.front].is_idle:
            self._books[session.front].served(session.name)

    def gone(self, session: Session) -> None:
        """It is over, or calls at another region from now on."""
        if session.has_lost:
            self._paces[session.front].gave_up(session.name)
        if not self._books[session.front].is_idle:
            self._books[session.front].gone(session.name)

    def gateways_lost(self, number: int) -> None:
        """What the gateways of a region knew is gone with them."""
        self._paces[number] = ReplacementPace(self._rules.pace)
        self._retries[number] = RetryBudget(self._rules.retries)
        self._books[number] = SheddingBook(SHEDDING)

    # --- regions that do no good --------------------------------------------------------------------------

    def heard_nothing(self, session: Session, place: Place) -> None:
        """The region took its audio and said nothing: the region's breaker hears of it, and the session avoids it."""
        now_ms, front = self._agenda.now_ms, session.front
        if session.losses is None:
            session.losses = SessionLosses(avoided_ms=self._rules.avoided_ms)
        session.losses.note(place.name, now_ms, is_suspect=front != place.number)
        self._sight.went_ill(front, place.number)
        standing = sum(each.front == front for engine in place.room.engines.values() for each in engine.sessions)
        health = self._sight.glance(front, place.number).health
        health.session_ended(now_ms, Effect.silent, placed_at_ms=session.placed_at_ms, standing=standing)

    def is_watched(self, session: Session, place: Place) -> bool:
        """Whether it matters to the region's breaker that this session goes well."""
        return self._sight.glance(session.front, place.number).was_ill

    def went_well(self, session: Session, place: Place) -> None:
        health = self._sight.glance(session.front, place.number).health
        health.session_ended(self._agenda.now_ms, Effect.well, placed_at_ms=session.placed_at_ms, standing=1)
