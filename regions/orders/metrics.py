"""Metrics of orders."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class OrderMetrics:
    """Registers in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.in_force = Gauge(
            "patchbay_orders_in_force",
            "Orders of operators that this gateway follows.",
            ["scope", "kind"],
            registry=registry,
        )
        self.moved = Counter(
            "patchbay_orders_sessions_moved",
            "Sessions of this gateway that went on elsewhere because of an order.",
            ["scope"],
            registry=registry,
        )
        self.left = Gauge(
            "patchbay_orders_streams_left",
            "Streams on what an order wants emptied, as this gateway has them.",
            ["scope"],
            registry=registry,
        )
        self.stuck = Gauge(
            "patchbay_orders_sessions_stuck",
            "Sessions of this gateway that an order wants moved and that have nowhere to go.",
            ["reason"],
            registry=registry,
        )
        self.revision = Gauge(
            "patchbay_orders_revision", "Revision of the orders that this gateway follows.", registry=registry
        )
        self.is_store_away = Gauge(
            "patchbay_orders_store_away",
            "1 while the orders in Redis cannot be read; what is known stays in force.",
            registry=registry,
        )
