"""What an edge process counts of its sessions; QUIC and HTTP/3 count for themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge
from prometheus_client.core import CounterMetricFamily
from prometheus_client.process_collector import ProcessCollector

from gateway.webtransport.datagram_order import OrderCounts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric


class EdgeMetrics:
    """One a process. `datagrams` are plain integers, counted on the audio path and read at each scrape."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.datagrams = OrderCounts()
        self.datagrams_dropped = 0
        """While the gateway takes no more: they become gaps."""
        self.sessions = Gauge("patchbay_webtransport_sessions", "Sessions that are open.", registry=registry)
        self.sessions_ended = Counter(
            "patchbay_webtransport_sessions_ended_total",
            "Sessions that are over, by who ended them.",
            ["by"],
            registry=registry,
        )
        self.sessions_refused = Counter(
            "patchbay_webtransport_sessions_refused_total",
            "Requests for a session that were answered with another status than 200.",
            ["status"],
            registry=registry,
        )
        registry.register(_Datagrams(self))
        registry.register(_Process())


class _Datagrams:
    def __init__(self, metrics: EdgeMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        counts = self._metrics.datagrams
        fates = CounterMetricFamily(
            "patchbay_webtransport_datagrams", "Datagrams with audio, by what became of them.", labels=["fate"]
        )
        fates.add_metric(["in_order"], counts.taken - counts.reordered)
        fates.add_metric(["put_in_order"], counts.reordered)
        fates.add_metric(["late"], counts.late)
        fates.add_metric(["doubled"], counts.doubled)
        fates.add_metric(["dropped"], self._metrics.datagrams_dropped)
        yield fates
        yield CounterMetricFamily(
            "patchbay_webtransport_reorder_given_up",
            "Times that missing datagrams were waited for no longer.",
            value=counts.given_up,
        )
        yield CounterMetricFamily(
            "patchbay_webtransport_reorder_waited_seconds",
            "Time that audio behind them had waited.",
            value=counts.waited_ms / 1_000,
        )
        yield CounterMetricFamily(
            "patchbay_webtransport_gaps", "Gaps in audio that came in datagrams.", value=counts.gaps
        )
        yield CounterMetricFamily(
            "patchbay_webtransport_lost_audio_seconds", "Audio in those gaps.", value=counts.lost_us / 1_000_000
        )


class _Process:
    """Of what the operating system knows of the process, what says how full it is; by names of our own, because the
    gateway's page has those of the gateway.
    """

    _SHOWN = ("patchbay_edge_process_cpu_seconds", "patchbay_edge_process_resident_memory_bytes")

    def __init__(self) -> None:
        self._all = ProcessCollector(namespace="patchbay_edge", registry=None)

    def collect(self) -> Iterable[Metric]:
        return [family for family in self._all.collect() if family.name in self._SHOWN]
