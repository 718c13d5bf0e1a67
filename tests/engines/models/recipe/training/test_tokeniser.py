"""Pieces and tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

import engines.models
from engines.models.recipe.text.sentences import SentenceSource
from engines.models.recipe.training.tokeniser import SHIPPED_BPE, Tokeniser, outputs_needed, train

pytestmark = pytest.mark.recipe


def test_every_label_of_the_domain_comes_back_unchanged() -> None:
    tokeniser, source = Tokeniser(), SentenceSource(11)
    for _ in range(2_000):
        text = source.next().text

        assert tokeniser.decode(tokeniser.encode(text)) == text


def test_the_shipped_tokens_are_those_of_the_shipped_pieces(tmp_path: Path) -> None:
    Tokeniser().write_tokens(tmp_path / "tokens.txt")
    shipped = Path(engines.models.__file__).parent / "embedded" / "tokens.txt"

    assert (tmp_path / "tokens.txt").read_bytes() == shipped.read_bytes()


def test_the_blank_comes_last() -> None:
    tokeniser = Tokeniser(SHIPPED_BPE)

    assert (tokeniser.blank, tokeniser.num_outputs, len(tokeniser.num_letters)) == (512, 513, 512)


def test_a_blank_must_stand_between_equal_tokens() -> None:
    assert outputs_needed([]) == 0
    assert outputs_needed([3, 4, 3]) == 3
    assert outputs_needed([3, 3, 3]) == 5


def test_pieces_can_be_learned_anew(tmp_path: Path) -> None:
    tokeniser = Tokeniser(train(tmp_path / "small", num_sentences=2_000, num_pieces=128))

    assert tokeniser.num_outputs == 129
    assert tokeniser.decode(tokeniser.encode("set the volume to ten")) == "set the volume to ten"
