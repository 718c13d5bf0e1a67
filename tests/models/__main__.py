"""Writes a model with random weights into a folder, to try what loads and runs: its words mean nothing.

python -m tests.models zipformer2|lstm|fastconformer FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.models.fastconformer import FastConformer
from tests.models.lstm_transducer import LstmTransducer
from tests.models.zipformer_transducer import ZipformerTransducer

_MODELS = {
    "zipformer2": ZipformerTransducer(),
    "lstm": LstmTransducer(),
    "fastconformer": FastConformer(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=_MODELS)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    print(_MODELS[given.model].write(given.folder))


if __name__ == "__main__":
    main()
