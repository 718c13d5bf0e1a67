"""The network one chunk at a time with explicit caches: the graph that is exported.

Inputs and outputs are those of NeMo's cache-aware streaming CTC exports, which sherpa-onnx binds by position. The
channel cache holds keys and values (last dimension 2 D) instead of the layer's input; the dimension is metadata, so
readers do not mind, and 32 positions are not projected again for every chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from engines.models.recipe.training.network import FIRST_OUTPUT_EXTRA_FRAMES, MASKED, SUBSAMPLING

if TYPE_CHECKING:
    from engines.models.recipe.training.network import Network

INPUT_NAMES = ("audio_signal", "length", "cache_last_channel", "cache_last_time", "cache_last_channel_len")
OUTPUT_NAMES = (
    "logprobs",
    "encoded_lengths",
    "cache_last_channel_next",
    "cache_last_time_next",
    "cache_last_channel_next_len",
)


class StreamingNetwork(nn.Module):
    """A network with its chunk fixed."""

    def __init__(self, network: Network, chunk: int) -> None:
        """Take a trained network; `chunk` outputs of 80 ms per call."""
        super().__init__()
        self.network = network
        self.chunk = chunk
        shape = network.shape
        row = torch.arange(chunk)[:, None] + shape.left_context
        column = torch.arange(shape.left_context + chunk)
        self.register_buffer(
            "positions", (row - column[None] + shape.longest_chunk).clamp(0, shape.num_relative_positions - 1)
        )
        self.register_buffer("column", column)

    @property
    def window_frames(self) -> int:
        """Feature frames per call."""
        return SUBSAMPLING * self.chunk + FIRST_OUTPUT_EXTRA_FRAMES

    @property
    def shift_frames(self) -> int:
        """Frames between the starts of two windows."""
        return SUBSAMPLING * self.chunk

    def forward(
        self,
        audio_signal: torch.Tensor,
        length: torch.Tensor,
        cache_last_channel: torch.Tensor,
        cache_last_time: torch.Tensor,
        cache_last_channel_len: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        """Run one chunk of each stream.

        Args:
            audio_signal: (B, 80, window_frames).
            length: (B,) int64, always window_frames; used, so that no exporter drops it and shifts the inputs.
            cache_last_channel: (B, blocks, C, 2 D).
            cache_last_time: (B, blocks, D, kernel - 1).
            cache_last_channel_len: (B,) int64, filled positions of the channel cache; the empty ones are masked.

        Returns:
            (B, chunk, outputs) log-probabilities, (B,) outputs, and the three next caches.
        """
        network, shape = self.network, self.network.shape
        centred = audio_signal - network.feature_mean[:, None]
        values = network.subsampling.convolve(centred * network.feature_inverse_spread[:, None])
        is_empty = self.column[None] < (shape.left_context - cache_last_channel_len[:, None])
        mask = is_empty.to(values.dtype)[:, None, None] * MASKED
        channels, times = [], []
        for index, block in enumerate(network.blocks):
            values, channel, time = block.step(
                values,
                mask=mask,
                positions=self.positions,
                keys_and_values=cache_last_channel[:, index],
                convolution_tail=cache_last_time[:, index],
            )
            channels.append(channel)
            times.append(time)
        log_probs = functional.log_softmax(network.output(values), -1)
        # Truncated, not floored: floor of an int64 division exports as five more operators.
        num_outputs = torch.div(length - FIRST_OUTPUT_EXTRA_FRAMES, SUBSAMPLING, rounding_mode="trunc")
        filled = (cache_last_channel_len + self.chunk).clamp(max=shape.left_context)
        return log_probs, num_outputs, torch.stack(channels, 1), torch.stack(times, 1), filled

    def fresh_state(self, batch: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The three caches of streams that have heard nothing."""
        shape = self.network.shape
        return (
            torch.zeros(batch, shape.num_blocks, shape.left_context, 2 * shape.width),
            torch.zeros(batch, shape.num_blocks, shape.width, shape.kernel - 1),
            torch.zeros(batch, dtype=torch.int64),
        )
