"""A process that dies is started again at once, and ever later while it keeps dying young."""

from __future__ import annotations

import pytest

from gateway.restart_delay import restart_delay_s

pytestmark = pytest.mark.unit


def test_what_keeps_dying_young_is_started_ever_later_and_never_given_up() -> None:
    delays_s = [restart_delay_s(deaths) for deaths in range(9)]
    assert delays_s == [0.0, 0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0]
    assert restart_delay_s(1_000_000) == 5.0
