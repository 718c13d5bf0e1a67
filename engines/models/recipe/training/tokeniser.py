"""The tokeniser: 512 byte-pair pieces learned from the sentence domain; the blank comes after them.

python -m engines.models.recipe.training.tokeniser --out work/bpe
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import pairwise
from pathlib import Path

import sentencepiece

from engines.models.recipe.text.sentences import SentenceSource

SHIPPED_BPE = Path(__file__).parents[1] / "bpe.model"
BLANK = "<blk>"
_NUM_PIECES = 512  # 1.57 pieces per word; 256 would give 2.02, too dense for one output per 80 ms
_NUM_SENTENCES = 60_000
_SEED = 77


class Tokeniser:
    """Words to piece ids; id `blank` is one past the last piece."""

    def __init__(self, model: Path = SHIPPED_BPE) -> None:
        """Load a sentencepiece model."""
        self._pieces = sentencepiece.SentencePieceProcessor(model_file=str(model))
        self.blank = self._pieces.vocab_size()
        self.num_letters = [
            max(1, len(self._pieces.id_to_piece(token).replace("\u2581", ""))) for token in range(self.blank)
        ]

    @property
    def num_outputs(self) -> int:
        """Size of the network's last layer: pieces and blank."""
        return self.blank + 1

    def encode(self, text: str) -> list[int]:
        """Piece ids of a label; an empty label has none."""
        return self._pieces.encode(text)

    def decode(self, tokens: list[int]) -> str:
        """The label of piece ids."""
        return self._pieces.decode(tokens)

    def write_tokens(self, path: Path) -> None:
        """Write "piece id" lines, the blank last, as sherpa-onnx and NeMo exports have them."""
        lines = [f"{self._pieces.id_to_piece(token)} {token}" for token in range(self.blank)]
        path.write_text("\n".join([*lines, f"{BLANK} {self.blank}"]) + "\n", encoding="utf-8")


def outputs_needed(tokens: list[int]) -> int:
    """Fewest outputs CTC can spell these tokens with: one each, and a blank between equal neighbours."""
    return len(tokens) + sum(left == right for left, right in pairwise(tokens))


def train(out_prefix: Path, *, num_sentences: int = _NUM_SENTENCES, num_pieces: int = _NUM_PIECES) -> Path:
    """Learn the pieces; writes `<out_prefix>.model` and `.vocab` (about 2 s)."""
    source = SentenceSource(_SEED)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "sentences.txt")
        corpus.write_text("".join(f"{source.next().text}\n" for _ in range(num_sentences)), encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus),
            model_prefix=str(out_prefix),
            vocab_size=num_pieces,
            model_type="bpe",
            character_coverage=1.0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            unk_id=0,
            num_threads=1,
            minloglevel=1,
        )
    return out_prefix.with_name(out_prefix.name + ".model")


def main() -> None:
    """Learn the pieces and say how dense they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="prefix of the .model file")
    arguments = parser.parse_args()
    tokeniser = Tokeniser(train(arguments.out))
    source = SentenceSource(_SEED + 1)
    labels = [source.next().text for _ in range(5_000)]
    pieces_per_word = sum(len(tokeniser.encode(label)) for label in labels) / sum(
        len(label.split()) for label in labels
    )
    print(f"{tokeniser.blank} pieces, {pieces_per_word:.2f} per word")


if __name__ == "__main__":
    main()
