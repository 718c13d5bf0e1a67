"""How engines become pools, zones and fleets, and what is remembered of those that are gone."""

from __future__ import annotations

import pytest

from policies.capacity import PoolCapacity
from regions.capacity.fleets import Fleet, FleetBook, unmet_of
from regions.catalog import PoolSpec
from tests.regions.capacity.reports import RESERVED, SPOT, engine

pytestmark = pytest.mark.unit

REMEMBERED_MS = 1_000


def spec(name: str, *, zone: str = "", model: str = "en") -> PoolSpec:
    return PoolSpec(name, SPOT, "l4", ((model, ""),), cost_permille=350, zone=zone)


def rows(*fleets: Fleet) -> list[tuple[str, str, int]]:
    return [(row.pool, row.zone, row.slots_total) for fleet in fleets for row in fleet.rows]


def test_engines_of_one_pool_and_zone_are_added() -> None:
    reports = [
        engine("spot", SPOT, "a", slots=10, used=3),
        engine("spot", SPOT, "a", slots=12, used=1),
        engine("spot", SPOT, "b", slots=10, used=4, is_leaving=True),
    ]
    assert FleetBook(REMEMBERED_MS).look(0, reports) == (
        Fleet(
            ("en",),
            (
                PoolCapacity("spot", SPOT, "a", slots_total=22, slots_used=4, engines=2),
                PoolCapacity("spot", SPOT, "b", slots_used=4, slots_leaving=10),
            ),
            {"spot": 11},
        ),
    )


def test_pools_that_serve_the_same_models_are_one_fleet() -> None:
    fleets = FleetBook(REMEMBERED_MS).look(
        0, [engine("a", models=("en", "de")), engine("b", models=("de", "en")), engine("c", models=("fr",), slots=90)]
    )
    assert [(fleet.name, [row.pool for row in fleet.rows]) for fleet in fleets] == [
        ("fr", ["c"]),
        ("de+en", ["a", "b"]),
    ]


def test_a_pool_without_engines_is_known_for_a_while() -> None:
    book = FleetBook(REMEMBERED_MS)
    book.look(0, [engine("base"), engine("spot", SPOT, "a")])
    assert rows(*book.look(REMEMBERED_MS, [engine("base")])) == [("base", "", 10), ("spot", "a", 0)]
    assert rows(*book.look(REMEMBERED_MS + 1, [engine("base")])) == [("base", "", 10)]


def test_a_zone_that_was_lost_stays_a_zone_of_its_pool_for_a_while() -> None:
    book = FleetBook(REMEMBERED_MS)
    book.look(0, [engine("spot", SPOT, "a"), engine("spot", SPOT, "b")])
    assert rows(*book.look(REMEMBERED_MS, [engine("spot", SPOT, "a")])) == [("spot", "a", 10), ("spot", "b", 0)]
    assert rows(*book.look(REMEMBERED_MS + 1, [engine("spot", SPOT, "a")])) == [("spot", "a", 10)]


def test_pools_of_the_catalog_are_known_without_engines_and_stand_with_their_models() -> None:
    fleets = FleetBook(REMEMBERED_MS).look(0, [engine("base")], [spec("spot", zone="a"), spec("fr", model="fr")])
    assert [fleet.name for fleet in fleets] == ["en", "fr"]
    assert rows(*fleets) == [("base", "", 10), ("spot", "a", 0), ("fr", "", 0)]


def test_a_pool_of_which_no_model_is_known_stands_with_the_only_others() -> None:
    book = FleetBook(REMEMBERED_MS)
    nameless = PoolSpec("spare", SPOT, "l4", ())
    assert [fleet.name for fleet in book.look(0, [engine("base")], [nameless])] == ["en"]
    assert [fleet.name for fleet in book.look(0, [engine("base"), engine("x", models=("fr",))], [nameless])] == [
        "en",
        "fr",
        "",
    ]


def test_the_catalog_says_class_and_cost_and_the_engine_its_zone() -> None:
    (fleet,) = FleetBook(REMEMBERED_MS).look(0, [engine("spot", RESERVED, "b")], [spec("spot")])
    assert fleet.rows == (PoolCapacity("spot", SPOT, "b", slots_total=10, engines=1, cost_permille=350),)


def test_an_engine_that_names_no_zone_is_in_that_of_its_pool() -> None:
    (fleet,) = FleetBook(REMEMBERED_MS).look(0, [engine("spot", SPOT)], [spec("spot", zone="a")])
    assert rows(fleet) == [("spot", "a", 10)]


def test_where_engines_of_a_pool_do_not_agree_it_may_be_lost() -> None:
    (fleet,) = FleetBook(REMEMBERED_MS).look(0, [engine("mixed", SPOT), engine("mixed", RESERVED)])
    assert [row.capacity for row in fleet.rows] == [SPOT]


def test_a_pool_that_operators_drain_is_held_with_or_without_engines() -> None:
    book = FleetBook(REMEMBERED_MS)
    for reports in ([engine("old"), engine("new")], [engine("new")]):
        (fleet,) = book.look(0, reports, is_held=lambda pool: pool == "old")
        assert {row.pool: row.is_held for row in fleet.rows} == {"old": True, "new": False}


def test_how_many_slots_an_engine_has_is_remembered() -> None:
    book = FleetBook(REMEMBERED_MS)
    book.look(0, [engine("spot", SPOT, slots=12)])
    (fleet,) = book.look(1, [])
    assert (fleet.engine_slots, fleet.any_engine_slots) == ({"spot": 12}, 12)
    assert Fleet((), (), {}).any_engine_slots == 1


def test_sessions_without_a_slot_belong_to_the_fleet_that_has_their_model() -> None:
    fleets = FleetBook(REMEMBERED_MS).look(0, [engine("a", slots=50), engine("b", models=("fr",))])
    assert unmet_of(fleets, {"": 2, "en": 3, "fr": 4, "xx": 5}) == {"en": 5, "fr": 4}
    assert unmet_of((), {"": 2}) == {}
