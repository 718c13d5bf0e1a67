"""Facts of regions and decisions of placement as JSON trees, for people who ask why. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from policies.distance import rtt_prior_ms
from policies.routing_facts import RegionSnapshot, RuledOut

if TYPE_CHECKING:
    from policies.routing_facts import Candidate, RegionFacts, RouteDecision
    from regions.catalog import Catalog, Location

_DECIMALS = 3


def seen_from(snapshot: RegionSnapshot, catalog: Catalog, there: Location) -> RegionSnapshot:
    """The same facts for a gateway that stands elsewhere. Its round trips cannot be measured from here: they are
    reckoned from the distance.
    """
    return RegionSnapshot(
        snapshot.taken_at_ms,
        tuple(
            replace(region, is_local=False, is_rtt_measured=False, rtt_ms=rtt_prior_ms(there, spec.location))
            if (spec := catalog.regions.get(region.name)) is not None
            else region
            for region in snapshot.regions
        ),
    )


def region_json(region: RegionFacts) -> dict[str, Any]:
    return {
        "name": region.name,
        "is_local": region.is_local,
        "has_engines": region.has_engines,
        "state": region.state.value,
        "health": region.health.value,
        "is_reachable": region.is_reachable,
        "rtt_ms": round(region.rtt_ms, _DECIMALS),
        "is_rtt_measured": region.is_rtt_measured,
        "age_ms": region.age_ms,
        "slots_total": region.slots_total,
        "free_slots_of_tier": dict(region.free_slots_of_tier),
        "free_slots_of_class": dict(region.free_slots_of_class),
        "placed_since_report": region.placed_since_report,
        "lag_ms": region.lag_ms,
        "spot_permille": region.spot_permille,
        "cost_permille": region.cost_permille,
        "clock_offset_ms": region.clock_offset_ms,
        "spilling_tiers": sorted(region.spilling_tiers),
        "models": [
            {
                "name": model.name,
                "version": model.version,
                "language": model.language,
                "slots_total": model.slots_total,
                "slots_free": model.slots_free,
                "is_leaving": model.is_leaving,
            }
            for model in region.models
        ],
    }


def decision_json(decision: RouteDecision, snapshot: RegionSnapshot, *, tier: str) -> dict[str, Any]:
    """Candidates best first; of the others the first reason that holds, and how old the facts are that say so.

    Args:
        tier: of the session that the decision is about.
    """
    facts = {region.name: region for region in snapshot.regions}
    return {
        "chosen": decision.chosen,
        "kept_current": decision.kept_current,
        "candidates": [
            _candidate_json(candidate, facts.get(candidate.region), tier) for candidate in decision.candidates
        ],
        "ruled_out": [
            {"region": name, "reason": reason.value, "age_ms": facts[name].age_ms if name in facts else None}
            for name, reason in sorted(decision.ruled_out.items())
        ],
    }


def ruled_out_summary(decision: RouteDecision) -> dict[str, int]:
    """How many regions each reason ruled out, for a log line. Those outside the policy set are none of its business."""
    counts: dict[str, int] = {}
    for reason in decision.ruled_out.values():
        if reason is not RuledOut.outside_policy:
            counts[reason.value] = counts.get(reason.value, 0) + 1
    return counts


def _candidate_json(candidate: Candidate, facts: RegionFacts | None, tier: str) -> dict[str, Any]:
    tree: dict[str, Any] = {
        "region": candidate.region,
        "score_ms": round(candidate.score, _DECIMALS),
        "parts_ms": {name: round(value, _DECIMALS) for name, value in candidate.parts.items()},
        "free_slots": candidate.free_slots,
    }
    if facts is not None:
        tree |= {
            "health": facts.health.value,
            "is_spilling": tier in facts.spilling_tiers,
            "age_ms": facts.age_ms,
            "placed_since_report": facts.placed_since_report,
        }
    return tree
