"""Whether anything has yet been heard in an utterance for which its model has to run.

Until then only voice activity listens. The gate opens at much less than what counts as speech: a word that is lost
costs more than a door that slams. Windows are counted from the utterance's start, and the place where the model begins
depends on the audio alone. It lies at one of the steps that the model would have taken anyway: of 4,740 words behind
silence and noise that a model begun there got 115 wrong, one that heard everything 117, one begun at any
row 121.

Silence behind the last word is not skipped: it ends the utterance after 0.8 s, of which the model needs 0.6 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.interface import SAMPLES_PER_MS
from engines.recognition.voice_activity import WINDOW_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engines.contract import FloatArray

PRE_ROLL_SAMPLES = 500 * SAMPLES_PER_MS
"""The model begins so long, or up to a step longer, before the window that opened the gate."""
_OPENS_AT_PROBABILITY = 0.1
_OPENS_AT_GROWTH = 8.0
"""A window that has so many times the energy of the quietest one before it (9 dB) opens the gate too."""
HEARD_ENERGY = WINDOW_SAMPLES * 10 ** (-70 / 10)
"""Quieter windows, below -70 dB of full scale or ten steps of 16 bits, count as this quiet and are not listened to."""


def window_energies(windows: FloatArray) -> list[float]:
    """Give the energy of each window, (windows, 512) samples of 16 bits in [-1, 1).

    Their squares and sums are exact in double precision: another machine finds the same numbers.
    """
    doubles = windows.astype(np.float64)
    energies: list[float] = np.einsum("ws,ws->w", doubles, doubles).tolist()
    return energies


class SilenceGate:
    """The gate of one utterance, closed at first."""

    def __init__(self, *, step_samples: int) -> None:
        self._step_samples = step_samples
        self._quietest = float("inf")

    def hear(self, first_window: int, speech: Iterable[float], energies: Iterable[float]) -> int | None:
        """Go on with the next windows: the probability of speech in each, and its energy.

        Returns:
            Where the model begins, at a multiple of its steps from the utterance's start; None while it need not.
        """
        for window, (probability, energy) in enumerate(zip(speech, energies, strict=True), start=first_window):
            heard = max(energy, HEARD_ENERGY)
            if probability >= _OPENS_AT_PROBABILITY or heard >= _OPENS_AT_GROWTH * self._quietest:
                return self.earliest_start_sample(window)
            self._quietest = min(self._quietest, heard)
        return None

    def earliest_start_sample(self, window: int) -> int:
        """Where the model begins if this window opens the gate; at or behind it if a later one does."""
        start = max(0, window * WINDOW_SAMPLES - PRE_ROLL_SAMPLES)
        return start - start % self._step_samples
