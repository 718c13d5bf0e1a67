"""Promises of the channels to other regions' relays."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from regions.catalog import Catalog, Location, RegionSpec
from regions.links.peer_channels import PeerChannels

if TYPE_CHECKING:
    from regions.links.certificates import Certificates

pytestmark = pytest.mark.unit


def spec(name: str, latitude: float, longitude: float, *relays: str) -> RegionSpec:
    return RegionSpec(name, Location(latitude, longitude), "IE", frozenset({"eu"}), "self", (), relays)


HERE = spec("eu-west", 53.3, -6.3, "127.0.1.1:8085")
NEAR = spec("eu-central", 50.1, 8.7, "127.0.2.1:8085")
FAR = spec("ap-south", 19.1, 72.9, "127.0.3.1:8085")
EDGE = spec("edge", 48.9, 2.4)


class World:
    """A catalog and a certificate that change."""

    def __init__(self, *regions: RegionSpec) -> None:
        self.list(*regions)
        self.current = SimpleNamespace(ca_pem=b"", key_pem=None, certificate_pem=None, digest="1")
        self.channels = PeerChannels("eu-west", lambda: self.catalog, cast("Certificates", self))

    def list(self, *regions: RegionSpec) -> None:
        self.catalog = Catalog({region.name: region for region in regions})

    def asked(self) -> dict[str, Any]:
        return {peer.region: peer.channel for peer in self.channels.nearest_first()}


async def test_peers_are_named_nearest_first_and_those_without_relays_not_at_all() -> None:
    world = World(FAR, EDGE, HERE, NEAR)
    assert list(world.asked()) == ["eu-central", "ap-south"]
    await world.channels.close()


async def test_a_channel_is_kept_while_relay_and_certificate_are_the_same() -> None:
    world = World(HERE, NEAR)
    first = world.asked()
    assert world.asked() == first
    world.current.digest = "2"
    renewed = world.asked()
    assert renewed["eu-central"] is not first["eu-central"]
    world.list(HERE, replace(NEAR, relays=("127.0.2.9:8085",)))
    assert world.asked()["eu-central"] is not renewed["eu-central"]
    await world.channels.close()


async def test_a_region_that_left_the_catalog_has_no_channel() -> None:
    world = World(HERE, NEAR)
    world.asked()
    world.list(HERE)
    assert world.asked() == {}
    await world.channels.close()
