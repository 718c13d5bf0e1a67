"""A scenario's own reckoning."""

from __future__ import annotations

from dataclasses import replace

import pytest

from regions.simulator.scenario import DAY_MS, Scenario

pytestmark = pytest.mark.unit


def test_a_scenario_ends_after_its_days_and_parts_of_them() -> None:
    scenario = Scenario("s", regions=(), fleets=())
    assert scenario.ends_at_ms == DAY_MS
    assert replace(scenario, days=0.25).ends_at_ms == DAY_MS // 4
