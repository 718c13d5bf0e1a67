"""The test sets."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from engines.models.recipe.shipping.labelled_wavs import read_folder, write_index
from engines.models.recipe.shipping.test_sets import TestSetMaker, texts_of_shards
from engines.models.recipe.speech.voices import HELD_OUT_VARIANTS
from engines.models.recipe.training.shards import make_shard, read_shard

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_index(folder, TestSetMaker(seen_texts=set(), festival=None).make_all(folder, num_sentences=4))
    return folder


def test_every_set_has_its_sentences_and_readable_files(folder: Path) -> None:
    sets = Counter(wav.set_name for wav in read_folder(folder))

    assert len(sets) == 22
    assert sets["trained voices, clean"] == 4
    assert sets["flite slt"] == 2
    assert all(len(wav.samples()) > 8_000 for wav in read_folder(folder))


def test_held_out_sets_hold_only_held_out_voices(folder: Path) -> None:
    for wav in read_folder(folder):
        if wav.set_name == "never trained: flite rms":
            assert wav.voice == "rms"
        if wav.set_name.endswith("espeak variants"):
            assert wav.voice.partition("+")[2] in HELD_OUT_VARIANTS


def test_sentences_of_training_are_left_out(folder: Path, tmp_path: Path) -> None:
    seen = {wav.text for wav in read_folder(folder)}

    other = TestSetMaker(seen_texts=seen, festival=None).make_all(tmp_path, num_sentences=4)

    assert not seen & {row["text"] for row in other}


def test_the_texts_of_shards_are_all_their_labels(tmp_path: Path) -> None:
    make_shard(tmp_path / "000", seed=1, festival=None, num_utterances=3, num_noises=1)

    assert texts_of_shards(tmp_path) == {row.text for row in read_shard(tmp_path / "000")[1]}
