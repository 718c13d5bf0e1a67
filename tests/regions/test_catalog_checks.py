"""Promises of checking a catalog as a whole: every mistake, each once, with its place."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from policies.routing_facts import CapacityClass, RegionState
from regions.catalog import Location, PoolSpec, RegionSpec
from regions.catalog_checks import Finding, findings

pytestmark = pytest.mark.unit

POOL = PoolSpec("a", CapacityClass.reserved, "l4", (("en", "1"),))
REGION = RegionSpec(
    name="eu",
    location=Location(53, -6),
    country="IE",
    jurisdictions=frozenset({"eu"}),
    operator="acme",
    gateways=("wss://eu.example.com/v1/stream",),
    relays=("relay.eu.example.com:8085",),
    pools=(POOL,),
    state=RegionState.active,
)
US = dataclasses.replace(
    REGION,
    name="us",
    country="US",
    gateways=("wss://us.example.com/v1/stream", "grpcs://us.example.com:443"),
    relays=("relay.us.example.com:8085",),
)


def changed(region: RegionSpec = REGION, **values: Any) -> RegionSpec:
    return dataclasses.replace(region, **values)


def told(*regions: RegionSpec) -> list[str]:
    return [str(finding) for finding in findings(regions) if not finding.is_warning]


def warned(*regions: RegionSpec) -> list[str]:
    return [str(finding) for finding in findings(regions) if finding.is_warning]


def test_a_good_catalog_has_no_findings() -> None:
    edge = changed(US, name="edge", pools=(), relays=(), gateways=("wss://edge.example.com/v1/stream",))
    assert findings((REGION, US, edge)) == []


def test_many_mistakes_are_all_told_in_the_order_of_the_file() -> None:
    first = changed(country="EI", gateways=("http://eu.example.com",), relays=("a:0",), pools=(POOL, POOL))
    unreachable = changed(US, name="island", gateways=(), relays=())
    empty = changed(US, name="nothing", gateways=(), relays=(), pools=())
    hollow = changed(US, name="hollow", relays=("relay.us.example.com:8085",), pools=(), gateways=US.gateways[:1])
    confused = changed(
        US,
        name="us",
        gateways=("grpcs://b.example.com:1",),
        relays=("r:1",),
        pools=(
            dataclasses.replace(POOL, models=()),
            dataclasses.replace(POOL, name="b", models=(("en", "1"), ("en", "1"), ("en", ""))),
        ),
    )
    assert told(first, unreachable, empty, hollow, confused, US) == [
        "regions.eu.country: 'EI' is no country of ISO 3166-1 (two capitals, such as IE)",
        "regions.eu.gateways: http://eu.example.com: must begin with wss://, grpcs:// or https:// (WebTransport)",
        "regions.eu.relays: a:0: there is no such port",
        "regions.eu.pools.a: there are two pools of this name in the region",
        "regions.island.relays: other regions cannot reach its engines: it has pools and no relay",
        "regions.island: no gateway can reach it: it has neither gateways nor relays",
        "regions.nothing: has neither gateways nor pools: nobody can use it",
        "regions.hollow.relays: there is nothing behind the relay: the region has no pools",
        "regions.us.pools.a.models: must name a model at least",
        "regions.us.pools.b.models: en 1 is named twice",
        "regions.us.pools.b.models: en is named with a version and with any: which is meant?",
        "regions.us: there are two regions of this name",
        "regions: the relay relay.us.example.com:8085 is named twice (hollow, us)",
        "regions: the gateway wss://us.example.com/v1/stream is named twice (hollow, us)",
    ]


def test_an_empty_catalog_is_refused() -> None:
    assert told() == ["regions: there must be at least one region"]


def test_a_region_alone_needs_no_relay() -> None:
    assert told(changed(relays=())) == []


def test_a_gateway_is_where_clients_can_connect_safely() -> None:
    assert told(changed(gateways=("wss://eu.example.com/v1/stream", "https://eu.example.com/v1/stream"))) == []
    assert told(changed(gateways=("https://eu.example.com",))) == [
        "regions.eu.gateways: https://eu.example.com: WebTransport is served at /v1/stream"
    ]


def test_a_region_that_is_reached_over_webtransport_alone_is_warned_of() -> None:
    assert warned(changed(gateways=("https://eu.example.com/v1/stream",))) == [
        "regions.eu.gateways: all are of WebTransport: whoever's network drops UDP cannot come"
    ]


def test_what_may_surprise_is_warned_of() -> None:
    spot = dataclasses.replace(POOL, capacity=CapacityClass.spot)
    assert warned(changed(pools=(spot,), jurisdictions=frozenset(), state=RegionState.draining)) == [
        "regions.eu.jurisdictions: no policy that speaks of a jurisdiction permits it",
        "regions.eu.pools: all of it is spot capacity: the provider may take it away at once",
        "regions: no active region has engines",
    ]


def test_a_version_that_no_other_region_has_is_warned_of_while_a_shared_one_is_not() -> None:
    other = changed(US, pools=(dataclasses.replace(POOL, models=(("en", "2"), ("de", "1"))),))
    assert warned(REGION, other) == [
        "regions.eu: no other region has en in version 1: its sessions can go on nowhere else",
        "regions.us: no other region has en in version 2: its sessions can go on nowhere else",
    ]
    both = changed(US, pools=(dataclasses.replace(POOL, models=(("en", "2"), ("en", "1"))),))
    assert warned(REGION, both) == []
    assert warned(REGION, changed(US, pools=(dataclasses.replace(POOL, models=(("en", ""),)),))) == []


def test_a_finding_reads_as_place_and_sentence() -> None:
    assert str(Finding("regions.eu", "is odd")) == "regions.eu: is odd"
