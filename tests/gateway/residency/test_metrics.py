"""Figures of residency name one bundle at a time, and denials by their rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest
from prometheus_client import CollectorRegistry

from gateway.residency.metrics import ResidencyMetrics
from policies.residency.vocabulary import Action

if TYPE_CHECKING:
    from policies.residency.bundles.bundle import Bundle

pytestmark = pytest.mark.unit


@dataclass(frozen=True, slots=True)
class Named:
    name: str
    version: str
    digest: str


def test_only_the_bundle_in_force_is_shown() -> None:
    registry = CollectorRegistry()
    metrics = ResidencyMetrics(registry)
    for version in ("1", "2"):
        metrics.took(cast("Bundle", Named("ours", version, "ab" * 32)), ends_at_s=1_800_000_000)
    shown = [
        sample.labels["version"]
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "patchbay_residency_bundle_info"
    ]
    assert shown == ["2"]
    assert registry.get_sample_value("patchbay_residency_bundle_ends_at_seconds") == 1_800_000_000


def test_denials_are_counted_by_rule_and_those_without_one_too() -> None:
    registry = CollectorRegistry()
    metrics = ResidencyMetrics(registry)
    metrics.denied("F01", Action.terminate)
    metrics.denied(None, Action.process)
    for rule, action in (("F01", "terminate"), ("none", "process")):
        assert registry.get_sample_value("patchbay_residency_denials_total", {"rule": rule, "action": action}) == 1
