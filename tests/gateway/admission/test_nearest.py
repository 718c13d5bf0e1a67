"""Which regions come first for a caller, by what is known of his place."""

from __future__ import annotations

import pytest

from gateway.admission.nearest import distance_km, nearest_first
from gateway.admission.places import Place, PlaceSource
from regions.catalog import Location, RegionSpec

pytestmark = pytest.mark.unit


def region(name: str, country: str, latitude: float, longitude: float) -> RegionSpec:
    return RegionSpec(name, Location(latitude, longitude), country, frozenset(), "us", (), ())


DUBLIN = region("eu-west", "IE", 53.35, -6.26)
FRANKFURT = region("eu-central", "DE", 50.11, 8.68)
BERLIN = region("eu-north", "DE", 52.52, 13.40)
VIRGINIA = region("us-east", "US", 38.95, -77.45)
ALL = (VIRGINIA, BERLIN, DUBLIN, FRANKFURT)


def names(place: Place | None, here: RegionSpec | None = None) -> list[str]:
    return [spec.name for spec in nearest_first(ALL, place, here=here)]


def at(country: str, location: Location | None) -> Place:
    return Place(country, "", location, PlaceSource.database)


def test_the_nearest_by_distance_comes_first() -> None:
    paris = at("FR", Location(48.86, 2.35))
    assert names(paris) == ["eu-central", "eu-west", "eu-north", "us-east"]
    assert distance_km(FRANKFURT, paris) == pytest.approx(479, abs=5)


def test_a_border_does_not_make_a_region_farther() -> None:
    liverpool = at("GB", Location(53.41, -2.99))
    assert names(liverpool)[0] == "eu-west"


def test_where_only_the_country_is_known_its_regions_come_first_and_then_those_near_here() -> None:
    assert names(at("DE", None), DUBLIN) == ["eu-central", "eu-north", "eu-west", "us-east"]


def test_where_nothing_is_known_it_goes_by_the_distance_from_here() -> None:
    assert names(None, DUBLIN) == ["eu-west", "eu-central", "eu-north", "us-east"]
    assert distance_km(DUBLIN, None) is None


def test_without_any_place_the_order_is_still_always_the_same() -> None:
    assert names(None) == sorted(spec.name for spec in ALL)
