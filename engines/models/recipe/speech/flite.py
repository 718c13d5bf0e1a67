"""flite's English voices inside this process, through ctypes: slt, awb and rms are natural, kal and kal16 diphones."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np

from engines.models.recipe.speech.espeak import SynthesiserMissing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FLITE_VOICES = ("slt", "awb", "rms", "kal16", "kal")


class _Wave(ctypes.Structure):
    """cst_wave of cst_wave.h."""

    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


class _Voice(ctypes.Structure):
    """The first two members of cst_voice of cst_voice.h; the rest is never touched from here."""

    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))


class Flite:
    """Voices are loaded once and keep the features that were set last, so every call sets all of them.

    The natural voices draw their breath from C's `rand`: as with espeak-ng, only whole runs repeat sample by sample.
    """

    def __init__(self, voices: Sequence[str] = FLITE_VOICES) -> None:
        """Load the library and register the voices.

        Raises:
            SynthesiserMissing: the library or a voice is not installed.
        """
        self._library = _load("libflite.so.1")
        for part in ("libflite_usenglish.so.1", "libflite_cmulex.so.1"):
            _load(part)
        self._library.flite_init()
        self._library.flite_text_to_wave.restype = ctypes.POINTER(_Wave)
        self._library.flite_text_to_wave.argtypes = [ctypes.c_char_p, ctypes.POINTER(_Voice)]
        self._library.delete_wave.argtypes = [ctypes.POINTER(_Wave)]
        self._library.feat_set_float.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_float]
        self._voices = {voice: _register(voice) for voice in voices}

    def say(
        self, spoken: str, *, voice: str, duration_stretch: float = 1.0, mean_pitch_hz: float
    ) -> tuple[NDArray[np.int16], int]:
        """Speak; `duration_stretch` above 1 is slower.

        Returns:
            (num_samples,) int16 mono, and its sample rate in Hz (16000; kal: 8000).

        Raises:
            KeyError: the voice was not asked for at construction.
        """
        registered = self._voices[voice]
        features = registered.contents.features
        self._library.feat_set_float(features, b"duration_stretch", duration_stretch)
        self._library.feat_set_float(features, b"int_f0_target_mean", mean_pitch_hz)
        wave = self._library.flite_text_to_wave(spoken.encode(), registered)
        try:
            shape = (wave.contents.num_samples,)
            return np.ctypeslib.as_array(wave.contents.samples, shape).copy(), wave.contents.sample_rate
        finally:
            self._library.delete_wave(wave)


def _load(name: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)  # flite's parts look each other up by name
    except OSError as error:
        raise SynthesiserMissing(name) from error


def _register(voice: str) -> ctypes._Pointer[_Voice]:
    register = getattr(_load(f"libflite_cmu_us_{voice}.so.1"), f"register_cmu_us_{voice}")
    register.restype = ctypes.POINTER(_Voice)
    register.argtypes = [ctypes.c_char_p]
    return register(None)
