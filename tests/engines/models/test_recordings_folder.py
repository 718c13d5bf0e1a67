"""The shipped recordings are what their index says and what the embedded model recognises."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import engines.models
from engines.models.recipe.shipping.decoder import GreedyDecoder
from engines.models.recipe.shipping.labelled_wavs import read_folder

pytestmark = pytest.mark.integration

RECORDINGS = Path(engines.models.__file__).parent / "recordings"
ROWS = json.loads((RECORDINGS / "transcripts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def decoder() -> GreedyDecoder:
    return GreedyDecoder(RECORDINGS.parent / "embedded")


def test_the_index_lists_every_file_and_no_other() -> None:
    assert {row["file"] for row in ROWS} == {path.name for path in RECORDINGS.glob("*.wav")}


def test_recordings_have_room_before_and_after_speech_and_stay_small() -> None:
    for wav, row in zip(read_folder(RECORDINGS), ROWS, strict=True):
        assert row["audio_ms"] == len(wav.samples()) // 16
        assert row["sentences"][0]["start_ms"] >= 300
        assert row["audio_ms"] - row["sentences"][-1]["end_ms"] >= 500
        assert " ".join(sentence["text"] for sentence in row["sentences"]) == row["text"]
    assert sum(path.stat().st_size for path in RECORDINGS.glob("*.wav")) < 4_000_000


def test_one_recording_pauses_long_enough_for_endpointing() -> None:
    (dialogue,) = (row for row in ROWS if len(row["sentences"]) > 1)
    spans = [(sentence["start_ms"], sentence["end_ms"]) for sentence in dialogue["sentences"]]
    pauses_ms = [start_ms - end_ms for (_, end_ms), (start_ms, _) in pairwise(spans)]

    assert 20_000 <= dialogue["audio_ms"] <= 30_000
    assert all(1_000 <= pause_ms <= 1_501 for pause_ms in pauses_ms)


def test_never_trained_voices_are_among_them() -> None:
    assert sum(not row["trained_on"] for row in ROWS) >= 6


@pytest.mark.parametrize("lead_ms", [0, 80, 200])
def test_recordings_marked_exact_are_recognised_exactly_whatever_their_phase(
    decoder: GreedyDecoder, lead_ms: int
) -> None:
    lead = np.zeros(16 * lead_ms, np.float32)
    for wav, row in zip(read_folder(RECORDINGS), ROWS, strict=True):
        text = decoder.decode(np.concatenate([lead, wav.samples()])).text
        if row["exact"]:
            assert text == wav.text, row["file"]


def test_the_others_are_kept_with_their_errors(decoder: GreedyDecoder) -> None:
    unlike = {
        row["file"]
        for wav, row in zip(read_folder(RECORDINGS), ROWS, strict=True)
        if decoder.decode(wav.samples()).text != wav.text
    }

    assert unlike == {row["file"] for row in ROWS if not row["exact"]}
