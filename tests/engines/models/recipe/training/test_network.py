"""The network's promises about time."""

from __future__ import annotations

import pytest
import torch

from engines.models.recipe.training.network import Network, NetworkShape, outputs_of

pytestmark = pytest.mark.recipe


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    network = Network(NetworkShape())
    for parameter in network.parameters():
        if parameter.dim() == 1 or parameter.shape[-1] == network.shape.num_relative_positions:
            torch.nn.init.normal_(parameter, std=0.5)
    return network.eval()


def test_the_embedded_shape_has_three_million_parameters(network: Network) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) == 3_155_873


@pytest.mark.parametrize(("frames", "outputs"), [(6, 0), (7, 0), (14, 0), (15, 1), (39, 4), (46, 4), (47, 5)])
def test_so_many_frames_give_so_many_outputs(frames: int, outputs: int) -> None:
    assert outputs_of(torch.tensor([frames])).item() == outputs


def test_convolutions_and_gathered_products_agree(network: Network) -> None:
    features = torch.randn(2, 39, 80)

    gathered = network.subsampling(features)
    convolved = network.subsampling.convolve(features.transpose(1, 2))

    assert torch.allclose(gathered, convolved, atol=1e-4)


@pytest.mark.parametrize("chunk", [2, 4, 8])
def test_an_output_never_depends_on_a_later_chunk(network: Network, chunk: int) -> None:
    features = torch.randn(1, 8 * 16 + 7, 80)
    changed = features.clone()
    changed[:, 8 * 8 + 7 :] += 1.0  # what only outputs 8 and later see

    first, *_ = network(features, torch.tensor([features.shape[1]]), chunk)
    second, *_ = network(changed, torch.tensor([features.shape[1]]), chunk)

    assert torch.equal(first[:, :8], second[:, :8])
    assert not torch.allclose(first[:, 8:], second[:, 8:])


def test_padding_after_a_row_changes_nothing_in_it(network: Network) -> None:
    features = torch.randn(1, 8 * 8 + 7, 80)
    padded = torch.cat([features, torch.randn(1, 64, 80)], 1)
    num_frames = torch.tensor([features.shape[1]])

    alone, num_outputs, early = network(features, num_frames, 4)
    beside, _, _ = network(padded, num_frames, 4)

    assert early is None
    assert torch.allclose(alone, beside[:, : int(num_outputs)], atol=1e-4)


def test_training_also_gives_the_early_output() -> None:
    network = Network(NetworkShape()).train()

    late, num_outputs, early = network(torch.randn(2, 71, 80), torch.tensor([71, 40]), 4)

    assert late.shape == early.shape == (2, 8, 513)
    assert num_outputs.tolist() == [8, 4]
