"""What is watched of the decision log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from collections.abc import Callable

_COMMIT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class DecisionLogMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "patchbay_decision_log_records_total", "Decision records that are on the disk.", registry=registry
        )
        self.missed = Counter(
            "patchbay_decision_log_missed_total", "Decision records that could not be kept.", registry=registry
        )
        self.checkpoints = Counter(
            "patchbay_decision_log_checkpoints_total", "Checkpoints that are on the disk.", registry=registry
        )
        self.failures = Counter(
            "patchbay_decision_log_failures_total",
            "Writes that failed, by the name of the errno; each is tried again.",
            ["reason"],
            registry=registry,
        )
        self.commits = Histogram(
            "patchbay_decision_log_commit_seconds",
            "Records written and synced together.",
            buckets=_COMMIT_S,
            registry=registry,
        )
        self._writable = Gauge(
            "patchbay_decision_log_writable",
            "1: records can be kept; 0: restricted sessions are refused.",
            registry=registry,
        )
        self._waiting = Gauge(
            "patchbay_decision_log_waiting_records", "Decision records that are not on the disk yet.", registry=registry
        )
        self.copied = Counter(
            "patchbay_decision_log_copied_total", "Files that a copy has.", ["copy"], registry=registry
        )
        self.copy_failures = Counter(
            "patchbay_decision_log_copy_failures_total",
            "Files that a copy did not take; each is tried again.",
            ["copy", "reason"],
            registry=registry,
        )
        self.copy_backlog = Gauge(
            "patchbay_decision_log_copy_backlog_files",
            "Sealed files that a copy does not have yet.",
            ["copy"],
            registry=registry,
        )

    def watch(self, is_writable: Callable[[], bool], num_waiting: Callable[[], int]) -> None:
        self._writable.set_function(lambda: 1.0 if is_writable() else 0.0)
        self._waiting.set_function(num_waiting)
