"""Which regions are nearest to a caller, by distance: a prior, until he has measured the round trip himself. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.distance import great_circle_km

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.admission.places import Place
    from regions.catalog import RegionSpec


def distance_km(spec: RegionSpec, place: Place | None) -> float | None:
    """None where the caller's location is not known."""
    if place is None or place.location is None:
        return None
    return great_circle_km(spec.location, place.location)


def nearest_first(
    specs: Iterable[RegionSpec], place: Place | None, *, here: RegionSpec | None
) -> tuple[RegionSpec, ...]:
    """By distance from the caller. Where only his country is known, its own regions go first, and then, as where
    nothing is known, by distance from this region: he was led here, so he is likely to be near it.
    """
    country = "" if place is None else place.country
    location = None if place is None else place.location

    def rank(spec: RegionSpec) -> tuple[bool, float, str]:
        if location is not None:
            return False, great_circle_km(spec.location, location), spec.name
        from_here_km = 0.0 if here is None else great_circle_km(spec.location, here.location)
        return spec.country != country, from_here_km, spec.name

    return tuple(sorted(specs, key=rank))
