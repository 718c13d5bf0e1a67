"""What the gateways of each region know of all regions, and what they decide by it: policies.routing over old reports.

A decision looks at the most promising regions first. It is the decision that a look at all of them would give:

  - A region scores at least its round trip and what its mix of machines weighs, for every other part is at least 0. As
    long as the first one's score, with the margin and the draw among equals on top, is below this for every region that
    was left out, none of those could have been first.
  - Where the first one spills, another one that does not comes before it, whatever it scores: all are looked at.
  - Which tripped regions stay out depends on how many there are. Where one is tripped, all are looked at.

tests/regions/simulator/test_sight.py holds both ways against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.distance import rtt_prior_ms
from policies.region_health import RegionHealth
from policies.routing import decide
from policies.routing_facts import Health, RegionFacts, RegionSnapshot, RegionState
from policies.spill import Spill, SpillLimits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policies.routing_facts import RouteDecision, RouteRequest
    from regions.placement_rules import PlacementRules
    from regions.simulator.machines import MachineRoom, Told
    from regions.simulator.scenario import SimulatedRegion

_PERMILLE = 1_000
_AT_FIRST_MS = 8.0
"""How much worse than the most promising region others may be to be looked at in the first place."""
_ROUNDING_MS = 1e-6
_SPILL = SpillLimits()


@dataclass(slots=True, eq=False)
class Place:
    """One region of the world, as it is.

    Attributes:
        is_up: its gateways and engines run.
        seen_down_at_ms: from when its peers have no links to it while it is down.
        last_told: of a region that went dark: it is seen as it was until then.
        is_silent: its engines take all audio and answer nothing.
    """

    number: int
    name: str
    room: MachineRoom
    is_up: bool = True
    seen_down_at_ms: int = 0
    last_told: Told | None = None
    is_silent: bool = False


@dataclass(slots=True, eq=False)
class _Glance:
    """What one region's gateways know of another one."""

    health: RegionHealth
    spill: Spill
    rtt_ms: float
    version: int = -1
    placed: int = 0
    """Since that report."""
    facts: RegionFacts | None = None
    was_ill: bool = False
    spilling: frozenset[str] = frozenset()


