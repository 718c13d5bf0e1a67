"""Databases in MaxMind's format, made for a test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def city(country: str, latitude: float, longitude: float, *, subdivision: str = "", radius_km: int = 20) -> Any:
    """A record as a city database has it."""
    record: dict[str, Any] = {
        "country": {"iso_code": country, "geoname_id": 1, "names": {"en": country}},
        "location": {"latitude": latitude, "longitude": longitude, "accuracy_radius": radius_km},
    }
    return record | ({"subdivisions": [{"iso_code": subdivision}]} if subdivision else {})


def country(code: str) -> Any:
    """A record as a country database has it."""
    return {"country": {"iso_code": code}}


def write_database(path: Path, records: Mapping[str, Any], *, kind: str = "GeoLite2-City", ip_version: int = 6) -> None:
    """Write it beside `path` and put it there by renaming. `records`: by network."""
    writer = MMDBWriter(ip_version=ip_version, database_type=kind, ipv4_compatible=ip_version == 6)
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    unfinished = path.with_suffix(".unfinished")
    writer.to_db_file(str(unfinished))
    os.replace(unfinished, path)
