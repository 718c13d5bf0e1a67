"""What admission counts for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class AdmissionMetrics:
    """One set a process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.address_refusals = Counter(
            "patchbay_address_refusals_total",
            "Handshakes beyond the limits of their address; shadow: told and not refused.",
            ["limit", "shadow"],
            registry=registry,
        )
        self.addresses = Gauge(
            "patchbay_limited_addresses", "Addresses whose handshakes are kept in mind.", registry=registry
        )
        self.revocations = Gauge("patchbay_revocations", "Revocations of tokens in force.", registry=registry)
        self.revocations_age = Gauge(
            "patchbay_revocations_age_seconds",
            "How long ago the revocations were last read; -1: they are not followed.",
            registry=registry,
        )
        self.revocations_age.set(-1)
