"""How long to wait before the next attempt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.metering.exporter.backoff import backoff_ms

pytestmark = pytest.mark.unit


@given(attempts=st.integers(1, 10_000), dice=st.floats(0, 1, exclude_max=True))
def test_waits_double_up_to_the_longest_and_are_never_less_than_half(attempts: int, dice: float) -> None:
    whole_ms = min(500 * 2 ** min(attempts - 1, 40), 60_000)
    assert whole_ms // 2 <= backoff_ms(attempts, first_ms=500, max_ms=60_000, dice=dice) <= whole_ms
