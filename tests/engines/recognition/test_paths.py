"""Each stream gets the decoder that its model and its options ask for."""

from __future__ import annotations

import pytest

from engines.contract import ModelContract
from engines.interface import StreamOptions
from engines.recognition.decoding import GreedyPath
from engines.recognition.paths import ctc_paths
from engines.recognition.words import Spelling

pytestmark = pytest.mark.unit

SPELLING = Spelling(
    ModelContract(
        name="m",
        version="0",
        language="en",
        window_frames=39,
        shift_frames=32,
        subsampling=8,
        feature_dim=80,
        vocab_size=1,
        blank_id=1,
        cache_channel_shape=(1, 1, 1),
        cache_time_shape=(1, 1, 1),
        tokens=("\u2581on", "<blk>"),
    )
)


def test_a_plain_stream_is_decoded_greedily() -> None:
    new_path = ctc_paths(SPELLING, StreamOptions())
    first, second = new_path(), new_path()
    assert isinstance(first, GreedyPath)
    assert first is not second
