"""What edge processes count stands on the gateway's page, told apart by their numbers."""

from __future__ import annotations

import json

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.webtransport.figures import EdgeFigures, Families, families_of

pytestmark = pytest.mark.unit


def told_by(count: float) -> Families:
    """By a process; as it comes over the pipe."""
    registry = CollectorRegistry()
    Counter("a_total", "What a is.", ["kind"], registry=registry).labels("x").inc(count)
    Gauge("b", "What b is.", registry=registry).set(-count)
    Histogram("c_seconds", "What c is.", buckets=(1.0,), registry=registry).observe(0.5)
    told: Families = json.loads(json.dumps(families_of(registry)))
    return told


def test_each_process_has_its_own_series_of_one_metric() -> None:
    registry = CollectorRegistry()
    figures = EdgeFigures(registry)
    figures.note(0, told_by(1))
    figures.note(1, told_by(5))
    value = registry.get_sample_value
    assert [value("a_total", {"kind": "x", "process": str(number)}) for number in range(2)] == [1, 5]
    assert [value("b", {"process": str(number)}) for number in range(2)] == [-1, -5]
    assert value("c_seconds_bucket", {"le": "1.0", "process": "1"}) == 1
    text = generate_latest(registry).decode()
    assert text.count("# TYPE a_total counter") == 1
    names = {family.name: family.documentation for family in text_string_to_metric_families(text)}
    assert names == {"a": "What a is.", "b": "What b is.", "c_seconds": "What c is."}


def test_the_last_that_a_process_told_is_shown_and_of_the_dead_nothing() -> None:
    registry = CollectorRegistry()
    figures = EdgeFigures(registry)
    assert generate_latest(registry) == b""
    figures.note(0, told_by(1))
    figures.note(0, told_by(2))
    assert registry.get_sample_value("a_total", {"kind": "x", "process": "0"}) == 2
    figures.forget(0)
    figures.forget(0)
    assert generate_latest(registry) == b""


def test_when_a_counter_began_is_not_told() -> None:
    assert not any(name.endswith("_created") for _, _, _, samples in told_by(1) for name, _, _ in samples)
