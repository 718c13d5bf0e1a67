"""One sequence for each slot, begun and ended as Triton wants it; whatever the server does wrong fails the step."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.backends.load import load_backend
from engines.backends.triton.backend import TritonBackend, open_backend
from engines.contract import BackendKind, BackendSettings
from engines.errors import BackendFailed, ModelRejected
from tests.fakes.triton import FEATURES, ROWS, WINDOW, FakeTriton, Mood, model_config
from tests.harness.waiting import until_sync

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.contract import FloatArray

    Opener = Callable[..., TritonBackend]


def windows(batch: int) -> FloatArray:
    """(batch, WINDOW, FEATURES): each row is told apart by what its second frame begins with."""
    made = np.zeros((batch, WINDOW, FEATURES), np.float32)
    made[:, 1, 0] = 100 + np.arange(batch)
    return made


def counts(rows: FloatArray) -> list[float]:
    """How many windows each row's sequence has had."""
    found: list[float] = rows[:, 0, 0].tolist()
    return found


def test_a_slot_is_one_sequence_until_it_is_reset(fake: FakeTriton, open_fake: Opener) -> None:
    backend = open_fake()
    assert counts(backend.step(windows(2), [0, 2])) == [1, 1]
    assert counts(backend.step(windows(3), [2, 1, 0])) == [2, 1, 2]
    backend.reset(0)
    assert counts(backend.step(windows(3), [0, 1, 2])) == [1, 2, 3]
    assert len(set(fake.begun)) == 4
    assert fake.ended == fake.begun[:1]
    assert all(0 < sequence < 1 << 63 for sequence in fake.begun)


def test_rows_come_back_to_their_streams_in_whatever_order_the_server_answers(
    fake: FakeTriton, open_fake: Opener
) -> None:
    fake.mood = Mood.reversed_order
    backend = open_fake()
    rows = backend.step(windows(3), [2, 0, 1])
    assert rows[:, 1, 0].tolist() == [100, 101, 102]
    assert rows.shape[:2] == (3, ROWS)


def test_answers_that_nobody_waits_for_are_dropped(fake: FakeTriton, open_fake: Opener) -> None:
    fake.mood = Mood.foreign_ids_first
    backend = open_fake()
    for step in (1, 2, 3):
        assert counts(backend.step(windows(3), [0, 1, 2])) == [step] * 3


@pytest.mark.parametrize(
    ("mood", "complaint"),
    [
        (Mood.error_for_one, "ONNX Runtime failed"),
        (Mood.other_version, "version '8' answered, not '7'"),
        (Mood.wrong_shape, r"not FP32 \[1, 4, 2\]"),
        (Mood.wrong_type, "not INT32"),
        (Mood.short_content, "in 0 bytes"),
        (Mood.no_outputs, "not 0 outputs"),
        (Mood.ends_stream, "was lost"),
        (Mood.silent, r"did not answer 2 of 2 streams within 2\.0 s"),
        (Mood.silent_for_one, r"did not answer 1 of 2 streams within 2\.0 s"),
    ],
)
def test_a_wrong_answer_fails_the_batch_and_ends_its_sequences_but_no_others(
    fake: FakeTriton, open_fake: Opener, mood: Mood, complaint: str
) -> None:
    backend = open_fake(step_timeout_s=2.0)
    backend.step(windows(1), [2])
    bystander = fake.begun.pop()
    fake.mood = mood
    with pytest.raises(BackendFailed, match=complaint):
        backend.step(windows(2), [0, 1])
    lost = set(fake.begun)
    fake.mood = None
    until_sync(lambda: goes_through(backend), what="a step of the stream that took no part")
    assert counts(backend.step(windows(2), [2, 0])) == [3, 1]
    until_sync(lambda: lost <= set(fake.ended), what="the end of what was lost")
    assert bystander in fake.live


def goes_through(backend: TritonBackend) -> bool:
    try:
        return counts(backend.step(windows(1), [2])) == [2]
    except BackendFailed:
        return False


def test_a_sequence_that_the_server_forgot_is_lost_and_begins_anew(fake: FakeTriton, open_fake: Opener) -> None:
    backend = open_fake()
    backend.step(windows(1), [0])
    fake.live.clear()
    with pytest.raises(BackendFailed, match="must specify the START flag"):
        backend.step(windows(1), [0])
    assert counts(backend.step(windows(1), [0])) == [1]


def test_windows_of_another_shape_fail_without_a_question_to_the_server(fake: FakeTriton, open_fake: Opener) -> None:
    backend = open_fake()
    with pytest.raises(BackendFailed, match=r"windows must come as \(16, 80\), not \(15, 80\)"):
        backend.step(windows(1)[:, :-1], [0])
    assert fake.begun == []


def test_an_end_that_may_not_have_arrived_is_sent_again(fake: FakeTriton, open_fake: Opener) -> None:
    backend = open_fake()
    backend.step(windows(1), [0])
    fake.mood = Mood.loses_ends
    backend.reset(0)
    until_sync(lambda: backend._server.live_stream is None, what="the end of the stream")
    fake.mood = None
    assert counts(backend.step(windows(1), [1])) == [1]
    until_sync(lambda: fake.begun[0] in fake.ended, what="the end of the sequence")


def test_closing_ends_every_sequence_and_leaves_no_thread(fake: FakeTriton, open_fake: Opener) -> None:
    backend = open_fake()
    backend.step(windows(3), [0, 1, 2])
    backend.close()
    assert sorted(fake.ended) == sorted(fake.begun)
    backend.close()
    assert "triton-answers" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(BackendFailed, match="was closed"):
        backend.step(windows(1), [0])


def test_resetting_slots_that_have_no_sequence_says_nothing_to_the_server(fake: FakeTriton, open_fake: Opener) -> None:
    backend = open_fake()
    for slot in range(3):
        backend.reset(slot)
    assert (fake.streams, fake.begun, fake.ended) == (0, [], [])


def test_a_warm_up_tries_growing_batches_and_ends_all_sequences(fake: FakeTriton, open_fake: Opener) -> None:
    backend = open_fake(max_slots=5)
    assert [time.batch for time in backend.warm_up()] == [1, 2, 4, 5]
    backend.step(windows(1), [0])
    until_sync(lambda: len(fake.live) == 1, what="the end of the warm-up's sequences")


def test_memory_lies_at_the_server(fake: FakeTriton, open_fake: Opener) -> None:
    memory = open_fake(max_slots=3).memory
    assert (memory.device, memory.weights_bytes) == (fake.address, 1234)
    assert (memory.state_bytes_per_slot, memory.state_bytes_total) == (264, 792)


def test_a_server_must_be_named() -> None:
    with pytest.raises(ModelRejected, match="must be named, as host:port"):
        open_backend("asr", BackendSettings(kind=BackendKind.triton))


def test_the_settings_open_it(fake: FakeTriton) -> None:
    fake.config.CopyFrom(model_config())
    settings = BackendSettings(kind=BackendKind.triton, server=fake.address, max_slots=17)
    with pytest.raises(ModelRejected, match="17 slots are asked for"):
        load_backend("asr", settings)
