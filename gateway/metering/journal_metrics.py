"""What is watched of the journal."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SYNC_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class JournalMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.commits = Histogram(
            "patchbay_journal_commit_seconds",
            "One group commit: written and synced.",
            buckets=_SYNC_S,
            registry=registry,
        )
        self.failures = Counter(
            "patchbay_journal_failures_total",
            "Group commits that failed, by the name of the errno; each is tried again.",
            ["reason"],
            registry=registry,
        )
        self.events_dropped = Counter(
            "patchbay_journal_events_dropped_total",
            "About how many events were given up before their retention time was over.",
            registry=registry,
        )
        self.damages = Counter(
            "patchbay_journal_damages_total", "Parts of files that could not be read at start.", registry=registry
        )
        self.size = Gauge("patchbay_journal_bytes", "The journal's files.", registry=registry)
        self.tabs = Gauge(
            "patchbay_journal_open_tabs", "Sessions with usage that no event covers yet.", registry=registry
        )
