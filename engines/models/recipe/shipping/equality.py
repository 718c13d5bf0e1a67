"""Shows that the exported file in chunks computes what the network computes on the whole recording.

python -m engines.models.recipe.shipping.equality --model engines/models/embedded --data engines/models/recordings
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from engines.models.recipe.shipping.decoder import TAIL_S, GreedyDecoder
from engines.models.recipe.shipping.labelled_wavs import read_folder
from engines.models.recipe.shipping.recover import recover
from engines.models.recipe.speech.features import SAMPLE_RATE_HZ, log_mel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from engines.models.recipe.training.network import Network


@dataclass(frozen=True, slots=True)
class Difference:
    """How far chunked ONNX is from whole-recording torch: in nat, and in outputs with another best token."""

    largest_nat: float
    other_tokens: int
    outputs: int


def compare(network: Network, decoder: GreedyDecoder, recordings: Iterable[NDArray[np.float32]]) -> Difference:
    """Run every recording both ways."""
    largest, others, outputs = 0.0, 0, 0
    for samples in recordings:
        streamed = decoder.decode(samples).log_probs
        whole = offline_log_probs(network, samples, chunk=decoder.outputs_per_chunk)[: len(streamed)]
        largest = max(largest, float(np.abs(streamed - whole).max(initial=0.0)))
        others += int((streamed.argmax(-1) != whole.argmax(-1)).sum())
        outputs += len(streamed)
    return Difference(largest, others, outputs)


def offline_log_probs(network: Network, samples: NDArray[np.float32], *, chunk: int) -> NDArray[np.float32]:
    """(num_outputs, vocabulary) log-probabilities of a whole recording under the chunk mask."""
    padded = np.concatenate([samples, np.zeros(int(SAMPLE_RATE_HZ * TAIL_S), np.float32)])
    features = torch.from_numpy(log_mel(padded))[None]
    with torch.no_grad():
        scores, _, _ = network(features, torch.tensor([features.shape[1]]), chunk)
    return torch.log_softmax(scores, -1)[0].numpy()


def main() -> None:
    """Print the difference over a folder; exit with 1 when any output has another best token."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recordings = (wav.samples() for wav in read_folder(arguments.data))
    found = compare(recover(arguments.model / "model.onnx"), GreedyDecoder(arguments.model), recordings)
    print(f"{found.outputs} outputs, largest difference {found.largest_nat:.1e} nat, {found.other_tokens} other tokens")
    if found.other_tokens:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
