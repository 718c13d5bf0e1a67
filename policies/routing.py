"""Which regions a session is tried in, best first, and why each other one is out. A pure rule over a snapshot.

The policy set comes first: what is outside of it is never looked at, and nothing that fails inside widens it. Then each
region is asked in the order of `RuledOut`; what is left is scored in milliseconds, each part by its name, and ranked.
Four things temper the score: a session stays where it is unless another place is better by a margin; places that are
as good as the best are drawn in proportion to their room, so that gateways with the same facts do not run to the same
one; a region that spills (policies.spill) stands behind those that do not, for new sessions; and where most of the set
is tripped, a share of it is tried all the same, after what is well.

No fact that gets worse brings its region forward. tests/policies/test_routing_properties.py tries to break that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policies.breaker import held_out
from policies.drawing import turn_in_draw
from policies.plans import Tier
from policies.routing_facts import ALL_CLASSES, Candidate, Health, RegionFacts, RegionState, RouteDecision, RuledOut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from policies.routing_facts import ModelFacts, RegionSnapshot, RouteRequest

_PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class RoutingWeights:
    """What counts how much, in milliseconds of round trip.

    Attributes:
        max_age_ms: a report that is older says nothing any more.
        margin_ms: how much better another region must be for a session to leave the one that it is in.
        equal_ms: regions within this of the best are as good as the best.
        queueing_ms: at half of the slots taken; times used / free, so it is small until a region is nearly full.
        lag_permille: of a region's lag that counts as waiting.
        spot_ms: by tier, for a region that is all spot: the risk of a move.
        cost_ms: by tier, for compute at the catalog's reference cost.
        max_tripped_permille: of the permitted regions with engines, at most so many are out for being tripped.
    """

    max_age_ms: int = 5_000
    margin_ms: float = 20.0
    equal_ms: float = 5.0
    queueing_ms: float = 2.0
    lag_permille: int = 500
    spot_ms: Mapping[Tier, float] = field(
        default_factory=lambda: {Tier.premium: 40.0, Tier.standard: 10.0, Tier.economy: 0.0}
    )
    cost_ms: Mapping[Tier, float] = field(
        default_factory=lambda: {Tier.premium: 5.0, Tier.standard: 20.0, Tier.economy: 80.0}
    )
    max_tripped_permille: int = 500

    def __post_init__(self) -> None:
        figures = (self.max_age_ms, self.margin_ms, self.equal_ms, self.queueing_ms, self.lag_permille)
        if min(*figures, *self.spot_ms.values(), *self.cost_ms.values()) < 0:
            raise ValueError("weights may not be negative: a worse region would be preferred")
        if not 0 <= self.max_tripped_permille <= _PERMILLE:
            raise ValueError("max_tripped_permille is a share, 0 to 1000")


def decide(request: RouteRequest, snapshot: RegionSnapshot, weights: RoutingWeights) -> RouteDecision:
    """Rank the regions of the snapshot for one session.

    Every region of the snapshot, and every permitted one that the snapshot does not have, is a candidate or ruled out.
    Where everything that is well is full or away, what is tripped is tried.
    """
    tripped_out = _tripped_out(request, snapshot, weights)
    decision = _without(tripped_out, request, snapshot, weights)
    if tripped_out and not decision.candidates:
        return _without(frozenset(), request, snapshot, weights)
    return decision


def _without(
    tripped_out: frozenset[str], request: RouteRequest, snapshot: RegionSnapshot, weights: RoutingWeights
) -> RouteDecision:
    ruled_out = dict.fromkeys(sorted(request.permitted), RuledOut.not_in_catalog)
    scored: list[Candidate] = []
    for region in snapshot.regions:
        reason = _ruled_out(region, request, weights, is_held_out=region.name in tripped_out)
        if reason is not None:
            ruled_out[region.name] = reason
            continue
        ruled_out.pop(region.name, None)
        scored.append(_scored(region, request, weights))
    groups = _in_groups(scored, request, snapshot)
    ranked = [_ranked(group, request, weights) for group in groups if group]
    kept = _kept(ranked[0], request, weights) if ranked else None
    if kept is not None:
        ranked[0] = [kept, *(candidate for candidate in ranked[0] if candidate is not kept)]
    return RouteDecision(
        candidates=tuple(candidate for group in ranked for candidate in group),
        ruled_out=ruled_out,
        kept_current=kept is not None,
    )


def _in_groups(
    scored: Sequence[Candidate], request: RouteRequest, snapshot: RegionSnapshot
) -> tuple[list[Candidate], list[Candidate], list[Candidate]]:
    """What is well, what spills, and the last resort. No score makes up for a group."""
    tripped = {region.name for region in snapshot.regions if region.health is Health.tripped}
    spilling = {
        region.name
        for region in snapshot.regions
        if region.spilling_tiers and not request.goes_on and request.tier in region.spilling_tiers
    }
    if not tripped and not spilling:
        return list(scored), [], []
    well: list[Candidate] = []
    nearly_full: list[Candidate] = []
    last_resort: list[Candidate] = []
    for candidate in scored:
        is_tripped, is_spilling = candidate.region in tripped, candidate.region in spilling
        (last_resort if is_tripped else nearly_full if is_spilling else well).append(candidate)
    return well, nearly_full, last_resort


def _tripped_out(request: RouteRequest, snapshot: RegionSnapshot, weights: RoutingWeights) -> frozenset[str]:
    """The tripped regions that stay out, of those that the session may use."""
    usable = [region for region in snapshot.regions if region.name in request.permitted and region.has_engines]
    tripped = sorted(
        (region for region in usable if region.health is Health.tripped),
        key=lambda region: (-_scored(region, request, weights).score, region.name),
    )
    names = [region.name for region in tripped]
    return held_out(names, among=len(usable), max_permille=weights.max_tripped_permille)


def _ruled_out(
    region: RegionFacts, request: RouteRequest, weights: RoutingWeights, *, is_held_out: bool
) -> RuledOut | None:
    """The first reason that holds, in the order in which they are declared."""
    asked = (
        (RuledOut.outside_policy, region.name not in request.permitted),
        (RuledOut.no_engines, not region.has_engines),
        (RuledOut.disabled, region.state is RegionState.disabled),
        (RuledOut.draining, region.state is RegionState.draining),
        (RuledOut.unreachable, not region.is_reachable or region.age_ms is None),
        (RuledOut.stale_facts, region.age_ms is not None and region.age_ms > weights.max_age_ms),
        (RuledOut.tripped, is_held_out),
        (RuledOut.failed_this_session, region.name in request.avoided),
    )
    for reason, holds in asked:
        if holds:
            return reason
    named = [model for model in region.models if _is_wanted(model, request)]
    if not named:
        return RuledOut.unknown_model
    if not any(_speaks(model.language, request.language) for model in named):
        return RuledOut.unsupported_language
    if _slots_of_permitted_classes(region, request) <= 0:
        return RuledOut.no_permitted_capacity
    return None if free_slots(region, request) > 0 else RuledOut.no_free_slot


def free_slots(region: RegionFacts, request: RouteRequest) -> int:
    """Give how many more such sessions a region takes: of the models that fit, of the caller's tier and of the machines
    that its policy set permits there, the least.
    """
    fitting = [model.slots_free for model in region.models if fits(model, request)]
    of_models = sum(max(0, free) for free in fitting)
    of_tier = region.free_slots_of_tier.get(request.tier.value, of_models)
    return int(min(of_models, of_tier, _slots_of_permitted_classes(region, request)))


def _slots_of_permitted_classes(region: RegionFacts, request: RouteRequest) -> float:
    """No bound where any machine will do. A region that does not say has none."""
    classes = request.classes.get(region.name)
    if classes is None or classes >= ALL_CLASSES:
        return math.inf
    return sum(max(0, region.free_slots_of_class.get(each.value, 0)) for each in classes)


def fits(model: ModelFacts, request: RouteRequest) -> bool:
    """Whether the session may have one of its slots."""
    may_begin = bool(request.model_version) or not model.is_leaving
    return may_begin and _is_wanted(model, request) and _speaks(model.language, request.language)


def _is_wanted(model: ModelFacts, request: RouteRequest) -> bool:
    return request.model in ("", model.name) and request.model_version in ("", model.version)


def _speaks(model_language: str, wanted: str) -> bool:
    """Whether the primary subtags of two BCP 47 languages agree; an empty one agrees with all."""
    first, second = (language.split("-", 1)[0].lower() for language in (model_language, wanted))
    return not first or not second or first == second


def _scored(region: RegionFacts, request: RouteRequest, weights: RoutingWeights) -> Candidate:
    free = free_slots(region, request)
    used = max(0, region.slots_total - free)
    parts = {
        "rtt" if region.is_rtt_measured else "rtt_prior": region.rtt_ms,
        "queueing": weights.queueing_ms * used / max(1, free) + region.lag_ms * weights.lag_permille / _PERMILLE,
        "spot": weights.spot_ms.get(request.tier, 0.0) * region.spot_permille / _PERMILLE,
        "cost": weights.cost_ms.get(request.tier, 0.0) * region.cost_permille / _PERMILLE,
    }
    return Candidate(region=region.name, score=sum(parts.values()), parts=parts, free_slots=free)


def _ranked(candidates: Sequence[Candidate], request: RouteRequest, weights: RoutingWeights) -> list[Candidate]:
    """By score; those within `equal_ms` of the best in the order of the session's draw."""
    if not candidates:
        return []
    best = min(candidate.score for candidate in candidates)

    def place(candidate: Candidate) -> tuple[bool, float, str]:
        if candidate.score > best + weights.equal_ms:
            return True, candidate.score, candidate.region
        return False, turn_in_draw(candidate.region, candidate.free_slots, request.draw_permille), candidate.region

    return sorted(candidates, key=place)


def _kept(ranked: Sequence[Candidate], request: RouteRequest, weights: RoutingWeights) -> Candidate | None:
    """The current region, when the first is another one and not better by the margin."""
    current = next((candidate for candidate in ranked if candidate.region == request.current), None)
    if current is None or current is ranked[0]:
        return None
    best = min(candidate.score for candidate in ranked)
    return current if current.score <= best + weights.margin_ms else None
