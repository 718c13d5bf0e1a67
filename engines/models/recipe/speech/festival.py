"""Festival by one batch process for many sentences: its start costs more than its speech."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile

from engines.models.recipe.speech.espeak import SynthesiserMissing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

# Our name -> Festival's. "hts" is slt by hidden Markov models, trained on; "ked" is a diphone voice, never trained on.
FESTIVAL_VOICES = {"hts": "cmu_us_slt_arctic_hts", "ked": "ked_diphone"}


@dataclass(frozen=True, slots=True)
class Festival:
    """Where Festival lies.

    Attributes:
        program: the executable; a wrapper script serves for a Festival that is unpacked somewhere else.
    """

    program: str = "festival"

    def say_all(self, lines: Sequence[tuple[str, float]], *, voice: str) -> list[tuple[NDArray[np.int16], int] | None]:
        """Speak (words, duration stretch) lines in one process.

        Returns:
            For each line (num_samples,) int16 and its sample rate in Hz, or None where Festival failed on the line.

        Raises:
            SynthesiserMissing: no Festival, or no such voice: not one line came out.
        """
        if not lines:
            return []
        if shutil.which(self.program) is None:
            raise SynthesiserMissing(self.program)
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder, "say.scm")
            script.write_text(_script(lines, voice=FESTIVAL_VOICES[voice], folder=Path(folder)))
            done = subprocess.run([self.program, "-b", str(script)], capture_output=True, text=True, check=False)
            spoken = [_read(Path(folder, f"{index}.wav")) for index in range(len(lines))]
        if all(line is None for line in spoken):
            raise SynthesiserMissing(f"festival voice {voice}: {done.stderr[-400:]}")
        return spoken


def _script(lines: Sequence[tuple[str, float]], *, voice: str, folder: Path) -> str:
    """Scheme for Festival; the words hold only letters, spaces and apostrophes, so they need no quoting."""
    commands = [f"(voice_{voice})"]
    for index, (words, stretch) in enumerate(lines):
        commands += [
            f"(Parameter.set 'Duration_Stretch {stretch:.2f})",
            f'(set! line (Utterance Text "{words}"))',
            "(utt.synth line)",
            f'(utt.save.wave line "{folder / f"{index}.wav"}" \'riff)',
        ]
    return "\n".join(commands)


def _read(path: Path) -> tuple[NDArray[np.int16], int] | None:
    if not path.exists():
        return None
    samples, sample_rate_hz = soundfile.read(path, dtype="int16")
    return samples, sample_rate_hz
