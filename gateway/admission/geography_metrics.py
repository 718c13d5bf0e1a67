"""What geography and the proxies in front of a gateway count for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class GeographyMetrics:
    """One set a process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.places = Counter(
            "patchbay_places_total",
            "Connections, by what said where their caller is: edge_header, database, or unknown.",
            ["source"],
            registry=registry,
        )
        self.untrusted_headers = Counter(
            "patchbay_untrusted_headers_total",
            "Connections whose headers named an address or a place and were ignored: no trusted proxy sent them.",
            registry=registry,
        )
        self.database_built = Gauge(
            "patchbay_geo_database_built_timestamp_seconds",
            "When the database in force was made, by its file's name; 0: none is in force.",
            ["database"],
            registry=registry,
        )
        self.database_failures = Counter(
            "patchbay_geo_database_failures_total",
            "Files that could not be read (what: load) and answers that made no sense (what: look_up).",
            ["database", "what"],
            registry=registry,
        )
        self.proxy_headers = Counter(
            "patchbay_proxy_headers_total",
            "Connections to a listener that asks for the PROXY protocol, by outcome.",
            ["outcome"],
            registry=registry,
        )
