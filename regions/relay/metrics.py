"""Metrics of what peers have here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class RelayMetrics:
    """Registers in the given registry, once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.links = Gauge(
            "patchbay_relay_links", "Links from gateways of a peer region", ["region"], registry=registry
        )
        self.streams = Gauge(
            "patchbay_relay_streams", "Streams of a peer region on engines of this one", ["region"], registry=registry
        )
        self.opens = Counter(
            "patchbay_relay_opens",
            "Streams that a peer region asked for, by the answer: `granted`, or why not",
            ["region", "outcome"],
            registry=registry,
        )
        self.lost = Counter(
            "patchbay_relay_lost_streams",
            "Streams of a peer region that were lost here, by reason",
            ["region", "reason"],
            registry=registry,
        )
        self.not_permitted = Counter(
            "patchbay_relay_not_permitted",
            "Streams of a peer region whose placement grant did not permit them here, by what was wrong",
            ["region", "why"],
            registry=registry,
        )
        self.rejected = Counter(
            "patchbay_relay_rejected_links",
            "Links that were turned away, by reason",
            ["reason"],
            registry=registry,
        )
