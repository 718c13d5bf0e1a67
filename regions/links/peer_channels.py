"""Channels to the relays of other regions for calls that are none of the engine protocol; made when they are asked for.

A channel is made anew when the catalog names other relays or the certificates changed; the old one ends after the calls
that are under way on it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import grpc
import grpc.aio

from policies.distance import great_circle_km

if TYPE_CHECKING:
    from collections.abc import Callable

    from regions.catalog import Catalog, RegionSpec
    from regions.links.certificates import Certificates

_CLOSE_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class PeerChannel:
    """A channel to one region. It connects when it is used."""

    region: str
    channel: grpc.aio.Channel


class _Made(NamedTuple):
    relay: str
    digest: str
    peer: PeerChannel


class PeerChannels:
    """One a gateway; used on its event loop. `close` ends all channels."""

    def __init__(self, here: str, catalog: Callable[[], Catalog], certificates: Certificates) -> None:
        self._here = here
        self._catalog = catalog
        self._certificates = certificates
        self._made: dict[str, _Made] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def nearest_first(self) -> list[PeerChannel]:
        """To every other region that has a relay; by distance where this one's place is known."""
        regions = self._catalog().regions
        here = regions.get(self._here)
        peers = [spec for name, spec in regions.items() if name != self._here and spec.relays]
        if here is not None:
            peers.sort(key=lambda spec: great_circle_km(here.location, spec.location))
        for name in set(self._made) - {spec.name for spec in peers}:
            self._end(self._made.pop(name))
        return [self._to(spec) for spec in peers]

    async def close(self) -> None:
        for made in self._made.values():
            await made.peer.channel.close(grace=None)
        self._made.clear()
        if self._ending:
            await asyncio.wait(self._ending, timeout=_CLOSE_GRACE_S)

    def _to(self, spec: RegionSpec) -> PeerChannel:
        current = self._certificates.current
        made = self._made.get(spec.name)
        if made is not None and (made.relay, made.digest) == (spec.relays[0], current.digest):
            return made.peer
        if made is not None:
            self._end(made)
        credentials = grpc.ssl_channel_credentials(current.ca_pem, current.key_pem, current.certificate_pem)
        options = (("grpc.ssl_target_name_override", spec.name), ("grpc.enable_http_proxy", 0))
        peer = PeerChannel(spec.name, grpc.aio.secure_channel(spec.relays[0], credentials, options=options))
        self._made[spec.name] = _Made(spec.relays[0], current.digest, peer)
        return peer

    def _end(self, made: _Made) -> None:
        closing = asyncio.get_running_loop().create_task(made.peer.channel.close(grace=_CLOSE_GRACE_S))
        self._ending.add(closing)
        closing.add_done_callback(self._ending.discard)
