"""One country or city database in MaxMind's format: read, looked at again when its file changes, never in the way.

These must stay true:
  - A look-up raises nothing: what the database does not know, or says wrongly, is unknown.
  - A file that cannot be read leaves the one before it in force.
  - A file that is written over in place harms nobody: what is in force is a copy, unless it is `mapped`.

The reader is maxminddb, which geoip2 is made on as well: geoip2 itself asks a database for the name of its kind and
refuses those of other makers.
"""

from __future__ import annotations

import os
import shutil
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import maxminddb
import structlog

from gateway.admission.countries import country_of
from gateway.admission.edge_headers import location_of, subdivision_of
from gateway.admission.places import Place, PlaceSource

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.admission.client_address import Address
    from gateway.admission.geography_metrics import GeographyMetrics
    from regions.catalog import Location

log = structlog.get_logger("gateway")

_CORRUPT = (
    maxminddb.InvalidDatabaseError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What the two readers raise for bytes that are no database, or one with wrong bytes in it."""
_PROBES = ("1.1.1.1", "80.80.80.80", "200.200.200.200")
"""Looked up before a file is put in force: its tree must at least hold together."""


@dataclass(frozen=True, slots=True)
class _Opened:
    reader: maxminddb.Reader
    ip_version: int


class GeoDatabase:
    """`refresh` may run in a thread of its own, one at a time; `place_of` is for the event loop."""

    def __init__(self, path: Path, load: Literal["memory", "mapped"], metrics: GeographyMetrics) -> None:
        self._path = path
        self._load = load
        self._failures = metrics.database_failures
        self._built = metrics.database_built.labels(path.name)
        self._opened: _Opened | None = None
        self._seen: tuple[int, int, int] | None = None
        self._is_unreadable = False

    @property
    def is_in_force(self) -> bool:
        return self._opened is not None

    def refresh(self) -> str | None:
        """Read the file if it is not the one that was read last. Gives why it could not be read; blocks."""
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen == self._seen:
                return None
            self._seen = seen
            opened = _open(self._path, self._load)
        except OSError as error:
            self._seen = None
            return self._unreadable(error.strerror or "it cannot be read")
        except _CORRUPT:
            return self._unreadable("it is no database in MaxMind's format, or is damaged")
        self._opened, self._is_unreadable = opened, False
        metadata = opened.reader.metadata()
        self._built.set(metadata.build_epoch)
        log.info("geo_database.loaded", database=self._path.name, kind=metadata.database_type)
        return None

    def place_of(self, address: Address) -> Place | None:
        opened = self._opened
        if opened is None or address.version > opened.ip_version:
            return None
        try:
            return place_of_record(opened.reader.get(str(address)))
        except _CORRUPT:
            self._failures.labels(self._path.name, "look_up").inc()
            return None

    def _unreadable(self, why: str) -> str:
        """Counted each time it is found so, told once until it can be read again."""
        self._failures.labels(self._path.name, "load").inc()
        if not self._is_unreadable:
            log.warning("geo_database.unreadable", database=self._path.name, why=why, is_old_in_force=self.is_in_force)
        self._is_unreadable = True
        return why


def place_of_record(record: object) -> Place | None:
    """What a record says: MaxMind's nested form (also DB-IP's and IP2Location's), or a flat one with `country_code`
    or `country`. None where it names neither a country nor a location.
    """
    if not isinstance(record, dict):
        return None
    country = (
        country_of(_inside(record, "country", "iso_code"))
        or country_of(record.get("country_code"))
        or country_of(record.get("country"))
    )
    location = _location(record)
    if not country and location is None:
        return None
    subdivisions = record.get("subdivisions")
    first = subdivisions[0] if isinstance(subdivisions, list) and subdivisions else None
    code = first.get("iso_code") if isinstance(first, dict) else None
    radius = _inside(record, "location", "accuracy_radius")
    return Place(
        country,
        subdivision_of(code, country=country),
        location,
        PlaceSource.database,
        radius if isinstance(radius, int) and not isinstance(radius, bool) and radius >= 0 else None,
    )


def _location(record: dict[str, object]) -> Location | None:
    return location_of(_inside(record, "location", "latitude"), _inside(record, "location", "longitude"))


def _inside(record: dict[str, object], outer: str, inner: str) -> object:
    below = record.get(outer)
    return below.get(inner) if isinstance(below, dict) else None


def _open(path: Path, load: Literal["memory", "mapped"]) -> _Opened:
    reader = maxminddb.open_database(path) if load == "mapped" else _open_copy(path)
    metadata = reader.metadata()
    for probe in _PROBES:
        place_of_record(reader.get(probe))
    return _Opened(reader, metadata.ip_version)


def _open_copy(path: Path) -> maxminddb.Reader:
    """In memory: mapped from a file that only this process has, so that the reader in C can be used; it is some twenty
    times as fast as the one in Python, which takes bytes.
    """
    if not hasattr(os, "memfd_create"):
        return maxminddb.open_database(path, maxminddb.MODE_MEMORY)
    copy = os.memfd_create("geo_database")
    try:
        with path.open("rb") as source, open(copy, "wb", closefd=False) as target:
            shutil.copyfileobj(source, target)
        return maxminddb.open_database(f"/proc/self/fd/{copy}")
    finally:
        os.close(copy)
