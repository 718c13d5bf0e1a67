"""What is wrong in a catalog as a whole, and what is right but may surprise. Pure.

Single values are checked where the file is read (regions.catalog_document).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from policies.routing_facts import CapacityClass, RegionState
from regions.country_codes import COUNTRY_CODES
from regions.gateway_address import is_webtransport, wrong_gateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from regions.catalog import PoolSpec, RegionSpec

Name = TypeVar("Name")


@dataclass(frozen=True, slots=True)
class Finding:
    """`place`: of the value, or of the table that lacks one. A warning does not keep a catalog from being used."""

    place: str
    text: str
    is_warning: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


def findings(regions: Sequence[RegionSpec]) -> list[Finding]:
    """Each once, in the order of the file; what concerns several regions comes last."""
    found: list[Finding] = []
    for region in regions:
        place = f"regions.{region.name}"
        found += _of_region(region, place, is_alone=len(regions) == 1)
        for pool in region.pools:
            found += _of_pool(pool, f"{place}.pools.{pool.name}")
    found += _across(regions)
    return list(dict.fromkeys(found))


def _of_region(region: RegionSpec, place: str, *, is_alone: bool) -> Iterator[Finding]:
    if region.country not in COUNTRY_CODES:
        yield Finding(f"{place}.country", f"{region.country!r} is no country of ISO 3166-1 (two capitals, such as IE)")
    yield from _of_gateways(region.gateways, f"{place}.gateways")
    for relay in region.relays:
        if not 0 < int(relay.rpartition(":")[2]) <= 65_535:
            yield Finding(f"{place}.relays", f"{relay}: there is no such port")
    if region.pools and not region.relays and not is_alone:
        yield Finding(f"{place}.relays", "other regions cannot reach its engines: it has pools and no relay")
    if region.relays and not region.pools:
        yield Finding(f"{place}.relays", "there is nothing behind the relay: the region has no pools")
    if not region.gateways:
        if not region.pools:
            yield Finding(place, "has neither gateways nor pools: nobody can use it")
        elif not region.relays:
            yield Finding(place, "no gateway can reach it: it has neither gateways nor relays")
    for name in _doubled(pool.name for pool in region.pools):
        yield Finding(f"{place}.pools.{name}", "there are two pools of this name in the region")
    if not region.jurisdictions:
        yield Finding(f"{place}.jurisdictions", "no policy that speaks of a jurisdiction permits it", is_warning=True)
    if region.pools and all(pool.capacity is CapacityClass.spot for pool in region.pools):
        yield Finding(
            f"{place}.pools", "all of it is spot capacity: the provider may take it away at once", is_warning=True
        )


def _of_gateways(urls: Sequence[str], place: str) -> Iterator[Finding]:
    for url in urls:
        if why := wrong_gateway(url):
            yield Finding(place, f"{url}: {why}")
    if urls and all(map(is_webtransport, urls)):
        yield Finding(place, "all are of WebTransport: whoever's network drops UDP cannot come", is_warning=True)


def _of_pool(pool: PoolSpec, place: str) -> Iterator[Finding]:
    if not pool.models:
        yield Finding(f"{place}.models", "must name a model at least")
    for name, version in _doubled(pool.models):
        yield Finding(f"{place}.models", f"{_model(name, version)} is named twice")
    pinned = {name for name, version in pool.models if version}
    for name in sorted(pinned & {name for name, version in pool.models if not version}):
        yield Finding(f"{place}.models", f"{name} is named with a version and with any: which is meant?")


def _across(regions: Sequence[RegionSpec]) -> Iterator[Finding]:
    if not regions:
        yield Finding("regions", "there must be at least one region")
        return
    for name in _doubled(region.name for region in regions):
        yield Finding(f"regions.{name}", "there are two regions of this name")
    for what, addresses in (
        ("relay", [(relay.lower(), region.name) for region in regions for relay in region.relays]),
        ("gateway", [(url.lower(), region.name) for region in regions for url in region.gateways]),
    ):
        for address in _doubled(address for address, _ in addresses):
            of = ", ".join(dict.fromkeys(name for other, name in addresses if other == address))
            yield Finding("regions", f"the {what} {address} is named twice ({of})")
    if not any(region.pools and region.state in (None, RegionState.active) for region in regions):
        yield Finding("regions", "no active region has engines", is_warning=True)
    yield from _stranded_versions(regions)


def _stranded_versions(regions: Sequence[RegionSpec]) -> Iterator[Finding]:
    """Models that several regions have, of which one has no version that any other has: its sessions cannot move."""
    versions: dict[str, dict[str, set[str]]] = {}
    for region in regions:
        for pool in region.pools:
            for name, version in pool.models:
                versions.setdefault(name, {}).setdefault(region.name, set()).add(version)
    for model, of_region in versions.items():
        if len(of_region) < 2:
            continue
        for region_name, own in of_region.items():
            others = set().union(*(theirs for other, theirs in of_region.items() if other != region_name))
            if "" not in own and "" not in others and not own & others:
                shown = ", ".join(sorted(own))
                yield Finding(
                    f"regions.{region_name}",
                    f"no other region has {model} in version {shown}: its sessions can go on nowhere else",
                    is_warning=True,
                )


def _doubled(values: Iterable[Name]) -> list[Name]:
    return [value for value, count in Counter(values).items() if count > 1]


def _model(name: str, version: str) -> str:
    return f"{name} {version}" if version else name
