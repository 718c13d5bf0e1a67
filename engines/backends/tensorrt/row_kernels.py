"""The two kernels that move rows of state between a pool and a batch, by slot number.

A pool holds one row for each slot, a batch one for each row of a step; `slots[i]` is the pool's row of batch row i, -1
for a row that only fills a batch up. Such a row is read as zeros and written nowhere, so it touches no slot.

Each kernel exists for words of 16 and of 4 bytes: rows that are a multiple of 16 bytes, which the pools of real models
are, move four times as much per thread.
"""

from __future__ import annotations

SOURCE = r"""
template <typename Word>
__device__ void gather(Word* batch, const Word* pool, const int* slots, unsigned long long words)
{
    const long long row = blockIdx.y;
    const long long slot = slots[row];
    for (unsigned long long i = blockIdx.x * blockDim.x + threadIdx.x; i < words; i += gridDim.x * blockDim.x)
        batch[row * words + i] = slot < 0 ? Word() : pool[slot * words + i];
}

template <typename Word>
__device__ void scatter(Word* pool, const Word* batch, const int* slots, unsigned long long words)
{
    const long long row = blockIdx.y;
    const long long slot = slots[row];
    if (slot < 0)
        return;
    for (unsigned long long i = blockIdx.x * blockDim.x + threadIdx.x; i < words; i += gridDim.x * blockDim.x)
        pool[slot * words + i] = batch[row * words + i];
}

extern "C" __global__ void gather_16(uint4* to, const uint4* from, const int* slots, unsigned long long words)
{ gather(to, from, slots, words); }
extern "C" __global__ void gather_4(unsigned* to, const unsigned* from, const int* slots, unsigned long long words)
{ gather(to, from, slots, words); }
extern "C" __global__ void scatter_16(uint4* to, const uint4* from, const int* slots, unsigned long long words)
{ scatter(to, from, slots, words); }
extern "C" __global__ void scatter_4(unsigned* to, const unsigned* from, const int* slots, unsigned long long words)
{ scatter(to, from, slots, words); }
"""

KERNELS = ("gather_16", "gather_4", "scatter_16", "scatter_4")
BLOCK_THREADS = 256
_MAX_BLOCKS_PER_ROW = 64
"""Enough for any row; longer ones take several turns."""


def kernel_for(direction: str, *, row_bytes: int) -> tuple[str, int]:
    """Give the kernel's name and how many words a row has; `direction` is `gather` or `scatter`."""
    word_bytes = 4 if row_bytes % 16 else 16
    if row_bytes % word_bytes:
        raise ValueError(f"a row of state must be a multiple of 4 bytes, not {row_bytes}")
    return f"{direction}_{word_bytes}", row_bytes // word_bytes


def blocks_per_row(words: int) -> int:
    return min(-(-words // BLOCK_THREADS), _MAX_BLOCKS_PER_ROW)
