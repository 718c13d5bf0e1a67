"""One block of memory for many buffers: where each begins. PURE."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

ALIGNMENT_BYTES = 256
"""What cudaMalloc gives and TensorRT asks for."""


class Layout(NamedTuple):
    offsets: Mapping[str, int]
    size_bytes: int

    def addresses(self, start: int) -> dict[str, int]:
        return {name: start + offset for name, offset in self.offsets.items()}


def lay_out(sizes_bytes: Mapping[str, int]) -> Layout:
    """Put buffers one after another, each at a multiple of the alignment; empty ones get a place too."""
    offsets: dict[str, int] = {}
    end = 0
    for name, size in sizes_bytes.items():
        if size < 0:
            raise ValueError(f"the buffer {name} cannot have {size} bytes")
        offsets[name] = end
        end += -(-max(size, 1) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    return Layout(offsets, end)
