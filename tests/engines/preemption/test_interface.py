"""Promises that all sources keep, whoever they are."""

from __future__ import annotations

import inspect

import pytest

from engines.preemption.aws import AwsSource
from engines.preemption.azure import AzureSource
from engines.preemption.gcp import GcpSource
from engines.preemption.interface import PreemptionSource
from engines.preemption.trigger import TriggerSource

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("source", [AwsSource, AzureSource, GcpSource, TriggerSource])
def test_a_source_has_what_the_engine_asks_of_one(source: type) -> None:
    wanted = [name for name in vars(PreemptionSource) if not name.startswith("_")]
    assert set(wanted) == {"name", "run", "release", "aclose"}
    for name in wanted:
        assert hasattr(source, name)
    assert inspect.iscoroutinefunction(source.run)  # type: ignore[attr-defined]
