"""What all sessions of a gateway share when they are placed."""

from __future__ import annotations

import pytest

from engines.interface import StreamOptions
from policies.plans import Tier
from policies.routing_facts import RouteRequest
from tests.regions.placement_world import EVERYWHERE, World

pytestmark = pytest.mark.unit


async def test_a_decision_counts_what_was_placed_a_moment_ago() -> None:
    world = World()
    parts = world.placement._parts
    request = RouteRequest(EVERYWHERE, Tier.standard, "", "", "")
    before = parts.decide(request)
    world.facts.placed("north", StreamOptions())
    after = parts.decide(request)
    assert [decision.candidates[0].free_slots for decision in (before, after)] == [10, 9]
