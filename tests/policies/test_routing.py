"""Inside the policy set, nearest first, with a typed reason for each region that is out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from policies.plans import Tier
from policies.routing import RoutingWeights, decide, free_slots
from policies.routing_facts import (
    Health,
    ModelFacts,
    RegionFacts,
    RegionSnapshot,
    RegionState,
    RouteDecision,
    RouteRequest,
    RuledOut,
)

pytestmark = pytest.mark.unit

WEIGHTS = RoutingWeights()
MODEL = ModelFacts("general", "3", "en", slots_total=100, slots_free=80)
FREE = {"premium": 80, "standard": 80, "economy": 70}
WEST = RegionFacts(
    "eu-west",
    is_local=True,
    has_engines=True,
    state=RegionState.active,
    health=Health.admitting,
    rtt_ms=1.0,
    is_rtt_measured=True,
    age_ms=500,
    models=(MODEL,),
    slots_total=100,
    free_slots_of_tier=FREE,
)
CENTRAL = replace(WEST, name="eu-central", is_local=False, rtt_ms=30.0)
US = replace(WEST, name="us-east", is_local=False, rtt_ms=90.0)
REQUEST = RouteRequest(
    permitted=frozenset({"eu-west", "eu-central", "us-east"}),
    tier=Tier.standard,
    model="general",
    model_version="",
    language="en-GB",
)


def decided(*regions: RegionFacts, request: RouteRequest = REQUEST, weights: RoutingWeights = WEIGHTS) -> RouteDecision:
    return decide(request, RegionSnapshot(taken_at_ms=0, regions=regions), weights)


def ranked(decision: RouteDecision) -> list[str]:
    return [candidate.region for candidate in decision.candidates]


def test_the_nearest_comes_first_and_the_others_behind_it() -> None:
    decision = decided(US, CENTRAL, WEST)
    assert ranked(decision) == ["eu-west", "eu-central", "us-east"]
    assert (decision.chosen, decision.ruled_out, decision.kept_current) == ("eu-west", {}, False)


def test_what_the_policy_does_not_permit_is_out_whatever_speaks_for_it() -> None:
    request = replace(REQUEST, permitted=frozenset({"us-east"}))
    decision = decided(WEST, replace(US, rtt_ms=900.0), request=request)
    assert ranked(decision) == ["us-east"]
    assert decision.ruled_out == {"eu-west": RuledOut.outside_policy}


def test_an_empty_policy_set_gives_no_candidate() -> None:
    decision = decided(WEST, US, request=replace(REQUEST, permitted=frozenset()))
    assert (decision.chosen, set(decision.ruled_out.values())) == (None, {RuledOut.outside_policy})


def test_a_permitted_region_that_nobody_knows_is_told() -> None:
    assert decided(WEST, CENTRAL).ruled_out == {"us-east": RuledOut.not_in_catalog}


@pytest.mark.parametrize(
    ("worse", "reason"),
    [
        ({"has_engines": False}, RuledOut.no_engines),
        ({"state": RegionState.disabled}, RuledOut.disabled),
        ({"state": RegionState.draining}, RuledOut.draining),
        ({"is_reachable": False}, RuledOut.unreachable),
        ({"age_ms": None}, RuledOut.unreachable),
        ({"age_ms": 5_001}, RuledOut.stale_facts),
        ({"health": Health.tripped}, RuledOut.tripped),
        ({"models": ()}, RuledOut.unknown_model),
        ({"models": (replace(MODEL, name="other"),)}, RuledOut.unknown_model),
        ({"models": (replace(MODEL, language="de"),)}, RuledOut.unsupported_language),
        ({"models": (replace(MODEL, slots_free=0),)}, RuledOut.no_free_slot),
        ({"models": (replace(MODEL, is_leaving=True),)}, RuledOut.no_free_slot),
        ({"free_slots_of_tier": {"premium": 5, "standard": 0}}, RuledOut.no_free_slot),
        ({"free_slots_of_tier": {"standard": -3}}, RuledOut.no_free_slot),
    ],
    ids=str,
)
def test_each_thing_that_rules_a_region_out_has_its_reason(worse: dict[str, object], reason: RuledOut) -> None:
    decision = decided(replace(WEST, **worse), CENTRAL, US)  # type: ignore[arg-type]
    assert decision.ruled_out == {"eu-west": reason}
    assert ranked(decision) == ["eu-central", "us-east"]


def test_a_region_that_this_session_lost_an_engine_in_is_out() -> None:
    request = replace(REQUEST, avoided=frozenset({"eu-west"}))
    assert decided(WEST, CENTRAL, US, request=request).ruled_out == {"eu-west": RuledOut.failed_this_session}


def test_of_several_reasons_the_first_in_order_is_told() -> None:
    hopeless = replace(WEST, state=RegionState.draining, is_reachable=False, health=Health.tripped, models=())
    assert decided(hopeless, CENTRAL, US).ruled_out == {"eu-west": RuledOut.draining}


def test_a_session_bound_to_a_version_goes_where_that_version_is_even_while_it_leaves() -> None:
    old = replace(MODEL, version="2", is_leaving=True)
    request = replace(REQUEST, model_version="2")
    decision = decided(WEST, replace(US, models=(MODEL, old)), CENTRAL, request=request)
    assert ranked(decision) == ["us-east"]
    assert decision.ruled_out == {"eu-west": RuledOut.unknown_model, "eu-central": RuledOut.unknown_model}


def test_a_tier_without_room_spills_to_the_next_region_and_the_tier_above_stays() -> None:
    full_for_most = replace(WEST, free_slots_of_tier={"premium": 4, "standard": 0, "economy": 0})
    assert decided(full_for_most, CENTRAL, US).chosen == "eu-central"
    assert free_slots(full_for_most, replace(REQUEST, tier=Tier.premium)) == 4


def test_the_parts_of_a_score_sum_up_to_it_and_say_whether_the_round_trip_was_measured() -> None:
    decision = decided(WEST, replace(CENTRAL, is_rtt_measured=False), US)
    for candidate in decision.candidates:
        assert candidate.score == pytest.approx(sum(candidate.parts.values()))
    assert set(decision.candidates[0].parts) == {"rtt", "queueing", "spot", "cost"}
    assert set(decision.candidates[1].parts) == {"rtt_prior", "queueing", "spot", "cost"}


def test_a_nearly_full_or_lagging_region_gives_way_to_one_a_little_farther() -> None:
    nearly_full = replace(WEST, free_slots_of_tier={"standard": 2})
    assert decided(nearly_full, CENTRAL, US).chosen == "eu-central"
    assert decided(replace(WEST, lag_ms=400), CENTRAL, US).chosen == "eu-central"


def test_spot_weighs_on_premium_and_cost_on_economy() -> None:
    spot = replace(WEST, spot_permille=1_000, cost_permille=350)
    reserved = replace(WEST, name="eu-central", is_local=False, rtt_ms=20.0)
    chosen = {tier: decided(spot, reserved, request=replace(REQUEST, tier=tier)).chosen for tier in Tier}
    assert chosen == {Tier.premium: "eu-central", Tier.standard: "eu-west", Tier.economy: "eu-west"}


def test_a_session_stays_where_it_is_unless_another_region_is_better_by_the_margin() -> None:
    request = replace(REQUEST, current="eu-central")
    near = replace(CENTRAL, rtt_ms=20.0)
    decision = decided(WEST, near, US, request=request)
    assert (ranked(decision), decision.kept_current) == (["eu-central", "eu-west", "us-east"], True)
    decision = decided(WEST, CENTRAL, US, request=request)
    assert (decision.chosen, decision.kept_current) == ("eu-west", False)


def test_equal_regions_are_drawn_in_proportion_to_their_room() -> None:
    roomy = replace(WEST, name="eu-central", free_slots_of_tier={"standard": 80})
    tight = replace(WEST, free_slots_of_tier={"standard": 40})
    weights = RoutingWeights(equal_ms=10.0)
    chosen = Counter(
        decided(tight, roomy, request=replace(REQUEST, draw_permille=draw), weights=weights).chosen
        for draw in range(1_000)
    )
    assert chosen["eu-central"] == pytest.approx(667, abs=60)


def test_the_only_permitted_region_is_tried_although_it_is_tripped() -> None:
    request = replace(REQUEST, permitted=frozenset({"eu-west"}))
    decision = decided(replace(WEST, health=Health.tripped), US, request=request)
    assert ranked(decision) == ["eu-west"]
    assert decision.ruled_out == {"us-east": RuledOut.outside_policy}


def test_what_is_tripped_is_tried_where_all_that_is_well_is_full_or_away() -> None:
    full = replace(WEST, free_slots_of_tier={"standard": 0}, models=(replace(MODEL, slots_free=0),))
    decision = decided(full, replace(CENTRAL, health=Health.tripped), replace(US, is_reachable=False))
    assert ranked(decision) == ["eu-central"]
    assert decision.ruled_out == {"eu-west": RuledOut.no_free_slot, "us-east": RuledOut.unreachable}


def test_where_most_are_tripped_a_share_is_tried_after_what_is_well() -> None:
    west, central = (replace(region, health=Health.tripped) for region in (WEST, CENTRAL))
    decision = decided(west, central, US)
    assert ranked(decision) == ["us-east", "eu-west"]
    assert decision.ruled_out == {"eu-central": RuledOut.tripped}


def test_a_session_does_not_stay_in_a_tripped_region_while_another_is_well() -> None:
    west, central = (replace(region, health=Health.tripped) for region in (WEST, CENTRAL))
    decision = decided(west, central, US, request=replace(REQUEST, current="eu-west"))
    assert (ranked(decision), decision.kept_current) == (["us-east", "eu-west"], False)


def test_a_region_on_probation_is_tried_in_its_place() -> None:
    assert decided(replace(WEST, health=Health.probing), CENTRAL, US).chosen == "eu-west"


@pytest.mark.parametrize("wrong", [{"margin_ms": -1.0}, {"cost_ms": {Tier.economy: -1.0}}, {"queueing_ms": -1.0}])
def test_weights_that_would_prefer_what_is_worse_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="may not be negative"):
        RoutingWeights(**wrong)  # type: ignore[arg-type]


def test_a_share_beyond_all_is_refused() -> None:
    with pytest.raises(ValueError, match="is a share"):
        RoutingWeights(max_tripped_permille=1_001)


def test_a_region_that_spills_stands_behind_the_next_for_new_sessions_of_that_tier() -> None:
    full = replace(WEST, spilling_tiers=frozenset({"standard", "economy"}))
    assert ranked(decided(full, CENTRAL, US)) == ["eu-central", "us-east", "eu-west"]
    assert ranked(decided(full, CENTRAL, request=replace(REQUEST, tier=Tier.premium))) == ["eu-west", "eu-central"]
    assert ranked(decided(full, CENTRAL, request=replace(REQUEST, goes_on=True))) == ["eu-west", "eu-central"]


def test_a_region_that_spills_is_tried_before_one_that_is_tripped_and_where_there_is_no_other() -> None:
    full = replace(WEST, spilling_tiers=frozenset({"standard"}))
    ill = replace(CENTRAL, health=Health.tripped)
    assert decided(full).chosen == "eu-west"
    assert ranked(decided(full, ill, US)) == ["us-east", "eu-west"]
    one_more = replace(CENTRAL, name="eu-north", health=Health.tripped)
    assert decided(full, ill, one_more).chosen == "eu-west"
