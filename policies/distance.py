"""How far two places are apart, and the round trip to expect between them until it is measured. Pure rules.

Sources: light in fibre does about two thirds of its speed in vacuum, 200 km in a millisecond, so 1 ms of round trip is
100 km. Cables and routers do not follow the great circle: typical round trips of London - New York (70-80 ms), Los
Angeles - Tokyo (100-115 ms), London - Singapore (160-180 ms) and New York - Sydney (170-200 ms) are 1.2 to 1.6 times
what the great circle asks for (table at https://geocables.com/internet-latency).
"""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt
from typing import Protocol

EARTH_RADIUS_KM = 6_371.0
"""Mean radius; the error of the sphere against the ellipsoid is below 0.6 %."""
_ROUND_TRIP_KM_PER_MS = 100.0
_PATH_STRETCH = 1.5
_LEAST_RTT_MS = 1.0
"""Between neighbours: the machines at both ends take their time too."""


class OnEarth(Protocol):
    """A place, WGS 84, degrees."""

    @property
    def latitude(self) -> float: ...

    @property
    def longitude(self) -> float: ...


def great_circle_km(here: OnEarth, there: OnEarth) -> float:
    """Give the shortest way over the surface, by the haversine formula."""
    here_phi, there_phi = radians(here.latitude), radians(there.latitude)
    half_phi = (there_phi - here_phi) / 2
    half_lambda = radians(there.longitude - here.longitude) / 2
    haversine = sin(half_phi) ** 2 + cos(here_phi) * cos(there_phi) * sin(half_lambda) ** 2
    return 2 * EARTH_RADIUS_KM * asin(sqrt(min(1.0, haversine)))


def rtt_prior_ms(here: OnEarth, there: OnEarth) -> float:
    """Give the round trip to expect. Only a prior: what is measured replaces it."""
    return _LEAST_RTT_MS + great_circle_km(here, there) * _PATH_STRETCH / _ROUND_TRIP_KM_PER_MS
