"""When faults strike. That they do what they say is in tests/scenarios/test_lab_drills.py."""

from __future__ import annotations

import random

import pytest

from regions.lab.fault_spec import FaultKind, FaultSpec
from regions.lab.faults import timetable

pytestmark = pytest.mark.unit

KILL = FaultSpec(kind=FaultKind.kill, target="engine/*")


def at(fault: FaultSpec, seed: int = 1) -> list[float]:
    return [strike.at_s for strike in timetable([fault], random.Random(seed))]


def test_a_fault_strikes_once_or_at_each_interval() -> None:
    assert at(KILL.model_copy(update={"at_s": 3.0})) == [3.0]
    assert at(KILL.model_copy(update={"at_s": 3.0, "every_s": 2.0, "times": 3})) == [3.0, 5.0, 7.0]


def test_random_strikes_lie_in_their_time_and_come_again_with_the_seed() -> None:
    fault = KILL.model_copy(update={"times": 50, "between_s": (2.0, 4.0)})
    strikes = at(fault)
    assert len(strikes) == 50
    assert strikes == sorted(strikes)
    assert min(strikes) >= 2.0
    assert max(strikes) <= 4.0
    assert strikes == at(fault)
    assert strikes != at(fault, seed=2)


def test_strikes_of_several_faults_come_in_their_order() -> None:
    faults = [KILL.model_copy(update={"at_s": 5.0}), KILL.model_copy(update={"at_s": 1.0, "every_s": 2.0, "times": 3})]
    assert [strike.at_s for strike in timetable(faults, random.Random(1))] == [1.0, 3.0, 5.0, 5.0]
