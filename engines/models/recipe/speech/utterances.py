"""The studio: turns utterance specifications into waveforms with leads, pauses and tails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soxr

from engines.models.recipe.speech.espeak import Espeak
from engines.models.recipe.speech.features import SAMPLE_RATE_HZ
from engines.models.recipe.speech.festival import FESTIVAL_VOICES, Festival
from engines.models.recipe.speech.flite import Flite

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from numpy.typing import NDArray

    from engines.models.recipe.speech.voices import UtteranceSpec

    # (num_samples,) int16 as a synthesiser gave it, and its sample rate in Hz.
    Take = tuple[NDArray[np.int16], int]

_SPEECH_FLOOR = 0.01  # of the peak; what is quieter at either end is cut
_KEEP_BEFORE_SAMPLES = 400
_KEEP_AFTER_SAMPLES = 800
_SHORTEST_TAKE_SAMPLES = 800

# Ranges of the silence around and between sentences, in seconds.
TRAINING_LEAD_S = (0.03, 0.5)
TRAINING_PAUSE_S = (0.25, 1.8)
TRAINING_TAIL_S = (0.1, 0.8)


class Studio:
    """All synthesisers of one process; Festival is started per batch and only if a voice of its is asked for."""

    def __init__(self, festival: Festival) -> None:
        """Load espeak-ng and flite.

        Raises:
            SynthesiserMissing: either is not installed.
        """
        self._espeak = Espeak()
        self._flite = Flite()
        self._festival = festival

    def record(
        self, specs: Sequence[UtteranceSpec], rng: Random
    ) -> Iterator[tuple[UtteranceSpec, NDArray[np.float32]]]:
        """Yield each utterance with its waveform at 16 kHz, each sentence's peak at 1.0, before any noise.

        Utterances that a synthesiser could not speak are left out.
        """
        by_festival = self._say_by_festival(specs)
        for index, spec in enumerate(specs):
            takes = by_festival.get(index) or [self.say(spec, sentence.spoken) for sentence in spec.sentences]
            if any(take is None or len(take[0]) < _SHORTEST_TAKE_SAMPLES for take in takes):
                continue
            sentences = [spoken_part(take, resampling_ratio=spec.resampling_ratio) for take in takes if take]
            if all(len(sentence) for sentence in sentences):
                yield spec, assemble(sentences, rng)

    def say(self, spec: UtteranceSpec, spoken: str) -> Take:
        """Speak words in the voice and manner of the specification, by espeak or flite."""
        if spec.synthesiser == "espeak":
            return self._espeak.say(spoken, voice=spec.voice, manner=spec.manner)
        return self._flite.say(
            spoken,
            voice=spec.synthesiser,
            duration_stretch=spec.duration_stretch,
            mean_pitch_hz=spec.mean_pitch_hz or 0.0,
        )

    def _say_by_festival(self, specs: Sequence[UtteranceSpec]) -> dict[int, list[Take | None]]:
        """Takes by the index of their utterance, one Festival process per voice."""
        takes: dict[int, list[Take | None]] = {}
        for voice in FESTIVAL_VOICES:
            indexes = [
                (index, sentence.spoken)
                for index, spec in enumerate(specs)
                if spec.synthesiser == voice
                for sentence in spec.sentences
            ]
            lines = [(spoken, specs[index].duration_stretch) for index, spoken in indexes]
            for (index, _), take in zip(indexes, self._festival.say_all(lines, voice=voice), strict=True):
                takes.setdefault(index, []).append(take)
        return takes


def spoken_part(take: Take, *, resampling_ratio: float = 1.0) -> NDArray[np.float32]:
    """Bring a take to 16 kHz, cut the silence around it, and put its peak at 1.0; empty when the take is silent."""
    raw, sample_rate_hz = take
    samples = raw.astype(np.float32) / 32_768
    if sample_rate_hz * resampling_ratio != SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, sample_rate_hz * resampling_ratio, SAMPLE_RATE_HZ, quality="MQ")
    level = np.abs(samples)
    peak = float(level.max(initial=0.0))
    if peak <= 0.0:
        return np.zeros(0, np.float32)
    loud = np.flatnonzero(level > _SPEECH_FLOOR * peak)
    start, end = max(0, loud[0] - _KEEP_BEFORE_SAMPLES), loud[-1] + _KEEP_AFTER_SAMPLES
    return samples[start:end] / peak


def assemble(sentences: Sequence[NDArray[np.float32]], rng: Random) -> NDArray[np.float32]:
    """Join sentences with a random lead, random pauses and a random tail of digital silence."""
    parts = [silence(rng.uniform(*TRAINING_LEAD_S))]
    for index, sentence in enumerate(sentences):
        if index:
            parts.append(silence(rng.uniform(*TRAINING_PAUSE_S)))
        parts.append(sentence)
    parts.append(silence(rng.uniform(*TRAINING_TAIL_S)))
    return np.concatenate(parts)


def silence(seconds: float) -> NDArray[np.float32]:
    """Digital silence at 16 kHz."""
    return np.zeros(int(SAMPLE_RATE_HZ * seconds), np.float32)


def to_pcm16(samples: NDArray[np.floating]) -> NDArray[np.int16]:
    """Quantise [-1, 1] to int16, clipping what is outside."""
    return np.round(np.clip(samples, -1, 1) * 32_767).astype(np.int16)
