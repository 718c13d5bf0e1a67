"""Metrics: what is counted in plain integers is on the next page, and every name and label is as documented."""

from __future__ import annotations

import math

import pytest
from prometheus_client import generate_latest

from engines.interface import LoadReport, ModelLoad
from gateway.errors import Reason
from gateway.metrics import GatewayMetrics, LiveFigures
from tests.harness.metrics import Figures

pytestmark = pytest.mark.unit

NOBODY = LiveFigures(sessions=0, held_samples=0, queued_messages=0, waiting_bytes=0)


def load(pool: str, used: int, replica: str = "0") -> LoadReport:
    return LoadReport(
        pool=pool,
        replica=replica,
        models=(ModelLoad(name="m", version="1", slots_total=64, slots_used=used),),
        slots_total=64,
        slots_used=used,
        queued_audio_ms=120,
        step_p50_us=900,
        busy_permille=250,
        is_draining=False,
    )


def page(metrics: GatewayMetrics) -> Figures:
    return Figures(generate_latest(metrics.registry).decode())


def test_what_the_audio_path_counts_is_read_at_each_scrape() -> None:
    metrics = GatewayMetrics()
    metrics.watch(lambda: NOBODY, list)
    assert page(metrics)("patchbay_audio_messages_total") == 0
    metrics.audio_messages += 3
    metrics.audio_bytes += 9_600
    metrics.partials_replaced += 2
    figures = page(metrics)
    assert figures("patchbay_audio_messages_total") == 3
    assert figures("patchbay_audio_bytes_total") == 9_600
    assert figures("patchbay_partials_replaced_total") == 2


def test_live_sessions_are_asked_for_at_each_scrape() -> None:
    metrics = GatewayMetrics()
    now = [NOBODY]
    metrics.watch(lambda: now[0], list)
    assert page(metrics)("patchbay_sessions") == 0
    now[0] = LiveFigures(sessions=2, held_samples=24_000, queued_messages=7, waiting_bytes=640)
    figures = page(metrics)
    assert figures("patchbay_sessions") == 2
    assert figures("patchbay_held_audio_seconds") == 1.5
    assert figures("patchbay_client_queue_messages") == 7
    assert figures("patchbay_waiting_bytes") == 640


def test_each_replica_has_its_own_figures_and_a_lost_one_has_none() -> None:
    metrics = GatewayMetrics()
    loads = [load("local", 3, "0"), load("local", 4, "1"), load("spot", 5, "2")]
    metrics.watch(lambda: NOBODY, lambda: loads)
    figures = page(metrics)
    assert figures("patchbay_engine_slots_used", pool="local", replica="1") == 4
    assert figures("patchbay_engine_slots_used", pool="spot") == 5
    assert figures("patchbay_engine_slots") == 3 * 64
    assert figures("patchbay_engine_model_slots_used", replica="1", model="m", version="1") == 4
    assert figures("patchbay_engine_model_share_permille", replica="1", model="m") == 1_000
    assert figures("patchbay_engine_queued_audio_ms", replica="0") == 120
    assert figures("patchbay_engine_step_p50_us", replica="0") == 900
    assert figures("patchbay_engine_busy_permille", replica="0") == 250
    loads.clear()
    assert not {"local", "spot"} & page(metrics).label_values


def test_a_refusal_is_counted_under_its_own_reason() -> None:
    metrics = GatewayMetrics()
    for reason in Reason:
        metrics.sessions_closed.labels("websocket", reason.value).inc()
    figures = page(metrics)
    assert all(figures("patchbay_sessions_closed_total", reason=reason.value) == 1 for reason in Reason)


@pytest.mark.parametrize(
    ("attribute", "name", "goal_s"),
    [
        ("open_elapsed", "patchbay_open_seconds", 0.3),
        ("first_partial_elapsed", "patchbay_first_partial_seconds", 0.3),
        ("finalisation_elapsed", "patchbay_finalisation_seconds", 0.25),
        ("migration_pause", "patchbay_migration_pause_seconds", 1.5),
    ],
)
def test_a_wait_is_counted_on_the_right_side_of_a_bucket_near_its_goal(
    attribute: str, name: str, goal_s: float
) -> None:
    metrics = GatewayMetrics()
    histogram = getattr(metrics, attribute)
    histogram.observe(goal_s)
    histogram.observe(goal_s + 0.06)
    below = max(edge for edge in _edges(metrics, name) if edge <= goal_s)
    above = min(edge for edge in _edges(metrics, name) if edge >= goal_s)
    figures = page(metrics)
    assert figures(f"{name}_count") == 2
    assert figures(f"{name}_bucket", le=str(above)) == 1
    assert above - below <= 0.1


def _edges(metrics: GatewayMetrics, name: str) -> list[float]:
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    edges = [float(sample.labels["le"]) for sample in samples if sample.name == f"{name}_bucket"]
    return [edge for edge in edges if math.isfinite(edge)]


def test_two_gateways_of_one_process_do_not_share_figures() -> None:
    first, second = GatewayMetrics(), GatewayMetrics()
    first.sessions_opened.labels("grpc").inc()
    assert page(first)("patchbay_sessions_opened_total", transport="grpc") == 1
    assert "grpc" not in page(second).label_values


def test_the_process_itself_is_measured() -> None:
    figures = page(GatewayMetrics())
    assert figures("process_resident_memory_bytes") > 1_000_000
    assert figures("process_open_fds") > 0
