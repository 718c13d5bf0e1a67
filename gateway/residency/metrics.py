"""Figures of residency: which bundle is in force, until when, and what its rules deny."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from policies.residency.bundles.bundle import Bundle
    from policies.residency.vocabulary import Action

NO_RULE = "none"
"""Where no rule permits it, and none forbids it."""


class ResidencyMetrics:
    """One set a process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.in_force = Gauge(
            "patchbay_residency_bundle_in_force", "1: a bundle is in force; 0: everything is denied.", registry=registry
        )
        self.info = Gauge(
            "patchbay_residency_bundle_info", "The bundle in force.", ["name", "version", "digest"], registry=registry
        )
        self.ends_at = Gauge(
            "patchbay_residency_bundle_ends_at_seconds",
            "Unix time from which the bundle is in force no more.",
            registry=registry,
        )
        self.changes_at = Gauge(
            "patchbay_residency_decisions_change_at_seconds",
            "Unix time of the next date in rules or rows at which decisions may change.",
            registry=registry,
        )
        self.is_refused = Gauge(
            "patchbay_residency_bundle_refused", "1: what is in the folder may not come into force.", registry=registry
        )
        self.loads = Counter(
            "patchbay_residency_bundle_loads", "Bundles that were read.", ["outcome"], registry=registry
        )
        self.table_build = Gauge(
            "patchbay_residency_table_build_seconds",
            "How long the table in force took to be made and warmed.",
            registry=registry,
        )
        self.denials = Counter(
            "patchbay_residency_denials",
            "Sessions that were refused or ended by policy, by the rule that denied.",
            ["rule", "action"],
            registry=registry,
        )
        self.differing = Gauge(
            "patchbay_residency_region_differs",
            "1: the catalog and the bundle do not agree on the region, and everything in it is denied.",
            ["region"],
            registry=registry,
        )

    def denied(self, rule: str | None, action: Action) -> None:
        """`rule` None: no rule permits it."""
        self.denials.labels(rule or NO_RULE, action.value).inc()

    def took(self, bundle: Bundle, *, ends_at_s: int) -> None:
        """Another one is in force."""
        self.info.clear()
        self.info.labels(bundle.name, bundle.version, bundle.digest[:16]).set(1)
        self.ends_at.set(ends_at_s)
        self.in_force.set(1)
