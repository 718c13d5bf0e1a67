"""Memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes

import psutil
import pytest

from engines.backends.freed_memory import give_back_freed_memory

pytestmark = pytest.mark.unit

BLOCK, BLOCKS = 60_000, 2_000
"""Below the size from which the C library takes memory from the system for a block alone."""


def test_freed_memory_goes_back_even_below_what_is_kept() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    blocks = [libc.malloc(BLOCK) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    held = psutil.Process().memory_info().rss
    for block in blocks[:-1]:
        libc.free(block)
    give_back_freed_memory()
    assert psutil.Process().memory_info().rss < held - BLOCK * BLOCKS // 2
    libc.free(blocks[-1])
