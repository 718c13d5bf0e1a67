"""Promises of the catalog in force: a bad new version leaves the old one, and whoever asked hears of a good one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from regions.catalog_file import CatalogFile, CatalogRefused, read_catalog
from regions.catalog_metrics import CatalogMetrics

if TYPE_CHECKING:
    from pathlib import Path

    from regions.catalog import Catalog

pytestmark = pytest.mark.unit


def region(name: str, country: str = "IE") -> str:
    return f"""
[[regions]]
name = "{name}"
country = "{country}"
location = {{ latitude = 53, longitude = -6 }}
jurisdictions = ["eu"]
operator = "acme"
gateways = ["wss://{name}.example.com/v1/stream"]
relays = ["relay.{name}.example.com:8085"]
pools = [{{ name = "a", capacity = "reserved", models = [{{ name = "en" }}] }}]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "catalog.toml"
    path.write_text(region("eu") + region("us"))
    return path


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def watched(path: Path, registry: CollectorRegistry) -> CatalogFile:
    return CatalogFile(path, look_interval_ms=10, metrics=CatalogMetrics(registry))


async def test_a_catalog_that_the_settings_speak_against_is_not_put_in_force(
    path: Path, registry: CollectorRegistry
) -> None:
    def needs_eu(catalog: Catalog) -> list[str]:
        return [] if "eu" in catalog.regions else ["residency.default: the catalog has no region eu"]

    file = CatalogFile(path, look_interval_ms=10, metrics=CatalogMetrics(registry), mistakes_with=needs_eu)
    write(path, region("us"))
    await look(file)
    assert set(file.current().regions) == {"eu", "us"}
    with pytest.raises(CatalogRefused, match="no region eu"):
        CatalogFile(path, look_interval_ms=10, metrics=CatalogMetrics(CollectorRegistry()), mistakes_with=needs_eu)


def write(path: Path, text: str) -> None:
    path.write_text(text)


async def look(file: CatalogFile) -> None:
    """Often enough for a change to be taken."""
    for _ in range(2):
        await file.look()


async def test_a_removed_region_is_told_to_whoever_asked(path: Path, registry: CollectorRegistry) -> None:
    file = watched(path, registry)
    heard: list[Catalog] = []
    file.on_change(heard.append)
    write(path, region("eu") + region("ap"))
    with capture_logs() as logs:
        await look(file)
    assert [list(catalog.regions) for catalog in heard] == [["eu", "ap"]]
    assert file.current() is heard[0]
    (line,) = logs
    assert (line["event"], line["added"], line["removed"]) == ("catalog.loaded", ["ap"], ["us"])


async def test_a_bad_version_changes_nothing_and_its_mistakes_are_logged(
    path: Path, registry: CollectorRegistry
) -> None:
    file = watched(path, registry)
    before = file.current()
    heard: list[Catalog] = []
    file.on_change(heard.append)
    write(path, region("eu", country="XX") + region("eu"))
    with capture_logs() as logs:
        await look(file)
    assert (file.current(), heard) == (before, [])
    (line,) = logs
    assert line["event"] == "catalog.rejected"
    assert len(line["mistakes"]) == 4  # the country, the name twice, the relay twice, the gateway twice
    assert registry.get_sample_value("patchbay_catalog_reload_failed") == 1
    write(path, region("eu") + region("us") + "# as before\n")
    await look(file)
    assert registry.get_sample_value("patchbay_catalog_reload_failed") == 0
    assert registry.get_sample_value("patchbay_catalog_in_force", {"digest": before.digest}) == 1
    assert heard == [], "nothing changed"


def test_a_catalog_that_cannot_be_used_at_start_is_refused(path: Path, registry: CollectorRegistry) -> None:
    path.write_text(region("eu", country="XX"))
    with pytest.raises(CatalogRefused, match=r"regions\.eu\.country"):
        watched(path, registry)


def test_what_is_odd_is_told_beside_the_catalog(path: Path) -> None:
    path.write_text(region("eu").replace("reserved", "spot"))
    reading = read_catalog(path)
    assert [str(warning) for warning in reading.warnings] == [
        "regions.eu.pools: all of it is spot capacity: the provider may take it away at once"
    ]
