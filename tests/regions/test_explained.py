"""Facts and decisions as people read them."""

from __future__ import annotations

import json

import pytest

from engines.interface import StreamOptions
from policies.plans import Tier
from policies.routing_facts import RouteDecision, RuledOut
from regions.catalog import Location
from regions.explained import decision_json, region_json, ruled_out_summary, seen_from
from tests.regions.placement_world import EVERYWHERE, World, permitted_of

pytestmark = pytest.mark.unit


async def test_all_facts_of_a_region_are_told_and_are_json() -> None:
    world = World()
    tree = region_json(world.facts.snapshot.regions[1])
    assert json.loads(json.dumps(tree)) == tree
    assert (tree["name"], tree["state"], tree["health"], tree["is_reachable"]) == ("east", "active", "admitting", True)
    assert tree["models"] == [
        {
            "name": "scripted",
            "version": "1",
            "language": "en",
            "slots_total": 10,
            "slots_free": 10,
            "is_leaving": False,
        }
    ]


async def test_the_parts_of_a_score_sum_up_to_it() -> None:
    world = World()
    snapshot = world.placement.snapshot
    decision = world.placement.explain(permitted_of(EVERYWHERE), Tier.standard, StreamOptions(), snapshot)
    for candidate in decision_json(decision, snapshot, tier="standard")["candidates"]:
        assert sum(candidate["parts_ms"].values()) == pytest.approx(candidate["score_ms"], abs=0.01)


async def test_from_elsewhere_round_trips_are_reckoned_from_there_and_nothing_else_changes() -> None:
    world = World()
    seen = seen_from(world.placement.snapshot, world.facts.catalog, Location(-33.9, 18.4))
    north, _, south = seen.regions
    assert (south.rtt_ms, south.is_rtt_measured, north.is_local) == (1.0, False, False)
    assert north.rtt_ms > 100
    assert north.models == world.placement.snapshot.regions[0].models


def test_a_log_line_counts_reasons_and_not_the_regions_outside_of_the_set() -> None:
    ruled_out = {"a": RuledOut.draining, "b": RuledOut.draining, "c": RuledOut.tripped, "d": RuledOut.outside_policy}
    assert ruled_out_summary(RouteDecision((), ruled_out)) == {"draining": 2, "tripped": 1}
