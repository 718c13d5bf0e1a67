"""Promises of a loaded model on the inference thread, with time as the test says."""

from __future__ import annotations

import numpy as np
import pytest

from engines.batching.bay import Bay
from engines.batching.capacity import UNLIMITED
from engines.batching.commands import AddModel
from engines.batching.costs import StepCosts
from engines.batching.slots import Slot
from engines.contract import StepTime
from engines.interface import OpenStream, StreamOptions
from engines.recognition.scripted import BLOCK_SAMPLES, Script, ScriptedRecogniser

pytestmark = pytest.mark.unit

STEP_US = 500_000


def bay(*step_times: tuple[int, int], slots: int = 8, busy_permille: int = 800) -> Bay:
    costs = StepCosts([StepTime(batch, step_us) for batch, step_us in step_times or ((1, 100), (8, 800))])
    return Bay(AddModel(0, ScriptedRecogniser(Script(), max_slots=slots), costs, slots, busy_permille))


def opened(one: Bay, index: int, *, epoch: int = 1) -> None:
    stream = OpenStream(session_id="s", tenant="t", epoch=epoch, start_sample=0, options=StreamOptions())
    one.open(Slot(index, 1), stream)


def heard(one: Bay, index: int, now_us: int) -> None:
    one.recogniser.accept(index, np.ones(BLOCK_SAMPLES, "<i2").tobytes())
    one.mark_if_ready(index, now_us)


def test_a_stream_without_a_whole_step_of_audio_waits_for_nothing() -> None:
    one = bay()
    opened(one, 3)
    one.recogniser.accept(3, bytes(100))
    one.mark_if_ready(3, 0)
    assert one.take(0) == []


def test_a_slot_belongs_to_its_last_generation() -> None:
    one = bay()
    opened(one, 0)
    assert one.lane_of(Slot(0, 1)) is not None
    assert one.lane_of(Slot(0, 2)) is None
    lane = one.lanes[0]
    assert lane is not None
    one.close(lane)
    assert one.lane_of(Slot(0, 1)) is None


def test_the_worst_lateness_is_that_of_the_step_that_was_due_first() -> None:
    one = bay()
    for index in range(2):
        opened(one, index)
        heard(one, index, index * 1_000)
    one.take(60_000)
    assert one.worst_lateness_us == 60_000


def test_steps_wait_for_each_other_only_while_the_thread_is_busy() -> None:
    one = bay((1, 40_000), (8, 41_000))
    for index in range(8):
        opened(one, index)
    heard(one, 0, 1_000)
    assert one.hold_until_us(2_000, busy_permille=500) == 0
    assert one.hold_until_us(2_000, busy_permille=1_000) == 1_000 + STEP_US // 6
    for index in range(1, 8):
        heard(one, index, 2_000)
    assert one.hold_until_us(3_000, busy_permille=1_000) <= 3_000


def test_capacity_falls_when_steps_become_slower_and_comes_back() -> None:
    one = bay((1, 1_000), (8, 8_000))
    assert one.capacity == 400  # 500 ms x 0.8 / 1 ms a row
    for _ in range(400):
        one.stepped(8, 32_000)
    assert 95 <= one.capacity <= 105
    for _ in range(400):
        one.stepped(8, 8_000)
    assert one.capacity == 400


def test_without_a_limit_on_busy_time_only_slots_count() -> None:
    assert bay((1, 10_000_000), busy_permille=0).capacity == UNLIMITED
