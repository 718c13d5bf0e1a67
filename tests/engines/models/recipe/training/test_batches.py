"""Batches of training."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
import torch

from engines.models.recipe.speech.features import DIGITAL_SILENCE
from engines.models.recipe.training.batches import BatchMaker, Corpus, batches_by_length
from engines.models.recipe.training.network import outputs_of
from engines.models.recipe.training.shards import make_shard
from engines.models.recipe.training.tokeniser import Tokeniser, outputs_needed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.recipe


@pytest.fixture(scope="module")
def corpus(shards: Path) -> Corpus:
    return Corpus(shards, Tokeniser())


def test_every_utterance_leaves_ctc_enough_outputs(corpus: Corpus) -> None:
    utterances = corpus.utterances()

    assert len(utterances) > 70
    for utterance in utterances:
        outputs = int(outputs_of(torch.tensor([utterance.num_frames])))
        assert outputs >= max(4, outputs_needed(list(utterance.tokens)))


def test_a_batch_never_exceeds_its_frames_and_none_is_lost(corpus: Corpus) -> None:
    utterances = corpus.utterances()
    batches = batches_by_length(utterances, Random(0), frames_per_batch=3_000)

    assert sorted(id(utterance) for batch in batches for utterance in batch) == sorted(map(id, utterances))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(utterance.num_frames for utterance in batch) <= 3_000


def test_rows_hold_lead_speech_and_silence_in_this_order(corpus: Corpus) -> None:
    utterances = corpus.utterances()[:40]
    batch = BatchMaker(feature_mean=torch.zeros(80), rng=Random(2)).make(utterances, masked_share=0.0)
    tails = 0
    for row, utterance, lead, total in zip(
        batch.features, utterances, batch.leads_frames, batch.num_frames.tolist(), strict=True
    ):
        end = lead + utterance.num_frames
        level = row[lead:end] - torch.from_numpy(utterance.features())
        assert level.std() < 1e-5
        assert abs(float(level.mean())) <= 1.5
        assert torch.allclose(row[:lead], row[lead].expand(lead, 80))
        assert (row[end:total] == torch.tensor(DIGITAL_SILENCE)).all()
        assert not row[total:].any()
        tails += total > end

    assert 5 <= tails <= 25
    assert batch.tokens.tolist() == [token for utterance in utterances for token in utterance.tokens]


def test_masks_set_bands_and_stretches_to_the_mean(corpus: Corpus) -> None:
    mean = torch.full((80,), 123.0)
    batch = BatchMaker(feature_mean=mean, rng=Random(0)).make(corpus.utterances()[:20], masked_share=1.0)

    masked = (batch.features == 123.0).float().mean(dim=(1, 2))
    assert masked.max() < 0.5
    assert (masked > 0).sum() >= 18


def test_a_shard_that_appears_later_joins_at_the_next_scan(tmp_path: Path) -> None:
    make_shard(tmp_path / "000", seed=1, festival=None, num_utterances=3, num_noises=0)
    corpus = Corpus(tmp_path, Tokeniser())
    before = len(corpus.utterances())
    make_shard(tmp_path / "001", seed=2, festival=None, num_utterances=3, num_noises=0)
    corpus.scan()

    assert corpus.num_shards == 2
    assert len(corpus.utterances()) > before


def test_a_folder_without_shards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Corpus(tmp_path, Tokeniser())


def test_statistics_whiten_the_features(corpus: Corpus) -> None:
    mean, inverse_spread = corpus.feature_statistics()
    frames = torch.cat([torch.from_numpy(utterance.features()) for utterance in corpus.utterances()])
    whitened = (frames - mean) * inverse_spread

    assert whitened.mean().abs() < 0.1
    assert whitened.std() == pytest.approx(1.0, abs=0.1)
