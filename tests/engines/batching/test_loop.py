"""Promises of the inference loop, on its real thread."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.batching.commands import (
    AddModel,
    AppendAudio,
    BeginStream,
    CutStream,
    EndStream,
    LoopCommand,
    Outcome,
    RemoveModel,
)
from engines.batching.costs import StepCosts
from engines.batching.loop import InferenceLoop
from engines.batching.slots import Slot
from engines.contract import StepResult
from engines.interface import FinalResult, LossReason, Lost, OpenStream, Progress, StreamOptions
from engines.recognition.scripted import BLOCK_SAMPLES, Script, ScriptedRecogniser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = pytest.mark.unit

DEADLINE_S = 60


class GatedRecogniser(ScriptedRecogniser):
    """Each step waits until the test lets it go on, and may be told to raise something."""

    def __init__(self, script: Script, *, max_slots: int) -> None:
        super().__init__(script, max_slots=max_slots)
        self.stepping = threading.Semaphore(0)
        self.may_go_on = threading.Semaphore(0)
        self.error: Exception | None = None

    def step(self, slots: Sequence[int]) -> list[StepResult]:
        self.stepping.release()
        assert self.may_go_on.acquire(timeout=DEADLINE_S)
        if self.error is not None:
            raise self.error
        return super().step(slots)


class Harness:
    """A loop, what it delivered, and what it died of."""

    def __init__(self, *recognisers: ScriptedRecogniser) -> None:
        self.deliveries: queue.Queue[list[Outcome]] = queue.Queue()
        self.deaths: queue.Queue[BaseException] = queue.Queue()
        self.loop = InferenceLoop(deliver=self.deliveries.put, on_death=self.deaths.put, idle_turn_ms=5)
        self.loop.start()
        for bay, recogniser in enumerate(recognisers):
            self.put(added(recogniser, bay=bay))

    def put(self, *commands: LoopCommand) -> None:
        for command in commands:
            self.loop.put(command)
        self.loop.wake()

    def outcomes(self, count: int) -> list[Outcome]:
        found: list[Outcome] = []
        while len(found) < count:
            found += self.deliveries.get(timeout=DEADLINE_S)
        return found


@pytest.fixture
def harness() -> Iterator[Callable[..., Harness]]:
    made: list[Harness] = []

    def make(*recognisers: ScriptedRecogniser) -> Harness:
        made.append(Harness(*recognisers))
        return made[-1]

    yield make
    for one in made:
        assert one.loop.stop(timeout_ms=2_000)


def added(recogniser: ScriptedRecogniser, *, bay: int = 0) -> AddModel:
    costs = StepCosts(recogniser.rehearse(max_batch=recogniser.max_slots))
    return AddModel(bay, recogniser, costs, recogniser.max_slots, busy_permille=800)


def begin(slot: Slot, epoch: int = 1) -> BeginStream:
    options = StreamOptions(wants_partials=False)
    return BeginStream(slot, OpenStream(session_id="s", tenant="t", epoch=epoch, start_sample=0, options=options))


def audio(slot: Slot, value: int, num_samples: int = BLOCK_SAMPLES) -> AppendAudio:
    return AppendAudio(slot, np.full(num_samples, value, "<i2").tobytes())


def words(outcomes: list[Outcome], slot: Slot) -> list[str]:
    return [
        event.text
        for outcome in outcomes
        if outcome.slot == slot
        for event in outcome.events
        if isinstance(event, FinalResult)
    ]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.002)


def test_every_stepped_stream_gets_its_progress_before_its_results(
    harness: Callable[..., Harness],
) -> None:
    run = harness(ScriptedRecogniser(Script(step_delay_ms=3), max_slots=2))
    slots = [Slot(0, 1), Slot(1, 1)]
    for slot in slots:
        run.put(begin(slot), audio(slot, 7), CutStream(slot, BLOCK_SAMPLES, is_last=True))
    outcomes = run.outcomes(4)
    for slot in slots:
        mine = [outcome for outcome in outcomes if outcome.slot == slot]
        assert all(isinstance(outcome.events[0], Progress) for outcome in mine)
        assert [outcome.is_over for outcome in mine] == [False, True]
    assert sum(o.events[0].compute_us for o in outcomes if isinstance(o.events[0], Progress)) >= 2 * 3_000


def test_a_cancelled_stream_s_step_never_reaches_the_slot_s_next_owner(
    harness: Callable[..., Harness],
) -> None:
    recogniser = GatedRecogniser(Script(), max_slots=1)
    run = harness(recogniser)
    old, new = Slot(0, 1), Slot(0, 2)
    run.put(begin(old), audio(old, 1))
    assert recogniser.stepping.acquire(timeout=DEADLINE_S)
    run.put(EndStream(old), begin(new), audio(old, 1), audio(new, 2), CutStream(new, BLOCK_SAMPLES, is_last=True))
    for _ in range(3):
        recogniser.may_go_on.release()
    outcomes = run.outcomes(3)
    assert [outcome.slot for outcome in outcomes] == [old, new, new]
    assert words(outcomes, old) == []
    assert words(outcomes, new) == ["w0v2"]


def test_a_failed_step_loses_its_streams_and_the_loop_goes_on(
    harness: Callable[..., Harness],
) -> None:
    run = harness(ScriptedRecogniser(Script(fail_after_words=1), max_slots=2))
    first, second = Slot(0, 1), Slot(1, 1)
    run.put(begin(first, epoch=5), audio(first, 1, 2 * BLOCK_SAMPLES))
    outcomes = run.outcomes(2)
    assert outcomes[1] == Outcome(first, (Lost(5, LossReason.engine_failed),), is_over=True)
    run.put(begin(second), audio(second, 3), CutStream(second, BLOCK_SAMPLES, is_last=True))
    assert words(run.outcomes(2), second) == ["w0v3"]
    assert run.deaths.empty()


def test_any_other_error_ends_the_thread_and_is_told_once(harness: Callable[..., Harness]) -> None:
    recogniser = GatedRecogniser(Script(), max_slots=1)
    recogniser.error = ZeroDivisionError()
    recogniser.may_go_on.release()
    run = harness(recogniser)
    run.put(begin(Slot(0, 1)), audio(Slot(0, 1), 1))
    assert run.deaths.get(timeout=DEADLINE_S) is recogniser.error
    turns = run.loop.turns
    run.put(audio(Slot(0, 1), 1))
    assert run.loop.stop(timeout_ms=1_000)
    assert run.loop.turns == turns
    assert run.deaths.empty()


def test_the_loop_turns_when_idle_and_stands_still_when_stuck(
    harness: Callable[..., Harness],
) -> None:
    recogniser = GatedRecogniser(Script(), max_slots=1)
    run = harness(recogniser)
    before = run.loop.turns
    wait_until(lambda: run.loop.turns > before + 3)
    run.put(begin(Slot(0, 1)), audio(Slot(0, 1), 1))
    assert recogniser.stepping.acquire(timeout=DEADLINE_S)
    stuck_at = run.loop.turns
    assert not run.loop.stop(timeout_ms=30)
    assert run.loop.turns == stuck_at
    recogniser.may_go_on.release()


def test_figures_count_audio_that_waits_and_forget_it_with_its_stream(
    harness: Callable[..., Harness],
) -> None:
    run = harness(ScriptedRecogniser(Script(step_delay_ms=20), max_slots=2))
    first, second = Slot(0, 1), Slot(1, 1)
    run.put(begin(first), audio(first, 1, BLOCK_SAMPLES + 1_600), begin(second), audio(second, 1, 3_200))
    wait_until(lambda: run.loop.figures.queued_audio_ms == 100 + 200)
    assert run.loop.figures.step_p50_us >= 20_000
    assert 1 <= run.loop.figures.busy_permille <= 1_000
    run.put(EndStream(second))
    wait_until(lambda: run.loop.figures.queued_audio_ms == 100)


def test_streams_of_several_models_share_the_thread_and_never_meet(harness: Callable[..., Harness]) -> None:
    run = harness(ScriptedRecogniser(Script(), max_slots=1), ScriptedRecogniser(Script(), max_slots=1))
    first, second = Slot(0, 1, 0), Slot(0, 1, 1)
    run.put(begin(first), begin(second), audio(first, 1), audio(second, 2))
    run.put(CutStream(first, BLOCK_SAMPLES, is_last=True), CutStream(second, BLOCK_SAMPLES, is_last=True))
    outcomes = run.outcomes(4)
    assert words(outcomes, first) == ["w0v1"]
    assert words(outcomes, second) == ["w0v2"]


def test_a_model_that_was_removed_is_shut_down_and_what_comes_for_it_does_nothing(
    harness: Callable[..., Harness],
) -> None:
    class Closing(ScriptedRecogniser):
        closed_on = ""

        def shut_down(self) -> None:
            self.closed_on = threading.current_thread().name

    going, staying = Closing(Script(), max_slots=1), ScriptedRecogniser(Script(), max_slots=1)
    run = harness(going, staying)
    run.put(begin(Slot(0, 1, 0)), audio(Slot(0, 1, 0), 1, BLOCK_SAMPLES - 1), RemoveModel(0), RemoveModel(7))
    run.put(audio(Slot(0, 1, 0), 1), EndStream(Slot(0, 1, 0)))
    other = Slot(0, 1, 1)
    run.put(begin(other), audio(other, 4), CutStream(other, BLOCK_SAMPLES, is_last=True))
    assert words(run.outcomes(2), other) == ["w0v4"]
    assert going.closed_on == "inference"
    wait_until(lambda: run.loop.figures.queued_audio_ms == 0 and list(run.loop.figures.bays) == [1])


def test_what_streams_are_charged_is_the_thread_s_busy_time(harness: Callable[..., Harness]) -> None:
    run = harness(ScriptedRecogniser(Script(step_delay_ms=4), max_slots=2))
    slots = [Slot(0, 1), Slot(1, 1)]
    for slot in slots:
        run.put(begin(slot), audio(slot, 1, 40 * BLOCK_SAMPLES), CutStream(slot, 40 * BLOCK_SAMPLES, is_last=True))
    outcomes: list[Outcome] = []
    while sum(outcome.is_over for outcome in outcomes) < len(slots):
        outcomes += run.outcomes(1)
    charged_us = sum(event.compute_us for o in outcomes for event in o.events if isinstance(event, Progress))
    wait_until(lambda: run.loop.figures.charged_us_total == charged_us)
    assert charged_us <= run.loop.figures.busy_us_total <= charged_us * 1.01 + 20_000  # idle turns are work, too


def test_a_stream_that_its_step_lost_is_charged_told_and_gone_and_its_neighbour_goes_on(
    harness: Callable[..., Harness],
) -> None:
    class LosingFirst(ScriptedRecogniser):
        def step(self, slots: Sequence[int]) -> list[StepResult]:
            return [
                StepResult(result.slot, (), 0, is_over=True, is_lost=True) if result.slot == 0 else result
                for result in super().step(slots)
            ]

    run = harness(LosingFirst(Script(), max_slots=2))
    first, second = Slot(0, 1), Slot(1, 1)
    run.put(begin(first, epoch=4), begin(second), audio(first, 1), audio(second, 2))
    run.put(CutStream(second, BLOCK_SAMPLES, is_last=True))
    outcomes = run.outcomes(3)
    (lost,) = [outcome for outcome in outcomes if outcome.slot == first]
    progress, loss = lost.events
    assert isinstance(progress, Progress)
    assert (loss, lost.is_over) == (Lost(4, LossReason.engine_failed), True)
    assert words(outcomes, second) == ["w0v2"]
