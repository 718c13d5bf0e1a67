"""One country or city database in MaxMind's format: read, looked at again when its file changes, never in the way.

These must stay true:
  - A look-up raises nothing: what the database does not know, or says wrongly, is unknown.
  - A file that cannot be read leaves the one before it in force.
  - A file that is written over in place harms nobody: what is in force is a copy, unless it is `mapped`.

The reader is maxminddb, which geoip2 is made on as well: geoip2 itself asks a database for the name of its kind and
refuses those of other makers. Of its two readers the one in Python is used: the one in C is some twenty times as fast
(2.4 and 48 us a look-up here, once a connection), and ends the process at some damaged files (maxminddb 3.2.0, a file
with a few wrong bytes).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import maxminddb
import structlog

from gateway.admission.edge_headers import location_of, subdivision_of
from gateway.admission.places import Place, PlaceSource
from policies.countries import country_of

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
"""What the reader raises for bytes that are no database, or one with wrong bytes in it."""
_MAX_INSTANT_S = 2**40
_PROBES = ("1.1.1.1", "80.80.80.80", "200.200.200.200")
"""Looked up before a file is put in force: its tree must at least hold together."""


@dataclass(frozen=True, slots=True)
class _Opened:
    reader: maxminddb.Reader
    ip_version: int
    kind: str
    built_at_s: int


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
        self._built.set(opened.built_at_s)
        log.info("geo_database.loaded", database=self._path.name, kind=opened.kind)
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
    reader = maxminddb.open_database(path, maxminddb.MODE_MEMORY if load == "memory" else maxminddb.MODE_MMAP)
    metadata = reader.metadata()
    kind, built_at_s = str(metadata.database_type), int(metadata.build_epoch)
    if metadata.ip_version not in (4, 6) or not 0 <= built_at_s < _MAX_INSTANT_S:
        raise maxminddb.InvalidDatabaseError("its metadata is damaged")
    for probe in _PROBES:
        place_of_record(reader.get(probe))
    return _Opened(reader, metadata.ip_version, kind, built_at_s)
