"""Settings of the links to other regions' relays."""

from __future__ import annotations

from pydantic import Field

from regions.links.certificates import TlsFiles
from regions.links.settings import LinkSettings


class RelayLinkSettings(LinkSettings, frozen=True, extra="forbid"):
    """One link to a relay: over TLS, and over a longer way.

    Both ends beat twice as often as inside a region, and the link waits a little longer: a lost segment that is lost
    again must not look like a lost region. tests/benchmarks/link_liveness.py measures it.
    """

    connect_timeout_ms: int = Field(default=3_000, gt=0, le=10_000)
    liveness_ms: int = Field(default=2_500, gt=0, le=60_000)
    heartbeat_interval_ms: int = Field(default=250, ge=20, le=60_000)


class PeerLinkSettings(TlsFiles, frozen=True, extra="forbid"):
    """What this gateway shows to relays, and by whom theirs must be signed."""

    link: RelayLinkSettings = RelayLinkSettings()
