"""A real Triton server dies, falls silent, comes back, or gets another model, under live streams."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.backends.step_times import speech_like
from engines.backends.triton.entry_config import EntryOptions
from engines.backends.triton.repository import write_entry
from engines.errors import BackendFailed
from tests.harness.waiting import until_sync

if TYPE_CHECKING:
    from collections.abc import Callable

    from engines.backends.triton.backend import TritonBackend
    from engines.contract import FloatArray
    from tests.harness.triton import Triton

    Opener = Callable[..., TritonBackend]
    Starter = Callable[..., Triton]

pytestmark = [pytest.mark.triton, pytest.mark.alone]

ROWS = 3


@pytest.fixture
def repository(tmp_path: Path, written_repository: Path) -> Path:
    return Path(shutil.copytree(written_repository, tmp_path / "repository"))


def goes_through(backend: TritonBackend, rows: FloatArray) -> bool:
    try:
        backend.step(rows, range(ROWS))
    except BackendFailed:
        return False
    return True


def test_streams_of_a_killed_server_fail_at_once_and_begin_anew_when_it_is_back(
    repository: Path, new_triton: Starter, open_triton: Opener
) -> None:
    server = new_triton(repository)
    backend = open_triton(server.address, "asr", max_slots=ROWS)
    rows = speech_like(backend.contract, rows=ROWS)
    first = backend.step(rows, range(ROWS))
    server.kill()
    began_at_s = time.monotonic()
    for _ in range(5):
        with pytest.raises(BackendFailed):
            backend.step(rows, range(ROWS))
    assert time.monotonic() - began_at_s < 5
    server.start()
    until_sync(lambda: goes_through(backend, rows), what="a step after the restart")
    for slot in range(ROWS):
        backend.reset(slot)
    assert np.array_equal(backend.step(rows, range(ROWS)), first)


def test_a_server_that_was_killed_between_two_steps_loses_its_streams_only(
    repository: Path, new_triton: Starter, open_triton: Opener
) -> None:
    """A stream that begins after the restart is none of them."""
    server = new_triton(repository)
    backend = open_triton(server.address, "asr", max_slots=ROWS)
    rows = speech_like(backend.contract, rows=1)
    first = backend.step(rows, [0])
    server.kill()
    server.start()

    def begins() -> bool:
        try:
            return np.array_equal(backend.step(rows, [1]), first)
        except BackendFailed:
            return False

    until_sync(begins, what="a new stream")
    with pytest.raises(BackendFailed, match="START flag"):
        backend.step(rows, [0])


def test_a_silent_server_fails_its_streams_in_time_and_is_used_again_when_it_speaks(
    repository: Path, new_triton: Starter, open_triton: Opener
) -> None:
    server = new_triton(repository)
    backend = open_triton(server.address, "asr", max_slots=ROWS, step_timeout_s=2.0)
    rows = speech_like(backend.contract, rows=ROWS)
    until_sync(lambda: goes_through(backend, rows), what="a first step")
    server.pause()
    began_at_s = time.monotonic()
    with pytest.raises(BackendFailed, match=r"did not answer 3 of 3 streams within 2\.0 s"):
        backend.step(rows, range(ROWS))
    with pytest.raises(BackendFailed):
        backend.step(rows, range(ROWS))
    assert time.monotonic() - began_at_s < 10
    server.resume()
    until_sync(lambda: goes_through(backend, rows), what="a step after the silence")


def test_no_sequence_stays_behind_after_failures(repository: Path, new_triton: Starter, open_triton: Opener) -> None:
    """Each failed step leaves three sequences; there is room for sixteen."""
    server = new_triton(repository)
    backend = open_triton(server.address, "asr", max_slots=ROWS, step_timeout_s=0.3)
    rows = speech_like(backend.contract, rows=ROWS)
    for _ in range(8):
        until_sync(lambda: goes_through(backend, rows), what="a step")
        server.pause()
        assert not goes_through(backend, rows)
        server.resume()
    until_sync(lambda: goes_through(backend, rows), what="a last step")


def test_streams_do_not_go_on_with_a_model_that_was_exchanged(
    repository: Path, new_triton: Starter, open_triton: Opener, embedded: Path, tmp_path: Path
) -> None:
    server = new_triton(repository, is_explicit=True)
    server.load("asr")
    backend = open_triton(server.address, "asr", max_slots=ROWS)
    rows = speech_like(backend.contract, rows=ROWS)
    backend.step(rows, range(ROWS))
    other = tmp_path / "other"
    shutil.copytree(embedded, other)
    with (other / "model.onnx").open("ab") as file:
        file.write(b"\x72\x08\x0a\x02by\x12\x02us")  # one more entry of the metadata: another digest
    write_entry(other, repository, EntryOptions(sequences=16), name="asr")
    server.load("asr")
    for _ in range(3):
        with pytest.raises(BackendFailed):
            backend.step(rows, range(ROWS))
    anew = open_triton(server.address, "asr", max_slots=ROWS)
    assert anew.contract.version != backend.contract.version
    anew.step(rows, range(ROWS))
