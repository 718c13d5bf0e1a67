"""Festival by batch process; a small program stands in for it, so that these run where it is not installed."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import pytest

from engines.models.recipe.speech.espeak import SynthesiserMissing
from engines.models.recipe.speech.festival import Festival

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.recipe


def stand_in(folder: Path, *, speaks: bool) -> Festival:
    """A program that keeps the script it is given, and writes a WAV file for the first line only."""
    with wave.open(str(folder / "said.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(b"\1\0" * 1_600)
    program = folder / "festival"
    speak = f'cp {folder}/said.wav "$(dirname "$2")/0.wav"' if speaks else "echo no such voice >&2"
    program.write_text(f'#!/bin/sh\ncp "$2" {folder}/script.scm\n{speak}\n')
    program.chmod(0o755)
    return Festival(str(program))


def test_a_line_that_failed_comes_back_as_none(tmp_path: Path) -> None:
    first, second = stand_in(tmp_path, speaks=True).say_all([("one", 1.0), ("two", 1.25)], voice="hts")

    assert second is None
    assert first is not None
    assert (len(first[0]), first[1]) == (1_600, 16_000)


def test_the_script_asks_for_the_voice_and_each_line_with_its_tempo(tmp_path: Path) -> None:
    stand_in(tmp_path, speaks=True).say_all([("one", 1.0), ("two", 1.25)], voice="ked")
    script = (tmp_path / "script.scm").read_text()

    assert script.startswith("(voice_ked_diphone)")
    assert '(Utterance Text "two")' in script
    assert "'Duration_Stretch 1.25)" in script


def test_a_voice_that_says_nothing_at_all_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SynthesiserMissing, match="no such voice"):
        stand_in(tmp_path, speaks=False).say_all([("one", 1.0)], voice="hts")


def test_a_program_that_is_not_installed_is_named() -> None:
    with pytest.raises(SynthesiserMissing, match="no-such-festival"):
        Festival("no-such-festival").say_all([("one", 1.0)], voice="hts")


def test_no_lines_start_no_program() -> None:
    assert Festival("no-such-festival").say_all([], voice="hts") == []
