"""Distances are those of the globe, and priors those of cables."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.distance import EARTH_RADIUS_KM, great_circle_km, rtt_prior_ms

pytestmark = pytest.mark.unit


class Place(NamedTuple):
    latitude: float
    longitude: float


LONDON = Place(51.5074, -0.1278)
NEW_YORK = Place(40.7128, -74.0060)
SINGAPORE = Place(1.3521, 103.8198)
SYDNEY = Place(-33.8688, 151.2093)
places = st.builds(Place, st.floats(-90, 90), st.floats(-180, 180))


@pytest.mark.parametrize(
    ("here", "there", "km"), [(LONDON, NEW_YORK, 5_570), (LONDON, SINGAPORE, 10_850), (NEW_YORK, SYDNEY, 15_990)]
)
def test_distances_of_known_cities(here: Place, there: Place, km: int) -> None:
    assert great_circle_km(here, there) == pytest.approx(km, rel=0.006)


@pytest.mark.parametrize(
    ("here", "there", "typical_ms"), [(LONDON, NEW_YORK, 75), (LONDON, SINGAPORE, 170), (NEW_YORK, SYDNEY, 185)]
)
def test_priors_are_near_to_typical_round_trips(here: Place, there: Place, typical_ms: int) -> None:
    assert rtt_prior_ms(here, there) == pytest.approx(typical_ms, rel=0.35)


@given(here=places, there=places)
def test_the_way_back_is_as_long_and_none_is_longer_than_half_the_globe(here: Place, there: Place) -> None:
    there_km = great_circle_km(here, there)
    assert there_km == pytest.approx(great_circle_km(there, here), abs=1e-6)
    assert 0 <= there_km <= EARTH_RADIUS_KM * 3.1416
    assert rtt_prior_ms(here, there) >= 1.0


@given(here=places)
def test_a_place_is_at_no_distance_from_itself(here: Place) -> None:
    assert great_circle_km(here, here) == 0.0
