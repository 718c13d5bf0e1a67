"""Settings of an installation of several regions: `[regions]`. Without them a gateway knows its own region alone."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from regions.links.peer_settings import PeerLinkSettings
from regions.placement_settings import PlacementSettings
from regions.relay.settings import RelaySettings


class RegionsSettings(BaseModel, frozen=True, extra="forbid"):
    """The catalog is one file for all gateways; `regions.links` and `regions.relay` are this gateway's own."""

    catalog_file: Path
    look_interval_ms: int = Field(default=1_000, ge=50, le=600_000)
    """How often the catalog's file is looked at for changes."""
    links: PeerLinkSettings | None = None
    """To the relays of other regions; without them, sessions stay in this one."""
    relay: RelaySettings | None = None
    """For the gateways of other regions; without it, no session of theirs comes here."""
    placement: PlacementSettings = PlacementSettings()
