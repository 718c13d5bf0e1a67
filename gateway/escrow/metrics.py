"""Metrics of lending between regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class EscrowMetrics:
    """Registers in the given registry, once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.asks = Counter(
            "patchbay_escrow_asks",
            "What came of asking an org's home region for compute, for each level",
            ["outcome"],
            registry=registry,
        )
        self.loans = Counter(
            "patchbay_escrow_loans",
            "What this gateway answered to regions that asked for compute, for each level",
            ["region", "outcome"],
            registry=registry,
        )
        self.credited = Counter(
            "patchbay_escrow_credited_compute_seconds",
            "Compute that was lent to this region and credited by this gateway, of all levels together",
            registry=registry,
        )
        self.minted = Counter(
            "patchbay_escrow_minted_compute_seconds",
            "Compute that this region spent by itself, by safe rates or by plans that say `open`",
            registry=registry,
        )
        self.ask_elapsed = Histogram(
            "patchbay_escrow_ask_seconds",
            "Time from asking the home region to its answer",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
            registry=registry,
        )
