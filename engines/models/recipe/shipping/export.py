"""Exports a checkpoint as the ONNX file that the engine and sherpa-onnx read, with its tokens.

python -m engines.models.recipe.shipping.export --checkpoint work/stage3.pt --out work/embedded
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import onnxruntime
import torch

from engines.models.recipe.training.checkpoints import load
from engines.models.recipe.training.network import SUBSAMPLING
from engines.models.recipe.training.streaming import INPUT_NAMES, OUTPUT_NAMES, StreamingNetwork
from engines.models.recipe.training.tokeniser import Tokeniser

if TYPE_CHECKING:
    from engines.models.recipe.training.network import Network

_OPSET = 17
_EXAMPLE_BATCH = 2

# What the features were in training; sherpa-onnx ignores these entries, Patchbay checks them.
_FEATURE_METADATA = {
    "sample_rate": "16000",
    "feature_dim": "80",
    "feature_window": "hann",
    "feature_mel": "librosa_slaney",
    "feature_low_freq": "0",
    "feature_high_freq": "8000",
    "feature_preemph": "0.97",
    "feature_remove_dc_offset": "0",
    "feature_snip_edges": "0",
    "feature_dither": "0",
}


def export(network: Network, path: Path, *, chunk: int = 4) -> Path:
    """Write one ONNX file that takes `chunk` outputs (80 ms each) per call, for any batch.

    The graph is checked by onnx; a difference from torch is what `largest_difference` measures.
    """
    streaming = StreamingNetwork(network.eval(), chunk).eval()
    inputs = _example_inputs(streaming, batch=_EXAMPLE_BATCH)
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter that walks the graph by tracing is deprecated, but the new one renames inputs and adds operators.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            streaming,
            inputs,
            str(path),
            input_names=list(INPUT_NAMES),
            output_names=list(OUTPUT_NAMES),
            dynamic_axes={name: {0: "batch"} for name in (*INPUT_NAMES, *OUTPUT_NAMES)},
            opset_version=_OPSET,
            dynamo=False,
            do_constant_folding=True,
        )
    _describe(path, streaming)
    return path


def export_half(path: Path, half_path: Path) -> Path:
    """Convert an exported file to float16 inside, float32 at its inputs and outputs (for GPUs; no faster on a CPU)."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    original = onnx.load(path)
    converted = OnnxModel(convert_float_to_float16(original, keep_io_types=True))
    converted.topological_sort()  # the converter leaves casts at the end, where onnx does not allow them
    model = converted.model
    for kept, wanted in zip(model.graph.output, original.graph.output, strict=True):
        kept.CopyFrom(wanted)
    onnx.checker.check_model(model)
    onnx.save(model, half_path)
    return half_path


def largest_difference(network: Network, path: Path, *, chunk: int = 4, batch: int = 5, seed: int = 0) -> float:
    """Largest absolute difference of any output between torch and ONNX Runtime, on random inputs and caches."""
    torch.manual_seed(seed)
    streaming = StreamingNetwork(network.eval(), chunk).eval()
    inputs = _example_inputs(streaming, batch=batch)
    with torch.no_grad():
        expected = streaming(*inputs)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = {node.name: value.numpy() for node, value in zip(session.get_inputs(), inputs, strict=True)}
    outputs = session.run(None, feeds)
    return max(
        float((torch.from_numpy(output) - wanted).abs().max()) for output, wanted in zip(outputs, expected, strict=True)
    )


def metadata_of(streaming: StreamingNetwork) -> dict[str, str]:
    """The metadata that readers of NeMo's streaming CTC exports need, and the features."""
    shape = streaming.network.shape
    return {
        "model_type": "EncDecCTCModelBPE",
        "version": "1",
        "model_author": "synthetic",
        "language": "en",
        "comment": "small-domain English, trained on espeak-ng/flite/festival speech only",
        "vocab_size": str(shape.num_outputs - 1),  # without the blank
        "window_size": str(streaming.window_frames),
        "chunk_shift": str(streaming.shift_frames),
        "subsampling_factor": str(SUBSAMPLING),
        "normalize_type": "",
        "cache_last_channel_dim1": str(shape.num_blocks),
        "cache_last_channel_dim2": str(shape.left_context),
        "cache_last_channel_dim3": str(2 * shape.width),
        "cache_last_time_dim1": str(shape.num_blocks),
        "cache_last_time_dim2": str(shape.width),
        "cache_last_time_dim3": str(shape.kernel - 1),
        **_FEATURE_METADATA,
    }


def _example_inputs(streaming: StreamingNetwork, *, batch: int) -> tuple[torch.Tensor, ...]:
    """Random features about where real ones lie, random caches, filled to random depths."""
    channel, time, filled = streaming.fresh_state(batch)
    left_context = streaming.network.shape.left_context
    return (
        torch.randn(batch, 80, streaming.window_frames) - 7,
        torch.full((batch,), streaming.window_frames),
        torch.randn_like(channel),
        torch.randn_like(time),
        torch.randint(0, left_context + 1, filled.shape),
    )


def _describe(path: Path, streaming: StreamingNetwork) -> None:
    """Put in the metadata, and fixed sizes for every output axis but the batch."""
    model = onnx.load(path)
    del model.metadata_props[:]
    for key, value in metadata_of(streaming).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    shape = streaming.network.shape
    sizes: tuple[tuple[int, ...], ...] = (
        (streaming.chunk, shape.num_outputs),
        (),
        (shape.num_blocks, shape.left_context, 2 * shape.width),
        (shape.num_blocks, shape.width, shape.kernel - 1),
        (),
    )
    for output, fixed in zip(model.graph.output, sizes, strict=True):
        for axis, size in zip(output.type.tensor_type.shape.dim[1:], fixed, strict=True):
            axis.ClearField("dim_param")
            axis.dim_value = size
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main() -> None:
    """Export the averaged weights of a checkpoint and say how far ONNX Runtime is from torch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--chunk", type=int, default=4, choices=(2, 4, 8), help="outputs of 80 ms per call")
    parser.add_argument("--half", action="store_true", help="write model.fp16.onnx too")
    arguments = parser.parse_args()
    network = load(arguments.checkpoint).network(averaged=True)
    path = export(network, arguments.out / "model.onnx", chunk=arguments.chunk)
    Tokeniser().write_tokens(arguments.out / "tokens.txt")
    print(f"{path}: {largest_difference(network, path, chunk=arguments.chunk):.1e} from torch")
    if arguments.half:
        export_half(path, arguments.out / "model.fp16.onnx")


if __name__ == "__main__":
    main()
