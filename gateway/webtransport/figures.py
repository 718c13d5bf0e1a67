"""The figures of edge processes on the gateway's own metrics page.

A process tells all of its metrics every second, as plain data; the gateway shows the last that each told, with the
process's number as the label `process`. What a process that died had told is forgotten: the next one of its number
begins at 0, which Prometheus takes for the restart that it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry

Families = list[list[Any]]
"""Of each metric: name, kind, help, and its samples, each a name, labels and a value."""

LABEL = "process"
_BIRTH = "_created"
"""Of each counter when it began: as many lines again, that nobody reads."""


def families_of(registry: CollectorRegistry) -> Families:
    """All that is registered, as data that can be written as JSON."""
    return [
        [
            family.name,
            family.type,
            family.documentation,
            [
                [sample.name, sample.labels, sample.value]
                for sample in family.samples
                if not sample.name.endswith(_BIRTH)
            ],
        ]
        for family in registry.collect()
    ]


class EdgeFigures(Collector):
    """What every process told last."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._told: dict[int, Families] = {}
        registry.register(self)

    def note(self, process: int, families: Families) -> None:
        self._told[process] = families

    def forget(self, process: int) -> None:
        self._told.pop(process, None)

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before a process tells it."""
        return []

    def collect(self) -> Iterable[Metric]:
        merged: dict[str, Metric] = {}
        for process, families in sorted(self._told.items()):
            for name, kind, documentation, samples in families:
                metric = merged.setdefault(name, Metric(name, documentation, kind))
                for sample_name, labels, value in samples:
                    metric.add_sample(sample_name, {**labels, LABEL: str(process)}, value)
        return merged.values()
