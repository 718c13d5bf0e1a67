"""Who comes and from where, with real databases and the headers of proxies."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.admission.geography import Geography, GeographyRefused
from gateway.admission.geography_metrics import GeographyMetrics
from gateway.admission.geography_settings import GeographySettings
from gateway.admission.places import Place, PlaceSource, Visitor
from regions.catalog import Location
from tests.harness.geo_database import city, country, write_database
from tests.harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

pytestmark = pytest.mark.unit

BERLIN = Place("DE", "", Location(52.52, 13.4), PlaceSource.database, 20)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "City.mmdb"
    write_database(path, {"80.0.0.0/8": city("DE", 52.52, 13.4), "91.0.0.0/8": country("FR")})
    return path


def geography(registry: CollectorRegistry, **settings: Any) -> Geography:
    return Geography(GeographySettings.model_validate(settings), GeographyMetrics(registry))


def headers(**values: str) -> Callable[[str], Sequence[str]]:
    lines = {name.replace("_", "-").lower(): [value] for name, value in values.items()}
    return lambda name: lines.get(name.lower(), ())


def nothing_may_be_asked(name: str) -> Sequence[str]:
    raise AssertionError(f"{name} was asked for")


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


def test_without_proxies_and_databases_nothing_is_looked_at(registry: CollectorRegistry) -> None:
    nowhere = geography(registry)
    assert nowhere.visitor("80.1.2.3", nothing_may_be_asked) == Visitor("80.1.2.3")
    assert nowhere.visitor("", nothing_may_be_asked) == Visitor("")


def test_a_client_that_connects_directly_is_where_the_database_says(path: Path, registry: CollectorRegistry) -> None:
    known = geography(registry, databases=[path])
    assert known.visitor("80.1.2.3", headers()) == Visitor("80.1.2.3", BERLIN)
    assert known.visitor("::ffff:80.1.2.3", headers()) == Visitor("80.1.2.3", BERLIN)
    assert known.visitor("8.8.8.8", headers()) == Visitor("8.8.8.8", None)
    assert value(registry, "patchbay_places_total", source="database") == 2
    assert value(registry, "patchbay_places_total", source="unknown") == 1


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.1.1", "100.64.0.1", "fe80::1", "::1", "fc00::1"])
def test_addresses_that_are_not_on_the_internet_are_nowhere(
    tmp_path: Path, registry: CollectorRegistry, address: str
) -> None:
    everywhere = tmp_path / "all.mmdb"
    write_database(everywhere, {half: country("DE") for half in ("::/1", "8000::/1")})
    assert geography(registry, databases=[everywhere]).visitor(address, headers()).place is None


def test_behind_a_trusted_proxy_the_client_is_who_it_says(path: Path, registry: CollectorRegistry) -> None:
    known = geography(registry, databases=[path], trusted_proxies=["10.0.0.0/8"])
    assert known.visitor("10.0.0.1", headers(X_Forwarded_For="80.1.2.3")) == Visitor("80.1.2.3", BERLIN)


def test_the_word_of_anybody_else_is_ignored_and_counted(path: Path, registry: CollectorRegistry) -> None:
    known = geography(
        registry, databases=[path], trusted_proxies=["10.0.0.0/8"], edge_headers={"country": "CF-IPCountry"}
    )
    assert known.visitor("91.1.1.1", headers(X_Forwarded_For="80.1.2.3")).address == "91.1.1.1"
    liar = known.visitor("91.1.1.1", headers(CF_IPCountry="US"))
    assert liar.place is not None
    assert liar.place.country == "FR"
    assert known.visitor("91.1.1.1", headers()).address == "91.1.1.1"
    assert value(registry, "patchbay_untrusted_headers_total") == 2


def test_a_trusted_header_goes_before_the_database(path: Path, registry: CollectorRegistry) -> None:
    known = geography(
        registry, databases=[path], trusted_proxies=["10.0.0.0/8"], edge_headers={"country": "CF-IPCountry"}
    )
    told = known.visitor("10.0.0.1", headers(X_Forwarded_For="80.1.2.3", CF_IPCountry="US"))
    assert told.place == Place("US", "", None, PlaceSource.edge_header)
    unknown = known.visitor("10.0.0.1", headers(X_Forwarded_For="80.1.2.3", CF_IPCountry="XX"))
    assert unknown.place == BERLIN


def test_a_database_that_agrees_on_the_country_adds_the_location(path: Path, registry: CollectorRegistry) -> None:
    known = geography(
        registry, databases=[path], trusted_proxies=["10.0.0.0/8"], edge_headers={"country": "CF-IPCountry"}
    )
    told = known.visitor("10.0.0.1", headers(X_Forwarded_For="80.1.2.3", CF_IPCountry="DE"))
    assert told.place == Place("DE", "", Location(52.52, 13.4), PlaceSource.edge_header, 20)


def test_the_first_database_that_knows_an_address_answers(tmp_path: Path, registry: CollectorRegistry) -> None:
    first, second = tmp_path / "first.mmdb", tmp_path / "second.mmdb"
    write_database(first, {"80.0.0.0/8": country("DE")})
    write_database(second, {"80.0.0.0/8": country("FR"), "91.0.0.0/8": country("FR")})
    known = geography(registry, databases=[first, second])
    places = [known.visitor(address, headers()).place for address in ("80.1.1.1", "91.1.1.1")]
    assert [place.country for place in places if place is not None] == ["DE", "FR"]


def test_a_missing_database_is_a_mistake_only_where_it_is_required(tmp_path: Path, registry: CollectorRegistry) -> None:
    missing = tmp_path / "none.mmdb"
    with pytest.raises(GeographyRefused, match="No such file") as refused:
        geography(CollectorRegistry(), databases=[missing], required=True)
    assert len(refused.value.mistakes) == 1
    assert geography(registry, databases=[missing]).visitor("80.1.2.3", headers()) == Visitor("80.1.2.3", None)


async def test_a_database_that_comes_or_changes_is_noticed_while_the_gateway_runs(
    tmp_path: Path, registry: CollectorRegistry
) -> None:
    path = tmp_path / "later.mmdb"
    known = geography(registry, databases=[path], check_interval_ms=20)
    watching = asyncio.create_task(known.run())
    write_database(path, {"80.0.0.0/8": country("DE")})
    await until(lambda: known.visitor("80.1.2.3", headers()).place is not None)
    write_database(path, {"80.0.0.0/8": city("PL", 52.2, 21.0)})
    await until(lambda: "PL" in str(known.visitor("80.1.2.3", headers()).place))
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
