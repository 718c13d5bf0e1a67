"""Where a caller is, as far as it is known, and what a transport knows of whoever comes. Values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regions.catalog import Location


class PlaceSource(StrEnum):
    """Who said it."""

    edge_header = "edge_header"
    database = "database"


@dataclass(frozen=True, slots=True)
class Place:
    """A guess: for routing and for choosing a gateway, never a proof of where somebody is.

    Attributes:
        country: ISO 3166-1 alpha-2, upper case; empty where only the location is known.
        subdivision: the part after the hyphen of ISO 3166-2; empty where it is not known.
        location: None where only the country is known.
        accuracy_km: the radius in which the source believes the caller to be; None: it does not say.
    """

    country: str
    subdivision: str
    location: Location | None
    source: PlaceSource
    accuracy_km: int | None = None


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who opened a connection. `address`: the client's own, behind the proxies that are trusted; empty for one that has
    none (a UNIX socket).
    """

    address: str
    place: Place | None = None


NOBODY = Visitor("")
"""Where nothing is known of the connection."""
