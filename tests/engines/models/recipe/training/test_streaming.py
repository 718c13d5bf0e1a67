"""Chunk by chunk equals the whole."""

from __future__ import annotations

import pytest
import torch

from engines.models.recipe.training.network import Network, NetworkShape
from engines.models.recipe.training.streaming import StreamingNetwork

pytestmark = pytest.mark.recipe


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    network = Network(NetworkShape())
    for parameter in network.parameters():
        if parameter.dim() == 1 or parameter.shape[-1] == network.shape.num_relative_positions:
            torch.nn.init.normal_(parameter, std=0.5)
    return network.eval()


@pytest.mark.parametrize("chunk", [2, 4, 8])
def test_streaming_equals_offline_past_the_left_context(network: Network, chunk: int) -> None:
    num_chunks = 64 // chunk  # twice the left context
    features = torch.randn(2, 8 * chunk * num_chunks + 7, 80) - 7
    streaming = StreamingNetwork(network, chunk)

    with torch.no_grad():
        scores, _, _ = network(features, torch.full((2,), features.shape[1]), chunk)
        whole = torch.log_softmax(scores, -1)
        state, rows = streaming.fresh_state(2), []
        for index in range(num_chunks):
            start = index * streaming.shift_frames
            window = features[:, start : start + streaming.window_frames].transpose(1, 2)
            log_probs, num_outputs, *state = streaming(window, torch.full((2,), streaming.window_frames), *state)
            assert num_outputs.tolist() == [chunk, chunk]
            rows.append(log_probs)

    assert torch.allclose(torch.cat(rows, 1), whole, atol=1e-3)


def test_what_lies_in_an_empty_cache_is_never_seen(network: Network) -> None:
    streaming = StreamingNetwork(network, 4)
    channel, time, filled = streaming.fresh_state()
    window, length = torch.randn(1, 80, 39), torch.tensor([39])

    with torch.no_grad():
        clean, *_ = streaming(window, length, channel, time, filled)
        dirty, *_ = streaming(window, length, torch.randn_like(channel), time, filled)

    assert torch.equal(clean, dirty)


def test_the_filled_count_stops_at_the_left_context(network: Network) -> None:
    streaming = StreamingNetwork(network, 4)
    channel, time, _ = streaming.fresh_state()

    with torch.no_grad():
        *_, filled = streaming(torch.randn(1, 80, 39), torch.tensor([39]), channel, time, torch.tensor([30]))

    assert filled.tolist() == [32]
