"""Takes the weights out of the embedded ONNX file, so that training can go on from it and any chunk can be exported.

    python -m engines.models.recipe.shipping.recover --model engines/models/embedded/model.onnx --out work/shipped.pt

The file names its parameters in its own short way, and the exporter gives folded weights (transposed matrices,
kernels) no name at all; those are found by the bias that is added after them. An untrained network cannot be
recovered: the exporter stores parameters that are equal, such as fresh zeros, only once.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from engines.models.recipe.training.checkpoints import Checkpoint, save
from engines.models.recipe.training.network import Network, NetworkShape

# Names inside the embedded file -> names in network.py, applied in order.
_SHIPPED_NAMES: tuple[tuple[str, str], ...] = (
    (r"^m\.", ""),
    (r"^sub\.l1\.", "subsampling.first."),
    (r"^sub\.l2\.", "subsampling.second."),
    (r"^sub\.l3\.", "subsampling.third."),
    (r"^sub\.n\.", "subsampling.norm."),
    (r"^head\.", "output."),
    (r"^mean$", "feature_mean"),
    (r"^istd$", "feature_inverse_spread"),
    (r"\.f1\.", ".feed_forward_in."),
    (r"\.f2\.", ".feed_forward_out."),
    (r"(feed_forward_\w+)\.n\.", r"\1.norm."),
    (r"(feed_forward_\w+)\.a\.", r"\1.widen."),
    (r"(feed_forward_\w+)\.b\.", r"\1.narrow."),
    (r"\.na\.", ".attention_norm."),
    (r"\.q\.", ".query."),
    (r"\.kv\.", ".key_value."),
    (r"\.o\.", ".attention_out."),
    (r"\.rel$", ".relative_bias"),
    (r"\.nc\.", ".convolution_norm."),
    (r"\.pw1\.", ".gate."),
    (r"\.dw\.", ".depthwise."),
    (r"\.nd\.", ".depthwise_norm."),
    (r"\.pw2\.", ".pointwise."),
    (r"\.nf\.", ".final_norm."),
    (r"^network\.", ""),  # files exported by this recipe
)


class ForeignModel(Exception):
    """The file was not exported from this network: a parameter is missing or has another shape."""


def recover(path: Path, shape: NetworkShape | None = None) -> Network:
    """Build a network with the weights of an exported file.

    Raises:
        ForeignModel: the file holds another network.
    """
    graph = onnx.load(path).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = {renamed(name): value for name, value in stored.items()}
    weights |= _folded_weights(graph, stored)
    network = Network(shape or NetworkShape())
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in weights or wanted[name].shape != weights[name].shape]
    if missing:
        raise ForeignModel(f"{path}: {', '.join(missing[:5])}")
    network.load_state_dict({name: torch.tensor(weights[name]) for name in wanted})
    return network.eval()


def renamed(name: str) -> str:
    """A parameter's name in network.py; names that are known already stay."""
    for pattern, replacement in _SHIPPED_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _folded_weights(graph: onnx.GraphProto, stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights that the exporter folded: matrices transposed, convolution kernels, and the feature statistics."""
    makers = {output: node for node in graph.node for output in node.output}
    found: dict[str, np.ndarray] = {}
    for node in graph.node:
        constants = [name for name in node.input if name in stored]
        match node.op_type:
            case "Add":
                product = next((makers[name] for name in node.input if name in makers), None)
                bias = next((renamed(name) for name in constants if name.endswith(".bias")), None)
                if bias and product is not None and product.op_type == "MatMul":
                    matrix = next(stored[name] for name in product.input if name in stored)
                    found[bias.removesuffix("bias") + "weight"] = matrix.T
            case "Conv" if renamed(node.input[2]).startswith("subsampling."):
                kernel = stored[node.input[1]].transpose(0, 2, 1)
                found[renamed(node.input[2]).removesuffix("bias") + "weight"] = kernel.reshape(len(kernel), -1)
            case "Sub" if node.input[0] == "audio_signal":
                found["feature_mean"] = stored[constants[0]][:, 0]
                scaled = next(user for user in graph.node if node.output[0] in user.input)
                spread = next(name for name in scaled.input if name in stored)
                found["feature_inverse_spread"] = stored[spread][:, 0]
    return found


def main() -> None:
    """Write a checkpoint to train on or to export with another chunk."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    network = recover(arguments.model)
    weights = network.state_dict()
    save(Checkpoint(network.shape, weights, weights), arguments.out)
    print(f"{arguments.out}: {sum(value.numel() for value in weights.values()):,} values")


if __name__ == "__main__":
    main()
