"""Which tensors an encoder hands from step to step, by its metadata. PURE.

Order, shapes and batch axes are those in which sherpa-onnx binds them by position
(sherpa-onnx/csrc/online-zipformer2-transducer-model.cc and online-lstm-transducer-model.cc); all begin as zeros.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engines.contract import StateShape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_INTEGER = re.compile(r"-?[0-9]{1,12}\Z")
_EMBEDDING_CHANNELS, _EMBEDDING_PAST = 128, 3
_STACK_LISTS = (
    "encoder_dims",
    "query_head_dims",
    "value_head_dims",
    "num_heads",
    "num_encoder_layers",
    "cnn_module_kernels",
    "left_context_len",
)
"""One number for each stack of a Zipformer."""


@dataclass(frozen=True, slots=True)
class StateLimits:
    """How much an encoder may ask for; held against its metadata before anything is laid out."""

    max_stacks: int = 32
    max_layers: int = 256
    """Of all stacks together."""
    max_dim: int = 1 << 16
    """Of any single number."""
    max_state_bytes: int = 64 << 20
    """Of one stream."""


def encoder_states(
    metadata: Mapping[str, str], *, feature_dim: int, limits: StateLimits, mistakes: list[str]
) -> tuple[StateShape, ...]:
    """Derive the states of an encoder; what is wrong with its metadata is added to `mistakes`, and nothing given."""
    kind = metadata.get("model_type")
    derive = KINDS.get(kind or "")
    if derive is None:
        known = " or ".join(KINDS)
        mistakes.append(f"encoder: model_type must be {known}, not {(kind or '')[:40]!r}")
        return ()
    mistakes_before = len(mistakes)
    states = derive(metadata, feature_dim, limits, mistakes)
    if len(mistakes) > mistakes_before:
        return ()
    total = sum(state.size_bytes for state in states)
    if total > limits.max_state_bytes:
        mistakes.append(
            f"encoder: its states take {total} bytes a stream, at most {limits.max_state_bytes} are allowed"
        )
        return ()
    return states


def whole_number(metadata: Mapping[str, str], key: str, maximum: int, mistakes: list[str], *, part: str) -> int:
    """Give the number of a key, 1 to `maximum`; 0, and a mistake, for anything else."""
    text = metadata.get(key)
    if text is None:
        mistakes.append(f"{part}: its metadata must give {key}")
        return 0
    return _checked(text, f"{part}: {key}", maximum, mistakes)


def _checked(text: str, what: str, maximum: int, mistakes: list[str]) -> int:
    if not _INTEGER.match(text):
        mistakes.append(f"{what} must be a whole number, not {text[:40]!r}")
    elif not 1 <= int(text) <= maximum:
        mistakes.append(f"{what} must be 1 to {maximum}, not {int(text)}")
    else:
        return int(text)
    return 0


def _numbers(metadata: Mapping[str, str], key: str, limits: StateLimits, mistakes: list[str]) -> list[int]:
    """Give the numbers of a list such as `2,2,3`; none, and mistakes, if anything is wrong with it."""
    text = metadata.get(key)
    if text is None:
        mistakes.append(f"encoder: its metadata must give {key}")
        return []
    parts = text.split(",", limits.max_stacks + 1)
    if len(parts) > limits.max_stacks:
        mistakes.append(f"encoder: {key} must hold at most {limits.max_stacks} numbers")
        return []
    found = [
        _checked(part, f"encoder: number {place} of {key}", limits.max_dim, mistakes)
        for place, part in enumerate(parts, start=1)
    ]
    return found if all(found) else []


def _zipformer2_states(
    metadata: Mapping[str, str], feature_dim: int, limits: StateLimits, mistakes: list[str]
) -> tuple[StateShape, ...]:
    """Six tensors a layer, then the embedding's and the count of frames."""
    if metadata.get("feature", "") == "whisper":
        mistakes.append("encoder: Whisper's features are not computed here, so feature must not be whisper")
    lists = {key: _numbers(metadata, key, limits, mistakes) for key in _STACK_LISTS}
    if not all(lists.values()):
        return ()
    if len({len(numbers) for numbers in lists.values()}) > 1:
        counts = ", ".join(f"{key} {len(numbers)}" for key, numbers in lists.items())
        mistakes.append(f"encoder: its metadata must hold one number for each stack in every list, not {counts}")
        return ()
    layers = sum(lists["num_encoder_layers"])
    if layers > limits.max_layers:
        mistakes.append(f"encoder: it has {layers} layers, at most {limits.max_layers} are allowed")
        return ()
    states: list[StateShape] = []
    for stack in range(len(lists["encoder_dims"])):
        dim, query_dim, value_dim, heads, count, kernel, left = (lists[key][stack] for key in _STACK_LISTS)
        for _ in range(count):
            layer = len(states) // 6
            states += (
                StateShape(f"cached_key_{layer}", (left, query_dim * heads), 1),
                StateShape(f"cached_nonlin_attn_{layer}", (1, left, 3 * dim // 4), 1),
                StateShape(f"cached_val1_{layer}", (left, value_dim * heads), 1),
                StateShape(f"cached_val2_{layer}", (left, value_dim * heads), 1),
                StateShape(f"cached_conv1_{layer}", (dim, kernel // 2), 0),
                StateShape(f"cached_conv2_{layer}", (dim, kernel // 2), 0),
            )
    bands = ((feature_dim - 1) // 2 - 1) // 2
    states.append(StateShape("embed_states", (_EMBEDDING_CHANNELS, _EMBEDDING_PAST, bands), 0))
    states.append(StateShape("processed_lens", (), 0, is_integer=True))
    return tuple(states)


def _lstm_states(
    metadata: Mapping[str, str], feature_dim: int, limits: StateLimits, mistakes: list[str]
) -> tuple[StateShape, ...]:
    """What all layers say, and what all their cells hold."""
    layers = whole_number(metadata, "num_encoder_layers", limits.max_layers, mistakes, part="encoder")
    d_model = whole_number(metadata, "d_model", limits.max_dim, mistakes, part="encoder")
    hidden = whole_number(metadata, "rnn_hidden_size", limits.max_dim, mistakes, part="encoder")
    return (StateShape("state0", (layers, d_model), 1), StateShape("state1", (layers, hidden), 1))


KINDS: dict[str, Callable[[Mapping[str, str], int, StateLimits, list[str]], tuple[StateShape, ...]]] = {
    "zipformer2": _zipformer2_states,
    "lstm": _lstm_states,
}