class Sight:
    """Of all gateways; those of one region share what they know."""

    def __init__(
        self,
        places: Sequence[Place],
        regions: Sequence[SimulatedRegion],
        rules: PlacementRules,
        *,
        report_every_ms: int,
    ) -> None:
        self._places = places
        self._numbers = {place.name: place.number for place in places}
        self._rules = rules
        self._report_every_ms = report_every_ms
        self.rtt_ms = [[0.0 if here is there else rtt_prior_ms(here, there) for there in regions] for here in regions]
        self._glances: list[dict[int, _Glance]] = [{} for _ in places]
        self._ill: list[dict[int, None]] = [{} for _ in places]
        self._reached: dict[tuple[int, frozenset[str]], list[tuple[float, MachineRoom, int]]] = {}
        self._orders: dict[tuple[int, frozenset[str]], list[int]] = {}

    def number_of(self, name: str) -> int:
        return self._numbers[name]

    def nearest_first(self, front: int, permitted: frozenset[str]) -> list[int]:
        """The permitted regions by their round trip from a front region."""
        known = self._orders.get((front, permitted))
        if known is None:
            rtts = self.rtt_ms[front]
            known = sorted((self._numbers[name] for name in permitted), key=lambda number: (rtts[number], number))
            self._orders[front, permitted] = known
        return known

    def decide(self, front: int, request: RouteRequest, now_ms: int) -> RouteDecision:
        """The first of its candidates, and whether it keeps a session, are those of `decide_over_all`."""
        weights = self._rules.weights
        if self._knows_tripped(front, now_ms):
            return self.decide_over_all(front, request, now_ms)
        slack_ms = weights.equal_ms if request.current is None else max(weights.equal_ms, weights.margin_ms)
        slack_ms += _ROUNDING_MS
        least = self._least_scores(front, request)
        most_ms = least[0][0] + slack_ms + _AT_FIRST_MS
        while most_ms < least[-1][0]:
            looked_at = [number for least_ms, number in least if least_ms <= most_ms]
            if request.current is not None and (current := self._numbers[request.current]) not in looked_at:
                looked_at.append(current)
            decision = decide(request, self._snapshot(front, looked_at, now_ms), weights)
            if not decision.candidates:
                most_ms += most_ms + _AT_FIRST_MS
                continue
            if not request.goes_on and request.tier in self._spilling(front, decision.candidates[0].region):
                break
            if decision.candidates[0].score + slack_ms <= most_ms:
                return decision
            most_ms = decision.candidates[0].score + slack_ms
        return self.decide_over_all(front, request, now_ms)

    def decide_over_all(self, front: int, request: RouteRequest, now_ms: int) -> RouteDecision:
        """Over all permitted regions; the others are ruled out before anything is looked at."""
        order = self.nearest_first(front, request.permitted)
        return decide(request, self._snapshot(front, order, now_ms), self._rules.weights)

    def _least_scores(self, front: int, request: RouteRequest) -> list[tuple[float, int]]:
        """What each permitted region scores at least, the most promising first."""
        weights = self._rules.weights
        of_spot = weights.spot_ms.get(request.tier, 0.0) / _PERMILLE
        of_cost = weights.cost_ms.get(request.tier, 0.0) / _PERMILLE
        reached = self._reached.get((front, request.permitted))
        if reached is None:
            reached = [
                (self.rtt_ms[front][number], self._places[number].room, number)
                for number in self.nearest_first(front, request.permitted)
            ]
            self._reached[front, request.permitted] = reached
        return sorted(
            [
                (rtt_ms + of_spot * room.least_spot_permille + of_cost * room.least_cost_permille, number)
                for rtt_ms, room, number in reached
            ]
        )

    def facts(self, front: int, target: int, now_ms: int) -> RegionFacts:
        """One region as the gateways of another one see it."""
        place, glance = self._places[target], self.glance(front, target)
        is_local = front == target
        is_reachable, age_ms = True, self._report_every_ms + int(glance.rtt_ms)
        if place.is_up:
            told = place.room.look_from_within(now_ms) if is_local else place.room.look(now_ms)
        elif place.last_told is not None and now_ms < place.seen_down_at_ms:
            told, age_ms = place.last_told, now_ms - place.last_told.at_ms
        else:
            told, is_reachable = place.room.look(now_ms), False
        if told.version != glance.version:
            glance.version, glance.placed, glance.facts = told.version, 0, None
        health = glance.health.state(now_ms) if glance.was_ill else Health.admitting
        facts = glance.facts
        if glance.spilling or facts is None:
            free = told.free_slots_less(0 if is_local else glance.placed)
            spilling = glance.spill.look(now_ms, slots_total=told.slots_total, free_slots_of_tier=free)
            if spilling is not glance.spilling:
                glance.spilling, facts = spilling, None
        if facts is None or facts.health is not health or facts.is_reachable is not is_reachable or not place.is_up:
            facts = glance.facts = self._made(place, glance, told, health, is_local, is_reachable, age_ms)
        return facts

    def placed(self, front: int, target: int) -> None:
        """A stream was asked for there: the next report may not know of it yet."""
        glance = self.glance(front, target)
        glance.placed += 1
        glance.facts = None

    def glance(self, front: int, target: int) -> _Glance:
        glance = self._glances[front].get(target)
        if glance is None:
            health = RegionHealth(self._rules.health, self._rules.breaker)
            spill = Spill(_SPILL)
            glance = self._glances[front][target] = _Glance(health, spill, self.rtt_ms[front][target])
        return glance

    def went_ill(self, front: int, target: int) -> None:
        """Sessions were lost there by the region's own fault: from now on its breaker is asked."""
        self.glance(front, target).was_ill = True
        self._ill[front][target] = None

    def _spilling(self, front: int, region: str) -> frozenset[str]:
        return self._glances[front][self._numbers[region]].spilling

    def _knows_tripped(self, front: int, now_ms: int) -> bool:
        glances = self._glances[front]
        return any(glances[target].health.state(now_ms) is Health.tripped for target in self._ill[front])

    def _snapshot(self, front: int, targets: Sequence[int], now_ms: int) -> RegionSnapshot:
        return RegionSnapshot(now_ms, tuple([self.facts(front, target, now_ms) for target in targets]))

    def _made(
        self,
        place: Place,
        glance: _Glance,
        told: Told,
        health: Health,
        is_local: bool,
        is_reachable: bool,
        age_ms: int,
    ) -> RegionFacts:
        placed = 0 if is_local else glance.placed
        return RegionFacts(
            name=place.name,
            is_local=is_local,
            has_engines=True,
            state=RegionState.active,
            health=health,
            rtt_ms=glance.rtt_ms,
            is_rtt_measured=True,
            age_ms=age_ms,
            models=told.models_less(placed),
            slots_total=told.slots_total,
            free_slots_of_tier=told.free_slots_less(placed),
            placed_since_report=placed,
            spot_permille=told.spot_permille,
            cost_permille=told.cost_permille,
            is_reachable=is_reachable,
            spilling_tiers=glance.spilling,
        )
