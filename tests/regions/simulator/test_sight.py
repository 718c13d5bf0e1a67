from __future__ import annotations

import random

import pytest

from policies.plans import Tier
from policies.region_health import Effect
from policies.routing_facts import RouteRequest, RuledOut
from regions.simulator.machines import MODEL, Paid
from regions.simulator.session import Session
from regions.simulator.sight import Place
from tests.regions.simulator.small_world import EU, REGIONS, caller, quiet_world

pytestmark = pytest.mark.unit
EVERYWHERE = frozenset(region.name for region in REGIONS)


def request(permitted: frozenset[str] = EVERYWHERE, **changes: object) -> RouteRequest:
    wanted: dict[str, object] = {"tier": Tier.standard, "model": MODEL, "model_version": "", "language": ""}
    return RouteRequest(permitted=permitted, **(wanted | changes))  # type: ignore[arg-type]


def fill(place: Place, dice: random.Random, now_ms: int) -> None:
    """Take some slots of a region, give some back."""
    for engine in place.room.engines.values():
        while engine.used < engine.slots and dice.random() < 0.7:
            place.room.open(Session(caller(dice.randrange(10**9)), EVERYWHERE, 0), engine, now_ms)
        while engine.used and dice.random() < 0.3:
            place.room.close(next(iter(engine.sessions)), engine, now_ms)


@pytest.mark.parametrize("seed", range(4))
def test_a_look_at_the_most_promising_regions_decides_as_a_look_at_all_of_them(seed: int) -> None:
    dice = random.Random(seed)
    world = quiet_world()
    now_ms, compared = 0, 0
    for _ in range(120):
        now_ms += dice.randrange(2_000)
        fill(dice.choice(world.places), dice, now_ms)
        place = dice.choice(world.places)
        if dice.random() < 0.2:
            paid = dice.choice(list(Paid))
            place.room.ready(place.room.start(paid, 0, dice.choice((2, 8)), now_ms=now_ms), now_ms)
        if dice.random() < 0.1:
            place.is_up = not place.is_up
        front = dice.randrange(len(REGIONS))
        if dice.random() < 0.1:
            world.sight.went_ill(front, place.number)
            for _ in range(6):
                world.sight.glance(front, place.number).health.session_ended(
                    now_ms, Effect.silent, placed_at_ms=now_ms, standing=0
                )
        asked = request(
            dice.choice((EVERYWHERE, EU)),
            tier=dice.choice(list(Tier)),
            current=dice.choice((None, *EU)),
            draw_permille=dice.randrange(1_000),
            goes_on=dice.random() < 0.5,
        )
        of_some = world.sight.decide(front, asked, now_ms)
        of_all = world.sight.decide_over_all(front, asked, now_ms)
        assert (of_some.chosen, of_some.kept_current) == (of_all.chosen, of_all.kept_current)
        compared += of_some.chosen is not None
        if of_some.chosen is not None:
            world.sight.placed(front, world.sight.number_of(of_some.chosen))
    assert compared > 30


def test_peers_see_an_old_report_and_what_they_placed_since() -> None:
    world = quiet_world()
    dublin, paris = 0, 1
    before = world.sight.facts(dublin, paris, 1_100)
    world.sight.placed(dublin, paris)
    after = world.sight.facts(dublin, paris, 1_200)
    assert after.placed_since_report == 1
    assert after.free_slots_of_tier["premium"] == before.free_slots_of_tier["premium"] - 1
    assert world.sight.facts(paris, paris, 1_200).free_slots_of_tier["premium"] == before.free_slots_of_tier["premium"]


def test_a_dark_region_is_seen_as_it_was_until_its_links_are_found_dead() -> None:
    world = quiet_world()
    place = world.places[1]
    place.last_told, place.is_up, place.seen_down_at_ms = place.room.look(0), False, 2_000
    assert world.sight.facts(0, 1, 1_999).is_reachable
    decision = world.sight.decide_over_all(0, request(), 2_000)
    assert decision.ruled_out["paris"] is RuledOut.unreachable


def test_permitted_regions_come_nearest_first() -> None:
    assert quiet_world().sight.nearest_first(0, EU) == [0, 1, 2]
