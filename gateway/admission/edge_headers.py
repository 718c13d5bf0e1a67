"""Where a caller is by the headers of a content delivery network or load balancer. Pure.

Only for requests whose direct peer is a trusted proxy: anybody else can write such headers himself. A header that came
twice and does not say the same is worth nothing, because one of the two may be the client's.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from gateway.admission.places import Place, PlaceSource
from policies.countries import country_of
from regions.catalog import Location

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.admission.geography_settings import EdgeHeaderSettings

    HeaderLines = Callable[[str], Sequence[str]]

_MAX_CHARS = 64
_SUBDIVISION = re.compile(r"[A-Z0-9]{1,3}")
_DEGREES = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{1,20})?")


def place_of_headers(lines: HeaderLines, names: EdgeHeaderSettings) -> Place | None:
    """None where the headers name neither a country nor a location."""
    country = country_of(_value(lines, names.country))
    location = _location(lines, names)
    if not country and location is None:
        return None
    subdivision = subdivision_of(_value(lines, names.subdivision), country=country)
    return Place(country, subdivision, location, PlaceSource.edge_header)


def subdivision_of(text: object, *, country: str) -> str:
    """The code without the country before it; empty for anything else."""
    if not country or not isinstance(text, str):
        return ""
    code = text.upper().removeprefix(f"{country}-")
    return code if _SUBDIVISION.fullmatch(code) else ""


def location_of(latitude: object, longitude: object) -> Location | None:
    """Two numbers of degrees. None for anything else; also for 0, 0: sources write it where they do not know."""
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return None
    if isinstance(latitude, bool) or isinstance(longitude, bool):
        return None
    if not (math.isfinite(latitude) and math.isfinite(longitude)) or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    return None if latitude == longitude == 0 else Location(float(latitude), float(longitude))


def _location(lines: HeaderLines, names: EdgeHeaderSettings) -> Location | None:
    if names.latitude_longitude:
        latitude, comma, longitude = _value(lines, names.latitude_longitude).partition(",")
        return location_of(_degrees(latitude), _degrees(longitude)) if comma else None
    return location_of(_degrees(_value(lines, names.latitude)), _degrees(_value(lines, names.longitude)))


def _degrees(text: str) -> float | None:
    text = text.strip(" \t")
    return float(text) if _DEGREES.fullmatch(text) else None


def _value(lines: HeaderLines, name: str) -> str:
    """What the header says; empty where it is absent, too long, or says two things."""
    if not name:
        return ""
    values = {line.strip(" \t") for line in lines(name)}
    value = values.pop() if len(values) == 1 else ""
    return value if len(value) <= _MAX_CHARS else ""
