"""The network: convolutions that subsample eightfold, then conformer blocks with chunked attention.

Streaming equals offline by construction: nothing is padded in time, attention sees its own chunk and a fixed number of
outputs before it, and the depthwise convolution is causal.

Shapes: B batch, F feature frames (10 ms), T outputs (80 ms), D model width, H heads, C left context in outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from engines.models.recipe.speech.features import NUM_MELS

_TAPS = 3  # of each subsampling convolution
SUBSAMPLING = 8
FIRST_OUTPUT_EXTRA_FRAMES = 7  # T outputs need 8 T + 7 frames
MASKED = -1e4  # not minus infinity, which half precision turns into not-a-number


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """Sizes of the network; the defaults are the embedded model's (3.16 million parameters)."""

    num_outputs: int = 513
    width: int = 144
    num_blocks: int = 6
    num_heads: int = 4
    feed_forward_width: int = 576
    kernel: int = 9
    left_context: int = 32
    subsampling_width: int = 160
    longest_chunk: int = 8
    early_output_block: int = 3  # training also asks for the text after this block

    @property
    def num_relative_positions(self) -> int:
        """Entries of each head's table of relative positions."""
        return self.left_context + 2 * self.longest_chunk


class Subsampling(nn.Module):
    """Three stride-2 convolutions over time without padding.

    In training written as gather and matmul, which a CPU computes several times faster than convolutions; `convolve`
    runs the same weights as Conv1d for the exported file. Output n sees frames 8 n .. 8 n + 14.
    """

    def __init__(self, shape: NetworkShape) -> None:
        """Kaiming weights for the layers before a ReLU."""
        super().__init__()
        hidden = shape.subsampling_width
        self.first = nn.Linear(_TAPS * NUM_MELS, hidden)
        self.second = nn.Linear(_TAPS * hidden, hidden)
        self.third = nn.Linear(_TAPS * hidden, shape.width)
        self.norm = nn.LayerNorm(shape.width)
        for layer in (self.first, self.second):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, F, 80) to (B, T, D)."""
        hidden = functional.relu(self.first(_gather_taps(features)))
        hidden = functional.relu(self.second(_gather_taps(hidden)))
        return self.norm(self.third(_gather_taps(hidden)))

    def convolve(self, features: torch.Tensor) -> torch.Tensor:
        """(B, 80, F) to (B, T, D), by convolutions."""
        hidden = functional.relu(functional.conv1d(features, _as_kernel(self.first), self.first.bias, 2))
        hidden = functional.relu(functional.conv1d(hidden, _as_kernel(self.second), self.second.bias, 2))
        hidden = functional.conv1d(hidden, _as_kernel(self.third), self.third.bias, 2)
        return self.norm(hidden.transpose(1, 2))


def _gather_taps(values: torch.Tensor) -> torch.Tensor:
    """(B, F, N) to (B, (F - 3) // 2 + 1, 3 N): every second position with its two followers."""
    num_outputs = (values.shape[1] - _TAPS) // 2 + 1
    return torch.cat([values[:, tap : tap + 2 * num_outputs - 1 : 2] for tap in range(_TAPS)], -1)


def _as_kernel(layer: nn.Linear) -> torch.Tensor:
    """(out, 3 in) weights as a (out, in, 3) convolution kernel."""
    return layer.weight.reshape(layer.weight.shape[0], _TAPS, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """Norm, widen, SiLU, narrow."""

    def __init__(self, shape: NetworkShape) -> None:
        """Plain layers; the block sets the small initial weights."""
        super().__init__()
        self.norm = nn.LayerNorm(shape.width)
        self.widen = nn.Linear(shape.width, shape.feed_forward_width)
        self.narrow = nn.Linear(shape.feed_forward_width, shape.width)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(B, T, D) to (B, T, D)."""
        return self.narrow(functional.silu(self.widen(self.norm(values))))


class ConformerBlock(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward, norm.

    LayerNorm throughout and small residual outputs at the start: without both, CTC stayed on its blank plateau.
    """

    def __init__(self, shape: NetworkShape) -> None:
        """Set up layers; what is added to the residual stream starts near zero."""
        super().__init__()
        width = shape.width
        self.shape = shape
        self.feed_forward_in = FeedForward(shape)
        self.feed_forward_out = FeedForward(shape)
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.attention_out = nn.Linear(width, width)
        self.relative_bias = nn.Parameter(torch.zeros(shape.num_heads, shape.num_relative_positions))
        self.convolution_norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, shape.kernel, groups=width)
        self.depthwise_norm = nn.LayerNorm(width)
        self.pointwise = nn.Linear(width, width)
        self.final_norm = nn.LayerNorm(width)
        for layer in (self.feed_forward_in.narrow, self.feed_forward_out.narrow, self.attention_out, self.pointwise):
            nn.init.normal_(layer.weight, std=0.1 * layer.weight.shape[1] ** -0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, values: torch.Tensor, *, mask: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Whole utterances: (B, T, D) to (B, T, D); mask (B or 1, 1, T, T), positions (T, T) indexes of the table."""
        values = values + 0.5 * self.feed_forward_in(values)
        normed = self.attention_norm(values)
        values = values + self._attend(normed, self.key_value(normed), mask=mask, positions=positions)
        values = values + self._leave_convolution(self._convolve_offline(self._enter_convolution(values)))
        values = values + 0.5 * self.feed_forward_out(values)
        return self.final_norm(values)

    def step(
        self,
        values: torch.Tensor,
        *,
        mask: torch.Tensor,
        positions: torch.Tensor,
        keys_and_values: torch.Tensor,
        convolution_tail: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One chunk of N outputs: (B, N, D) with caches (B, C, 2 D) and (B, D, kernel - 1); gives all three anew."""
        values = values + 0.5 * self.feed_forward_in(values)
        normed = self.attention_norm(values)
        seen = torch.cat([keys_and_values, self.key_value(normed)], 1)
        values = values + self._attend(normed, seen, mask=mask, positions=positions)
        tail = torch.cat([convolution_tail, self._enter_convolution(values).transpose(1, 2)], 2)
        values = values + self._leave_convolution(self.depthwise(tail).transpose(1, 2))
        values = values + 0.5 * self.feed_forward_out(values)
        return (
            self.final_norm(values),
            seen[:, -self.shape.left_context :],
            tail[:, :, -(self.shape.kernel - 1) :],
        )

    def _attend(
        self, normed: torch.Tensor, keys_and_values: torch.Tensor, *, mask: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """Attention of (B, N, D) to (B, M, 2 D) with a learned bias per relative position."""
        num_queries, width = normed.shape[1:]
        heads, head_width = self.shape.num_heads, width // self.shape.num_heads
        num_keys = keys_and_values.shape[1]
        keys, seen = keys_and_values.chunk(2, -1)
        queries = self.query(normed).reshape(-1, num_queries, heads, head_width).transpose(1, 2)
        keys = keys.reshape(-1, num_keys, heads, head_width).permute(0, 2, 3, 1)
        seen = seen.reshape(-1, num_keys, heads, head_width).transpose(1, 2)
        bias = self.relative_bias[:, positions].unsqueeze(0) + mask
        weights = torch.softmax(torch.matmul(queries * head_width**-0.5, keys) + bias, -1)
        return self.attention_out(torch.matmul(weights, seen).transpose(1, 2).reshape(-1, num_queries, width))

    def _enter_convolution(self, values: torch.Tensor) -> torch.Tensor:
        gated, gate = self.gate(self.convolution_norm(values)).chunk(2, -1)
        return gated * torch.sigmoid(gate)

    def _convolve_offline(self, values: torch.Tensor) -> torch.Tensor:
        """The causal depthwise convolution as shifted products, again for the CPU's sake."""
        num_outputs = values.shape[1]
        padded = functional.pad(values, (0, 0, self.shape.kernel - 1, 0))
        total = self.depthwise.bias
        for tap in range(self.shape.kernel):
            total = total + padded[:, tap : tap + num_outputs] * self.depthwise.weight[:, 0, tap]
        return total

    def _leave_convolution(self, values: torch.Tensor) -> torch.Tensor:
        return self.pointwise(functional.silu(self.depthwise_norm(values)))


class Network(nn.Module):
    """Features to token scores; the mean and spread of the features are part of it."""

    def __init__(self, shape: NetworkShape) -> None:
        """Untrained."""
        super().__init__()
        self.shape = shape
        self.register_buffer("feature_mean", torch.zeros(NUM_MELS))
        self.register_buffer("feature_inverse_spread", torch.ones(NUM_MELS))
        self.subsampling = Subsampling(shape)
        self.blocks = nn.ModuleList(ConformerBlock(shape) for _ in range(shape.num_blocks))
        self.output = nn.Linear(shape.width, shape.num_outputs)

    def forward(
        self, features: torch.Tensor, num_frames: torch.Tensor, chunk: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Whole utterances as if they streamed in chunks.

        Args:
            features: (B, F, 80).
            num_frames: (B,) valid frames of each row.
            chunk: outputs per chunk, at most `shape.longest_chunk`.

        Returns:
            (B, T, outputs) scores; (B,) valid outputs; in training also (B, T, outputs) of the early output, else None.
        """
        values = self.subsampling((features - self.feature_mean) * self.feature_inverse_spread)
        num_outputs = outputs_of(num_frames)
        mask, positions = self._chunk_mask(values, num_outputs, chunk)
        early = None
        for index, block in enumerate(self.blocks, start=1):
            values = block(values, mask=mask, positions=positions)
            if self.training and index == self.shape.early_output_block:
                early = self.output(values)
        return self.output(values), num_outputs, early

    def _chunk_mask(
        self, values: torch.Tensor, num_outputs: torch.Tensor, chunk: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Who sees whom: one's own chunk and the left context before the chunk, nothing past the end of the row."""
        shape = self.shape
        index = torch.arange(values.shape[1])
        chunk_start = (index // chunk * chunk)[:, None]
        other = index[None]
        in_reach = (other >= chunk_start - shape.left_context) & (other < chunk_start + chunk)
        is_real = (other < num_outputs[:, None, None]) | (index[:, None] == other)
        mask = torch.where(in_reach[None] & is_real, 0.0, MASKED)[:, None].to(values.dtype)
        positions = (index[:, None] - other + shape.longest_chunk).clamp(0, shape.num_relative_positions - 1)
        return mask, positions


def outputs_of(num_frames: torch.Tensor) -> torch.Tensor:
    """Outputs that so many frames give."""
    return torch.div(num_frames - FIRST_OUTPUT_EXTRA_FRAMES, SUBSAMPLING, rounding_mode="floor").clamp(min=0)
