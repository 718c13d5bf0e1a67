"""An alarm is told at once; of a flood of them, how many there were."""

from __future__ import annotations

import pytest

from engines.server.alarms import Alarms

pytestmark = pytest.mark.unit


def test_the_first_is_told_at_once_and_the_others_a_second_later_with_their_number() -> None:
    now_s = 0.0
    alarms = Alarms(lambda: now_s)
    told = [alarms.raised("forged") for _ in range(5)]
    assert told == [1, 0, 0, 0, 0]
    assert alarms.raised("expired") == 1, "another kind"
    now_s = 1.0
    assert alarms.raised("forged") == 5
    now_s = 5.0
    assert alarms.raised("forged") == 1


def test_what_it_remembers_is_bounded() -> None:
    alarms = Alarms(lambda: 0.0)
    for number in range(2_500):
        assert alarms.raised(number) == 1
    assert len(alarms._told_at_s) <= 1_000
