"""How often the machine stands still."""

from __future__ import annotations

import pytest

from regions.lab.stall_floor import figures, quantile_of, running_stall_floor


@pytest.mark.unit
def test_quantiles_are_of_the_nearest_rank() -> None:
    assert quantile_of([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile_of([], 0.99) == 0.0


@pytest.mark.unit
def test_figures_are_told_in_milliseconds() -> None:
    assert figures([0.1] * 99 + [40.0]) == {"samples": 100, "p50_ms": 0.1, "p99_ms": 0.1, "longest_ms": 40.0}
    assert figures([]) == {"samples": 0, "p50_ms": 0.0, "p99_ms": 0.0, "longest_ms": 0.0}


@pytest.mark.integration
async def test_the_floor_is_measured_while_the_block_runs() -> None:
    async with running_stall_floor() as floor:
        assert floor == {}
    assert set(floor) == {"samples", "p50_ms", "p99_ms", "longest_ms"}
