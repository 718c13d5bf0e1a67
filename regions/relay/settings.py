"""Settings of the relay that serves this region's engines to peers."""

from __future__ import annotations

from pydantic import Field

from regions.links.certificates import TlsFiles


class RelaySettings(TlsFiles, frozen=True, extra="forbid"):
    """Where peers dial, how we prove who we are, and what a peer may take. `port` 0: any."""

    host: str = Field(default="0.0.0.0", min_length=1)
    port: int = Field(default=8085, ge=0, le=65_535)
    heartbeat_interval_ms: int = Field(default=250, ge=20, le=60_000)
    """A load report and the region's state go to each peer at least so often."""
    silent_intervals: int = Field(default=12, ge=2, le=1_000)
    """Of the peer's own heartbeat, without a word from it: it is gone, and what it had here is free."""
    max_streams_per_peer: int = Field(default=2_000, ge=1, le=1_000_000)
    """Of all gateways of one region together."""
    retry_after_ms: int = Field(default=500, ge=0, le=60_000)
    """Advice to a peer that has as many streams as it may."""
    max_queued_events: int = Field(default=50_000, ge=1_000, le=10_000_000)
    """That wait for a peer that does not read. More, and its link is ended."""
    outside_policy_ms: int = Field(default=1_000, ge=0, le=60_000)
    """How long a peer's stream may go on that this region's policy does not permit any more, while it moves."""
    expired_grace_ms: int = Field(default=60_000, ge=0, le=86_400_000)
    """How long a link outlives its peer's certificate, or its place in the catalog. A peer with a new certificate has
    made a new link by then."""
