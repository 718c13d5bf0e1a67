"""Folders of labelled recordings."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engines.models.recipe.shipping.labelled_wavs import read_folder, write_index, write_wav

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    samples = np.array([0, 1, -32_768, 32_767], np.int16)
    write_wav(tmp_path / "one.wav", samples)
    write_index(tmp_path, [{"file": "one.wav", "text": "hello", "voice": "slt", "set": "clean"}])

    (wav,) = read_folder(tmp_path)

    assert (wav.set_name, wav.text, wav.voice) == ("clean", "hello", "slt")
    assert np.array_equal(wav.samples() * 32_768, samples)


def test_a_row_without_a_set_belongs_to_the_folder(tmp_path: Path) -> None:
    write_index(tmp_path, [{"file": "one.wav", "text": "hello", "voice": "slt"}])

    assert read_folder(tmp_path)[0].set_name == tmp_path.name


def test_a_file_of_another_rate_is_refused(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "one.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(b"\0\0")
    write_index(tmp_path, [{"file": "one.wav", "text": "hello", "voice": "slt"}])

    with pytest.raises(ValueError, match="16 kHz"):
        read_folder(tmp_path)[0].samples()
