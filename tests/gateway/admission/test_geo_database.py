"""A database of places: read, read again when it changes, and never a reason to fail."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from gateway.admission.geo_database import GeoDatabase, place_of_record
from gateway.admission.geography_metrics import GeographyMetrics
from gateway.admission.places import Place, PlaceSource
from regions.catalog import Location
from tests.harness.geo_database import city, country, write_database

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit

IN_BERLIN = ipaddress.ip_address("80.1.2.3")
BERLIN = Place("DE", "BE", Location(52.52, 13.4), PlaceSource.database, 20)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "City.mmdb"
    write_database(path, {"80.0.0.0/8": city("DE", 52.52, 13.4, subdivision="BE"), "2a00::/16": country("FR")})
    return path


def database_at(path: Path, registry: CollectorRegistry, load: Any = "memory") -> GeoDatabase:
    return GeoDatabase(path, load, GeographyMetrics(registry))


def failures(registry: CollectorRegistry, what: str) -> float:
    labels = {"database": "City.mmdb", "what": what}
    return registry.get_sample_value("patchbay_geo_database_failures_total", labels) or 0.0


@pytest.mark.parametrize("load", ["memory", "mapped"])
def test_an_address_is_where_the_database_says(path: Path, registry: CollectorRegistry, load: str) -> None:
    database = database_at(path, registry, load)
    assert database.refresh() is None
    assert database.place_of(IN_BERLIN) == BERLIN
    assert database.place_of(ipaddress.ip_address("2a00::1")) == Place("FR", "", None, PlaceSource.database)
    assert database.place_of(ipaddress.ip_address("8.8.8.8")) is None
    built = registry.get_sample_value("patchbay_geo_database_built_timestamp_seconds", {"database": "City.mmdb"})
    assert built is not None
    assert built > 1_600_000_000


def test_a_file_that_is_not_there_is_no_database_until_it_is(path: Path, registry: CollectorRegistry) -> None:
    elsewhere = path.with_name("later").joinpath("City.mmdb")
    database = database_at(elsewhere, registry)
    assert database.refresh() == "No such file or directory"
    assert (database.is_in_force, database.place_of(IN_BERLIN)) == (False, None)
    elsewhere.parent.mkdir()
    path.rename(elsewhere)
    assert database.refresh() is None
    assert database.place_of(IN_BERLIN) == BERLIN
    assert failures(registry, "load") == 1


def test_a_file_that_changed_is_read_and_one_that_did_not_is_not(path: Path, registry: CollectorRegistry) -> None:
    database = database_at(path, registry)
    database.refresh()
    before = database._opened
    database.refresh()
    assert database._opened is before
    write_database(path, {"80.0.0.0/8": city("PL", 52.2, 21.0)})
    assert database.refresh() is None
    assert database.place_of(IN_BERLIN).country == "PL"  # type: ignore[union-attr]


@pytest.mark.parametrize("broken", [b"", b"no database", None])
def test_a_broken_file_keeps_the_one_before_it_in_force(
    path: Path, registry: CollectorRegistry, broken: bytes | None
) -> None:
    """Also one that is written over in place, and cut short: None."""
    database = database_at(path, registry)
    database.refresh()
    path.write_bytes(path.read_bytes()[:200] if broken is None else broken)
    assert database.refresh() == "it is no database in MaxMind's format, or is damaged"
    assert database.place_of(IN_BERLIN) == BERLIN
    path.unlink()
    assert database.refresh() == "No such file or directory"
    assert database.place_of(IN_BERLIN) == BERLIN
    assert failures(registry, "load") == 2
    write_database(path, {"80.0.0.0/8": country("AT")})
    database.refresh()
    assert database.place_of(IN_BERLIN).country == "AT"  # type: ignore[union-attr]


def test_a_database_of_ipv4_knows_nothing_of_ipv6(path: Path, registry: CollectorRegistry) -> None:
    write_database(path, {"80.0.0.0/8": country("DE")}, ip_version=4, kind="DBIP-Country-Lite")
    database = database_at(path, registry)
    database.refresh()
    assert database.place_of(ipaddress.ip_address("2a00::1")) is None
    assert database.place_of(IN_BERLIN) == Place("DE", "", None, PlaceSource.database)
    assert failures(registry, "look_up") == 0


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_damaged_bytes_are_refused_or_answer_something_and_raise_nothing(path: Path, data: st.DataObject) -> None:
    good = (path.with_name("good.mmdb")) if path.with_name("good.mmdb").exists() else path
    whole = bytearray(good.read_bytes())
    if good is path:
        path.with_name("good.mmdb").write_bytes(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = path.with_name("damaged.mmdb")
    damaged.write_bytes(whole)
    database = database_at(damaged, CollectorRegistry())
    database.refresh()
    for address in ("80.1.2.3", "2a00::1", "255.255.255.255"):
        database.place_of(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("record", "place"),
    [
        (None, None),
        ([], None),
        ({}, None),
        ({"country": {}}, None),
        ({"country": {"iso_code": "XX"}}, None),
        ({"country_code": "us"}, Place("US", "", None, PlaceSource.database)),
        ({"country": "US"}, Place("US", "", None, PlaceSource.database)),
        ({"country": "United States", "country_code": "US"}, Place("US", "", None, PlaceSource.database)),
        ({"registered_country": {"iso_code": "US"}}, None),
        ({"location": {"latitude": 1.5, "longitude": 2}}, Place("", "", Location(1.5, 2.0), PlaceSource.database)),
        ({"country": {"iso_code": "DE"}, "subdivisions": 7}, Place("DE", "", None, PlaceSource.database)),
        ({"country": {"iso_code": "DE"}, "subdivisions": [7]}, Place("DE", "", None, PlaceSource.database)),
        (
            {"country": {"iso_code": "DE"}, "location": {"accuracy_radius": -1, "latitude": "x"}},
            Place("DE", "", None, PlaceSource.database),
        ),
    ],
)
def test_records_of_every_maker_are_understood_and_nonsense_is_unknown(record: object, place: Place | None) -> None:
    assert place_of_record(record) == place


_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
_keys = st.sampled_from(["country", "iso_code", "location", "latitude", "longitude", "subdivisions", "accuracy_radius"])
_records = st.recursive(_leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_keys, inner, max_size=4))


@settings(max_examples=50, deadline=None)
@given(_records)
def test_any_record_gives_a_place_or_nothing(record: object) -> None:
    place_of_record(record)
