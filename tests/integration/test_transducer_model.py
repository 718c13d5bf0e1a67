"""A region whose engine runs a transducer: the same session, the same kinds of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gateway.wire.messages import Start
from tests.harness.caller import transcribe
from tests.harness.recordings import pcm_of, pieces_of
from tests.models.lstm_transducer import LstmTransducer
from tests.models.transducer_parts import Joint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.region import Region

pytestmark = pytest.mark.integration


async def test_a_region_with_a_transducer_answers_and_tells_what_it_cannot_do(
    new_region: Callable[..., Region], tmp_path: Path
) -> None:
    folder = LstmTransducer(shift_frames=16, joint=Joint(blank_bias=7.0)).write(tmp_path / "random-lstm")
    region = new_region("--model", str(folder))
    callers = [await transcribe(region, pieces_of(pcm_of("timer_rms.wav")), start=Start()) for _ in range(2)]
    assert all(caller.is_finished for caller in callers)
    assert callers[0].words
    assert callers[0].words == callers[1].words
    refused = await transcribe(region, pieces_of(pcm_of("timer_rms.wav")), start=Start(decoding="beam"))
    assert refused.error is not None
    assert "greedy" in refused.error.message
