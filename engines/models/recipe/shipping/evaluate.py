"""Word error rates per set, and whether sherpa-onnx gives the same texts.

python -m engines.models.recipe.shipping.evaluate --model engines/models/embedded --data engines/models/recordings
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import jiwer

from engines.models.recipe.shipping.decoder import GreedyDecoder
from engines.models.recipe.shipping.labelled_wavs import read_folder
from engines.models.recipe.shipping.sherpa import SherpaRecogniser

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class SetResult:
    """What one test set gave.

    Attributes:
        words: of the references.
        errors: substitutions, deletions and insertions.
        exact: sentences without an error.
    """

    name: str
    sentences: int
    words: int
    errors: int
    exact: int

    @property
    def word_error_rate(self) -> float:
        """Errors per word of the references."""
        return self.errors / self.words


def score(name: str, said_and_heard: Sequence[tuple[str, str]]) -> SetResult:
    """Count the errors of (reference, hypothesis) pairs."""
    measured = jiwer.process_words([said for said, _ in said_and_heard], [heard for _, heard in said_and_heard])
    return SetResult(
        name=name,
        sentences=len(said_and_heard),
        words=sum(len(said.split()) for said, _ in said_and_heard),
        errors=measured.substitutions + measured.deletions + measured.insertions,
        exact=sum(said == heard for said, heard in said_and_heard),
    )


def main() -> None:
    """Print a table; exit with 1 when sherpa-onnx was asked and disagrees on a text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="folder with the model and tokens.txt")
    parser.add_argument("--file-name", default="model.onnx")
    parser.add_argument("--data", type=Path, required=True, help="folder with transcripts.json")
    parser.add_argument("--sherpa", action="store_true", help="compare with sherpa-onnx >= 2.0.1")
    parser.add_argument("--show-errors", action="store_true")
    arguments = parser.parse_args()
    wavs = read_folder(arguments.data)
    decoder = GreedyDecoder(arguments.model, file_name=arguments.file_name)
    texts = {wav.path: decoder.decode(wav.samples()).text for wav in wavs}
    if arguments.show_errors:
        for wav in wavs:
            if texts[wav.path] != wav.text:
                print(f"{wav.path.name}\n  said  {wav.text}\n  heard {texts[wav.path]}")
    for name in dict.fromkeys(wav.set_name for wav in wavs):
        result = score(name, [(wav.text, texts[wav.path]) for wav in wavs if wav.set_name == name])
        print(
            f"{name:42s} {result.sentences:4d} sentences {result.words:5d} words"
            f"  word error rate {100 * result.word_error_rate:5.1f} %"
            f"  exact {100 * result.exact / result.sentences:3.0f} %"
        )
    if arguments.sherpa:
        sherpa = SherpaRecogniser(arguments.model, file_name=arguments.file_name)
        unlike = [wav for wav in wavs if sherpa.differing_ways(wav.samples(), texts[wav.path])]
        print(f"sherpa-onnx gives the same text for {len(wavs) - len(unlike)} of {len(wavs)} files")
        if unlike:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
