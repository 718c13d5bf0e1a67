"""When a client is told to wait."""

from __future__ import annotations

import pytest

from policies.backpressure import HoldingLimits, may_read

pytestmark = pytest.mark.unit

LIMITS = HoldingLimits(low_water_samples=10, high_water_samples=20, capacity_samples=30)


@pytest.mark.parametrize(
    ("held", "is_reading", "expected"),
    [(19, True, True), (20, True, False), (19, False, False), (11, False, False), (10, False, True)],
)
def test_reading_stops_at_high_water_and_goes_on_at_low_water(held: int, is_reading: bool, expected: bool) -> None:
    assert may_read(held_samples=held, is_reading=is_reading, limits=LIMITS) is expected


@pytest.mark.parametrize("marks", [(0, 20, 30), (21, 20, 30), (10, 31, 30)])
def test_marks_that_do_not_rise_are_refused(marks: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="rise"):
        HoldingLimits(*marks)
