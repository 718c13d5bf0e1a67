"""What operators watch of resumption. Names of sessions and orgs are never labels."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class KnownBy(StrEnum):
    """Who knew where a session stood that goes on here."""

    this_gateway = "this_gateway"
    this_region = "this_region"
    home_region = "home_region"
    copy = "copy"
    client_alone = "client_alone"


class ResumptionMetrics:
    """One per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.resumed = Counter(
            "patchbay_resumption_resumed_total",
            "Sessions that go on here, by who knew where they stood.",
            ["known_by"],
            registry=registry,
        )
        self.superseded = Counter(
            "patchbay_resumption_superseded_total",
            "Sessions that ended here because they go on elsewhere.",
            registry=registry,
        )
        self.commits = Counter(
            "patchbay_resumption_commits_total", "Commit points written to Redis.", registry=registry
        )
        self.failures = Counter(
            "patchbay_resumption_failures_total", "Calls to Redis that failed, and are made again.", registry=registry
        )
        self.waiting = Gauge(
            "patchbay_resumption_waiting", "Commit points that are not in Redis yet.", registry=registry
        )
        self.copies = Counter(
            "patchbay_resumption_copies_total",
            "Commit points that another region took a copy of.",
            ["region"],
            registry=registry,
        )
        self.copies_not_permitted = Counter(
            "patchbay_resumption_copies_not_permitted_total",
            "Commit points that another region took no copy of, because its own policy permits it none.",
            ["region"],
            registry=registry,
        )
        self.copy_failures = Counter(
            "patchbay_resumption_copy_failures_total",
            "Calls to another region that failed.",
            ["region"],
            registry=registry,
        )
        for known_by in KnownBy:
            self.resumed.labels(known_by.value)
