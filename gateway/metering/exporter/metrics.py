"""What an exporter counts, as Prometheus metrics. Lag is read from Redis, so every exporter tells the same."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class ExporterMetrics:
    """One per process, in the given registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.delivered = Counter(
            "patchbay_exporter_delivered_total", "Events that a receiver has.", ["sink"], registry=registry
        )
        self.failed = Counter(
            "patchbay_exporter_failed_total",
            "Attempts that are made again, by reason.",
            ["sink", "reason"],
            registry=registry,
        )
        self.duplicates = Counter(
            "patchbay_exporter_duplicates_total",
            "Entries that were acknowledged unsent, as the sent log knew their events.",
            ["sink"],
            registry=registry,
        )
        self.died = Counter(
            "patchbay_exporter_died_total",
            "Events that became dead letters, by reason.",
            ["sink", "reason"],
            registry=registry,
        )
        self.dead_letters = Gauge("patchbay_exporter_dead_letters", "Dead letters.", ["sink"], registry=registry)
        self.settling = Gauge(
            "patchbay_exporter_settling", "Events that wait for an error report.", ["sink"], registry=registry
        )
        self.held = Gauge("patchbay_exporter_held", "Events held in memory.", ["sink"], registry=registry)
        self.not_permitted = Gauge(
            "patchbay_exporter_not_permitted",
            "Events that wait in Redis, as policy does not permit them in the receiver's region.",
            ["sink"],
            registry=registry,
        )
        self.lag_entries = Gauge(
            "patchbay_exporter_lag_entries", "Entries that are not acknowledged.", ["sink"], registry=registry
        )
        self.lag = Gauge(
            "patchbay_exporter_lag_seconds",
            "Age of the oldest entry that is not acknowledged.",
            ["sink"],
            registry=registry,
        )
        self.request_elapsed = Histogram(
            "patchbay_exporter_request_seconds",
            "From a batch's sending to its end.",
            ["sink"],
            buckets=_REQUEST_S,
            registry=registry,
        )
        self.taken_over = Counter(
            "patchbay_exporter_taken_over_total", "Entries of exporters that died.", ["sink"], registry=registry
        )
        self.unattributed = Counter(
            "patchbay_exporter_unattributed_errors_total",
            "Errors that a receiver reported without saying of which event, or of one that is not known.",
            ["sink"],
            registry=registry,
        )
        self.trimmed = Counter("patchbay_exporter_trimmed_total", "Entries removed from streams.", registry=registry)
        self.redis_away = Counter(
            "patchbay_exporter_redis_failures_total",
            "Calls to Redis that failed, by reason.",
            ["reason"],
            registry=registry,
        )
        self.disk_failures = Counter(
            "patchbay_exporter_disk_failures_total", "Writes of the sent log that failed.", registry=registry
        )
