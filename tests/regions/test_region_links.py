"""What the links to a region's engines, or to its relays, say when they are read together."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from engines.interface import ModelLoad
from policies.routing_facts import CapacityClass, ModelFacts, RegionState
from policies.tier_classes import ClassRule, TierClasses
from policies.tier_slots import TierHeadroom
from regions.region_links import RegionLink, Spoken, healthy, spoken_by_engines, spoken_by_relays, stricter
from tests.fakes.region_pool import FakeLink, load_of, status_of

pytestmark = pytest.mark.unit

HEADROOM = TierHeadroom(standard_permille=0, economy_permille=100)


def by_pool(link: RegionLink) -> CapacityClass:
    return CapacityClass.spot if link.load is not None and link.load.pool == "spot" else CapacityClass.reserved


def engines(*links: FakeLink) -> Spoken:
    return spoken_by_engines(links, HEADROOM, by_pool)


def test_the_reports_of_a_regions_engines_are_added_and_own_placements_taken_off() -> None:
    spoken = engines(
        FakeLink(load=load_of(slots=10, used=4), heard_at_s=3.0, placed_since_report=1),
        FakeLink(load=load_of(slots=20, used=5), heard_at_s=5.0),
    )
    assert (spoken.is_reachable, spoken.heard_at_s, spoken.slots_total, spoken.placed) == (True, 5.0, 30, 1)
    assert spoken.models == (ModelFacts("scripted", "1", "en", 30, 20, False),)
    assert spoken.free_slots == {"premium": 20, "standard": 20, "economy": 17}


def test_an_engine_that_drains_is_no_capacity_but_its_model_is_known() -> None:
    spoken = engines(FakeLink(load=load_of(is_draining=True)))
    assert (spoken.is_reachable, spoken.slots_total) == (True, 0)
    assert spoken.models == (ModelFacts("scripted", "1", "en", 0, 0, False),)


def test_a_version_leaves_a_region_when_it_leaves_all_of_its_engines() -> None:
    staying = ModelLoad(name="m", version="1", slots_total=2, slots_used=0)
    leaving = msgspec.structs.replace(staying, is_leaving=True)
    loads = [msgspec.structs.replace(load_of(), models=(model,)) for model in (staying, leaving)]
    assert [model.is_leaving for model in engines(*(FakeLink(load=load) for load in loads)).models] == [False]
    assert [model.is_leaving for model in engines(FakeLink(load=loads[1])).models] == [True]


def test_a_region_without_a_link_says_nothing() -> None:
    assert engines(FakeLink(load=None)) == replace(Spoken(), free_slots={"premium": 0, "standard": 0, "economy": 0})
    assert spoken_by_relays([FakeLink(load=None)]) == Spoken()


def test_the_share_of_spot_is_of_slots() -> None:
    spoken = engines(FakeLink(load=load_of(slots=10)), FakeLink(load=load_of(slots=30, pool="spot")))
    assert spoken.spot_permille == 750


def test_what_a_tier_may_not_have_is_no_room_for_its_new_sessions() -> None:
    links = [
        FakeLink(load=load_of(slots=10, used=2)),
        FakeLink(load=load_of(slots=10, used=4), placed_since_report=1),
        FakeLink(load=load_of(slots=6, used=5, pool="spot")),
    ]
    classes = TierClasses(standard=ClassRule(reserved_permille=500), economy=ClassRule((CapacityClass.spot,)))
    spoken = spoken_by_engines(links, TierHeadroom(0, 0), by_pool, classes)
    assert spoken.free_slots == {"premium": 14, "standard": 3 + 0 + 1, "economy": 1}


def test_lag_is_of_one_stream_of_the_engine_that_is_furthest_behind() -> None:
    """Fifty streams with 20 ms each in hand are not behind; one with 900 ms is."""
    busy = load_of(slots=64, used=50, queued_audio_ms=1_000)
    behind = load_of(slots=64, used=1, queued_audio_ms=900)
    assert engines(FakeLink(load=busy), FakeLink(load=behind)).lag_ms == 900


def test_streams_live_on_engines_that_report_though_one_of_them_was_given_up() -> None:
    spoken = engines(FakeLink(open_streams=3, has_failed_lately=True), FakeLink(load=None, open_streams=1))
    assert spoken.live_permille == 750


def test_each_relay_speaks_for_its_whole_region_so_that_one_is_believed() -> None:
    spoken = spoken_by_relays(
        [
            FakeLink(load=load_of(slots=10, used=9), heard_at_s=1.0, region=status_of("east", free=1)),
            FakeLink(load=load_of(slots=10, used=4), heard_at_s=2.0, region=status_of("east", free=6)),
        ]
    )
    assert (spoken.slots_total, spoken.free_slots["standard"], spoken.heard_at_s) == (10, 6, 2.0)


def test_slots_of_tiers_that_this_gateway_does_not_know_are_left_out() -> None:
    """A map of any size may come; it would be copied with each placement."""
    status = status_of("east", free=4)
    odd = {f"tier-{number}": 9 for number in range(1_000)}
    status = msgspec.structs.replace(status, free_slots_of_tier=status.free_slots_of_tier | odd)
    spoken = spoken_by_relays([FakeLink(load=load_of(), region=status)])
    assert spoken.free_slots == {"premium": 4, "standard": 4, "economy": 4}


def test_what_was_placed_over_any_relay_is_taken_off() -> None:
    spoken = spoken_by_relays(
        [
            FakeLink(load=load_of(), heard_at_s=2.0, region=status_of("east", free=6), placed_since_report=1),
            FakeLink(load=load_of(), heard_at_s=1.0, placed_since_report=2),
        ]
    )
    assert (spoken.free_slots["premium"], spoken.placed, spoken.models[0].slots_free) == (3, 3, 7)


def test_a_gateway_that_goes_down_does_not_drain_its_region() -> None:
    leaving = FakeLink(load=load_of(is_draining=True), heard_at_s=2.0)
    staying = FakeLink(load=load_of(), heard_at_s=1.0)
    assert spoken_by_relays([leaving, staying]).state is RegionState.active
    assert spoken_by_relays([leaving]).state is RegionState.draining


def test_the_stricter_state_holds() -> None:
    active, draining, disabled = RegionState.active, RegionState.draining, RegionState.disabled
    assert (stricter(active, draining), stricter(disabled, draining)) == (draining, disabled)


def test_a_link_is_healthy_that_takes_streams_and_gave_none_up() -> None:
    good = FakeLink()
    links = [good, FakeLink(load=None), FakeLink(load=load_of(is_draining=True)), FakeLink(has_failed_lately=True)]
    assert healthy(links) == [good]


# --- classes of machines --------------------------------------------------------------------------------------


def test_free_slots_are_told_by_class_where_it_is_known_and_nowhere_else() -> None:
    links = [
        FakeLink("a", load=load_of(slots=10, used=2), placed_since_report=1),
        FakeLink("b", load=load_of(slots=4, used=6, pool="spot")),
        FakeLink("c", load=load_of(slots=9, pool="nobody's")),
        FakeLink("d", load=load_of(slots=9, is_draining=True)),
    ]
    known = {"a": CapacityClass.reserved, "b": CapacityClass.spot, "d": CapacityClass.reserved}
    spoken = spoken_by_engines(links, HEADROOM, by_pool, known_class_of=lambda link: known.get(link.address))
    assert spoken.free_slots_of_class == {"reserved": 7, "spot": 0}


def test_of_a_relay_each_class_has_less_by_what_was_placed_since() -> None:
    told = FakeLink(region=status_of("east", classes={"reserved": 5, "spot": 2}), placed_since_report=3)
    assert spoken_by_relays([told]).free_slots_of_class == {"reserved": 2, "spot": -1}
    assert spoken_by_relays([FakeLink(region=status_of("east"))]).free_slots_of_class == {}
