"""What users and SREs watch, as Prometheus metrics. Per-message counts are plain integers, read at each scrape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client.metrics_core import Metric

    from engines.interface import LoadReport

_WAIT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_SESSION_S = (1, 5, 15, 60, 300, 900, 3_600, 14_400)
_FACTOR = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class GatewayMetrics:
    """One per process. Attributes that are plain integers are counted on the audio path."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.audio_messages = 0
        self.audio_bytes = 0
        self.partials_replaced = 0
        ProcessCollector(registry=self.registry)
        self.sessions_opened = Counter(
            "patchbay_sessions_opened_total", "Sessions admitted.", ["transport"], registry=self.registry
        )
        self.sessions_closed = Counter(
            "patchbay_sessions_closed_total",
            "Sessions refused or closed, by reason (docs/errors.md).",
            ["transport", "reason"],
            registry=self.registry,
        )
        self.engines_lost = Counter(
            "patchbay_engines_lost_total", "Engines lost by live sessions.", ["reason"], registry=self.registry
        )
        self.audio_seconds = Counter(
            "patchbay_audio_seconds_total", "Audio made final, of closed sessions.", registry=self.registry
        )
        self.compute_seconds = Counter(
            "patchbay_compute_seconds_total", "Compute that engines spent, of closed sessions.", registry=self.registry
        )
        self.open_elapsed = self._wait_histogram(
            "patchbay_open_seconds", "From the request for an engine to its grant."
        )
        self.first_partial_elapsed = self._wait_histogram(
            "patchbay_first_partial_seconds", "From the first audio to the first words shown."
        )
        self.finalisation_elapsed = self._wait_histogram(
            "patchbay_finalisation_seconds", "From finalize or finish to the final that confirms it."
        )
        self.migration_pause = self._wait_histogram(
            "patchbay_migration_pause_seconds", "From the loss of an engine to the grant of the next."
        )
        self.sessions_moved = Counter(
            "patchbay_sessions_moved_total",
            "Live sessions that went on elsewhere as planned.",
            ["reason"],
            registry=self.registry,
        )
        self.move_elapsed = self._wait_histogram(
            "patchbay_move_seconds", "From the wish to move a session to the switch; it is recognised meanwhile."
        )
        self.session_audio = Histogram(
            "patchbay_session_audio_seconds", "Audio per session.", buckets=_SESSION_S, registry=self.registry
        )
        self.real_time_factor = Histogram(
            "patchbay_real_time_factor", "Compute per audio, per session.", buckets=_FACTOR, registry=self.registry
        )
        self.event_loop_lag = Gauge(
            "patchbay_event_loop_lag_seconds", "How late the last sweep came.", registry=self.registry
        )

    def _wait_histogram(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, buckets=_WAIT_S, registry=self.registry)

    def watch(self, live: Callable[[], LiveFigures], loads: Callable[[], Sequence[LoadReport]]) -> None:
        """Figures that are asked for at each scrape instead of being kept."""
        self.registry.register(_LiveCollector(self, live, loads))


class LiveFigures:
    """What the live sessions amount to now."""

    __slots__ = ("held_samples", "queued_messages", "sessions", "waiting_bytes")

    def __init__(self, *, sessions: int, held_samples: int, queued_messages: int, waiting_bytes: int) -> None:
        self.sessions = sessions
        self.held_samples = held_samples
        self.queued_messages = queued_messages
        self.waiting_bytes = waiting_bytes


class _LiveCollector:
    def __init__(
        self, counts: GatewayMetrics, live: Callable[[], LiveFigures], loads: Callable[[], Sequence[LoadReport]]
    ) -> None:
        self._counts = counts
        self._live = live
        self._loads = loads

    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily(
            "patchbay_audio_messages", "Audio messages from clients.", value=self._counts.audio_messages
        )
        yield CounterMetricFamily("patchbay_audio_bytes", "Audio bytes from clients.", value=self._counts.audio_bytes)
        yield CounterMetricFamily(
            "patchbay_partials_replaced",
            "Partials that a newer one replaced before a slow client read them.",
            value=self._counts.partials_replaced,
        )
        live = self._live()
        yield GaugeMetricFamily("patchbay_sessions", "Live sessions.", value=live.sessions)
        yield GaugeMetricFamily(
            "patchbay_held_audio_seconds", "Audio held until its words are final.", value=live.held_samples / 16_000
        )
        yield GaugeMetricFamily(
            "patchbay_client_queue_messages", "Messages that clients have not read.", value=live.queued_messages
        )
        yield GaugeMetricFamily(
            "patchbay_waiting_bytes", "Client bytes that wait for room in their session.", value=live.waiting_bytes
        )
        yield from self._engines()

    def _engines(self) -> Iterable[Metric]:
        names = ["pool", "replica"]
        families = {
            "slots_total": GaugeMetricFamily(
                "patchbay_engine_slots", "Streams that a replica can serve in time.", labels=names
            ),
            "slots_used": GaugeMetricFamily("patchbay_engine_slots_used", "Slots in use.", labels=names),
            "queued_audio_ms": GaugeMetricFamily(
                "patchbay_engine_queued_audio_ms", "Audio received and not recognised.", labels=names
            ),
            "step_p50_us": GaugeMetricFamily(
                "patchbay_engine_step_p50_us", "Median time of a batched step.", labels=names
            ),
            "busy_permille": GaugeMetricFamily(
                "patchbay_engine_busy_permille", "Share of time spent computing.", labels=names
            ),
            "leaves_in_ms": GaugeMetricFamily(
                "patchbay_engine_leaves_in_ms", "Until its streams should be gone; 0: it stays.", labels=names
            ),
            "is_at_risk": GaugeMetricFamily(
                "patchbay_engine_at_risk", "Whether its machine may go away soon.", labels=names
            ),
        }
        of_models = ["pool", "replica", "model", "version"]
        model_families = {
            "slots_total": GaugeMetricFamily(
                "patchbay_engine_model_slots", "Streams of one version that can be served in time.", labels=of_models
            ),
            "slots_used": GaugeMetricFamily(
                "patchbay_engine_model_slots_used", "Streams of one version.", labels=of_models
            ),
            "share_permille": GaugeMetricFamily(
                "patchbay_engine_model_share_permille", "Of the new streams of a model's name.", labels=of_models
            ),
        }
        for load in self._loads():
            for field, family in families.items():
                family.add_metric([load.pool, load.replica], getattr(load, field))
            for model in load.models:
                for field, family in model_families.items():
                    labels = [load.pool, load.replica, model.name, model.version]
                    family.add_metric(labels, getattr(model, field))
        yield from families.values()
        yield from model_families.values()
