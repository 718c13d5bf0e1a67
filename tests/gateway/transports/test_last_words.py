"""A client has a bounded time for the end of its session."""

from __future__ import annotations

import asyncio

import pytest

from gateway.transports.last_words import LastWords

pytestmark = pytest.mark.unit


async def test_a_client_that_does_not_take_its_last_words_is_cut_off() -> None:
    cut = asyncio.Event()
    last_words = LastWords(cut.set, timeout_ms=1)
    last_words.begin()
    last_words.begin()
    async with asyncio.timeout(60):
        await cut.wait()


async def test_a_client_that_took_its_last_words_is_not_cut_off() -> None:
    cut = asyncio.Event()
    last_words = LastWords(cut.set, timeout_ms=1)
    last_words.begin()
    last_words.end()
    other = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, other.set)  # later than the cut would have come
    async with asyncio.timeout(60):
        await other.wait()
    assert not cut.is_set()


async def test_nothing_is_cut_before_the_session_is_over() -> None:
    last_words = LastWords(lambda: pytest.fail("cut"), timeout_ms=1)
    last_words.end()
