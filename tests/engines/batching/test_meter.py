"""Promises of the load meter."""

from __future__ import annotations

import pytest

from engines.batching.accounting import ComputeLedger
from engines.batching.bay import Bay
from engines.batching.commands import AddModel
from engines.batching.costs import StepCosts
from engines.batching.meter import BayFigures, LoadMeter, LoopFigures
from engines.contract import StepTime
from engines.recognition.scripted import Script, ScriptedRecogniser

pytestmark = pytest.mark.unit


def test_busy_share_is_that_of_the_last_second() -> None:
    meter, ledger = LoadMeter(0), ComputeLedger()
    for tenth in range(1, 31):
        ledger.worked(100_000 if tenth <= 10 else 25_000)
        assert meter.is_due(tenth * 100_000)
        meter.publish(tenth * 100_000, {}, ledger)
        if tenth == 10:
            assert meter.figures.busy_permille == 1_000
    assert meter.figures.busy_permille == 250
    assert meter.figures.busy_us_total == 1_500_000


def test_figures_are_due_ten_times_a_second_and_carry_the_median_step() -> None:
    meter, ledger = LoadMeter(0), ComputeLedger()
    for step_us in (10, 5_000, 30, 20, 40):
        meter.stepped(step_us)
    assert not meter.is_due(99_999)
    ledger.worked(1_000)
    ledger.charge(1)
    ledger.worked(500)
    meter.publish(100_000, {}, ledger)
    assert meter.figures == LoopFigures(step_p50_us=30, busy_permille=15, busy_us_total=1_500, charged_us_total=1_000)
    assert not meter.is_due(199_999)


def test_a_model_is_late_for_two_seconds_after_a_step_came_a_whole_step_late() -> None:
    meter, ledger = LoadMeter(0), ComputeLedger()
    recogniser = ScriptedRecogniser(Script(), max_slots=4)
    bay = Bay(AddModel(3, recogniser, StepCosts([StepTime(1, 100)]), 4, 800))
    late = []
    for at_us, lateness_us in ((100_000, 500_000), (200_000, 500_001), (2_199_999, 0), (2_200_000, 0)):
        bay.worst_lateness_us = lateness_us
        meter.publish(at_us, {3: bay}, ledger)
        late.append(meter.figures.bays[3])
    assert late == [BayFigures(4_000, is_late, 5_000_000) for is_late in (False, True, True, False)]
