"""Makes the test sets: fresh sentences, trained and never-trained voices, clean, augmented, noisy and by telephone.

python -m engines.models.recipe.shipping.test_sets --out work/test --sentences 40 --shards work/shards
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from engines.models.recipe.shipping.labelled_wavs import write_index, write_wav
from engines.models.recipe.speech.augmentation import Augmenter, over_a_plain_telephone, with_noise_at
from engines.models.recipe.speech.festival import Festival
from engines.models.recipe.speech.noise import NoiseBank
from engines.models.recipe.speech.utterances import Studio, to_pcm16
from engines.models.recipe.speech.voices import (
    ACCENTS,
    HELD_OUT_VARIANTS,
    SYNTHESISER_SHARES,
    UtteranceSpec,
    draw_espeak_manner,
    draw_utterance,
    plain_utterance,
)
from engines.models.recipe.text.sentences import Sentence, SentenceSource
from engines.models.recipe.training.shards import finished_shards, read_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Change = Callable[[NDArray[np.float32]], NDArray[np.float32]]

VOICE_SEED = 990_001
TEXT_SEED = 424_242
_LONGEST_WORDS = 14
# What the sentences of a set are, when they are all of one kind.
_KINDS = {
    "digits": "{digits 3 8}",
    "numbers": "{any_number}",
    "money": "{money}",
    "times and dates": "[{clock}|{date}]",
    "commands": "{command}",
    "free sentences": "{free_sentence}",
}
_TEN_DB_NOISES = ("coloured 0", "coloured 1", "babble of 3", "babble of 6")


class TestSetMaker:
    """Draws sentences that training has not seen, and speaks them."""

    __test__ = False  # pytest would take the name for a test class

    def __init__(self, *, seen_texts: set[str], festival: Festival | None) -> None:
        """Set up voices and noises; without a Festival its voices are left out."""
        self._seen = seen_texts
        self._sentences = SentenceSource(TEXT_SEED)
        self._rng, self._dice = Random(VOICE_SEED), np.random.default_rng(VOICE_SEED)
        self._studio = Studio(festival or Festival())
        self._has_festival = festival is not None
        self._noises = NoiseBank(
            studio=self._studio, sentences=SentenceSource(VOICE_SEED), rng=self._rng, dice=self._dice
        )
        self._augmenter = Augmenter(noises=self._noises, rng=self._rng, dice=self._dice)

    def make_all(self, folder: Path, *, num_sentences: int) -> list[dict[str, str]]:
        """Write every set; the plain trained voices get half as many sentences. Gives the rows of the index."""
        whole, half = num_sentences, (num_sentences + 1) // 2
        plans: list[tuple[str, list[UtteranceSpec], Change]] = [
            ("trained voices, clean", self._trained(whole), self._at_some_level),
            ("trained voices, augmented as in training", self._trained(whole), self._augmenter.apply),
            ("trained voices, 10 dB noise", self._trained(whole), self._in_ten_db_noise),
            ("trained voices, telephone", self._trained(whole), self._by_telephone),
            ("flite slt", self._plain("slt", half), self._at_some_level),
            ("flite awb", self._plain("awb", half), self._at_some_level),
            ("espeak en-us", self._plain("espeak", half, voice="en-us"), self._at_some_level),
            ("never trained: flite rms", self._plain("rms", whole), self._at_some_level),
            ("never trained: flite rms, 10 dB noise", self._plain("rms", whole), self._in_ten_db_noise),
            ("never trained: espeak variants", self._held_out_variants(whole), self._at_some_level),
        ]
        if self._has_festival:
            plans.append(("never trained: festival ked", self._plain("ked", whole), self._at_some_level))
        for kind, template in _KINDS.items():
            plans += [
                (f"{kind}: trained voices", self._trained(half, template), self._at_some_level),
                (f"{kind}: espeak variants", self._held_out_variants(half, template), self._at_some_level),
            ]
        folder.mkdir(parents=True, exist_ok=True)
        return [row for name, specs, change in plans for row in self._write(folder, name, specs, change)]

    def _write(
        self, folder: Path, set_name: str, specs: Sequence[UtteranceSpec], change: Change
    ) -> list[dict[str, str]]:
        rows = []
        for spec, samples in self._studio.record(specs, self._rng):
            name = f"{''.join(letter if letter.isalnum() else '_' for letter in set_name)}_{len(rows):03d}.wav"
            write_wav(folder / name, to_pcm16(change(samples)))
            rows.append({"file": name, "set": set_name, "text": spec.text, "voice": spec.voice})
        return rows

    def _sentence(self, template: str = "{sentence}") -> Sentence:
        while True:
            sentence = self._sentences.of(template)
            if sentence.text not in self._seen and len(sentence.text.split()) <= _LONGEST_WORDS:
                return sentence

    def _trained(self, count: int, template: str = "{sentence}") -> list[UtteranceSpec]:
        shares = {name: share for name, share in SYNTHESISER_SHARES.items() if self._has_festival or name != "hts"}
        drawn = self._rng.choices(tuple(shares), tuple(shares.values()), k=count)
        return [
            draw_utterance(self._rng, self._sentences, synthesiser=synthesiser, sentence=self._sentence(template))
            for synthesiser in drawn
        ]

    def _plain(self, synthesiser: str, count: int, *, voice: str | None = None) -> list[UtteranceSpec]:
        return [plain_utterance(synthesiser, voice or synthesiser, self._sentence()) for _ in range(count)]

    def _held_out_variants(self, count: int, template: str = "{sentence}") -> list[UtteranceSpec]:
        return [
            UtteranceSpec(
                synthesiser="espeak",
                voice=f"{self._rng.choice(ACCENTS)}+{self._rng.choice(HELD_OUT_VARIANTS)}",
                sentences=(self._sentence(template),),
                manner=draw_espeak_manner(self._rng),
            )
            for _ in range(count)
        ]

    def _at_some_level(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return samples * np.float32(self._rng.uniform(0.1, 0.9))

    def _in_ten_db_noise(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return with_noise_at(samples, self._noises, self._rng, names=_TEN_DB_NOISES, below_db=10)

    def _by_telephone(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return over_a_plain_telephone(samples, self._dice)


def texts_of_shards(folder: Path) -> set[str]:
    """Every label that training has seen."""
    return {row.text for stem in finished_shards(folder) for row in read_shard(stem)[1]}


def main() -> None:
    """Make the test sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sentences", type=int, default=120, help="of most sets")
    parser.add_argument("--shards", type=Path, help="leave out the sentences of this training data")
    parser.add_argument("--festival", default="festival", help="the program, or a wrapper that starts it")
    parser.add_argument("--without-festival", action="store_true")
    arguments = parser.parse_args()
    maker = TestSetMaker(
        seen_texts=texts_of_shards(arguments.shards) if arguments.shards else set(),
        festival=None if arguments.without_festival else Festival(arguments.festival),
    )
    rows = maker.make_all(arguments.out, num_sentences=arguments.sentences)
    write_index(arguments.out, rows)
    print(f"{len(rows)} files in {arguments.out}")


if __name__ == "__main__":
    main()
