"""What is not final can be sent again, from the very byte; what is final is let go of."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from gateway.cli.audio_source import FileAudio, KeptAudio
from gateway.cli.recording import InputLost, read_recording
from gateway.wire.messages import AudioSpec
from gateway.wire.resume_cut import AudioCut, cut_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.cli.audio_source import AudioSource

pytestmark = pytest.mark.unit

BYTES = bytes(range(256)) * 20
START = AudioCut(0, None)


async def coming(*, fails: bool = False) -> AsyncIterator[bytes]:
    for at in range(0, len(BYTES), 100):
        yield BYTES[at : at + 100]
    if fails:
        raise InputLost("gone")


@contextlib.asynccontextmanager
async def filled(source: AudioSource) -> AsyncIterator[None]:
    filling = asyncio.create_task(source.fill())
    try:
        yield
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)


async def read(source: AudioSource, cut: AudioCut) -> bytes:
    return b"".join([piece async for piece in source.pieces(cut)])


async def test_raw_audio_is_sent_again_from_where_it_is_not_final() -> None:
    source = KeptAudio(AudioSpec(), coming())
    async with filled(source):
        assert await read(source, START) == BYTES
        source.release(1_000)
        cut = cut_for(AudioSpec(), 1_000)
        assert source.has(cut)
        assert await read(source, cut) == BYTES[2_000:]
        assert not source.has(START)
        assert source.has(AudioCut(len(BYTES), None))
        assert await read(source, AudioCut(len(BYTES), None)) == b""


async def test_a_reader_that_is_given_up_loses_nothing() -> None:
    source = KeptAudio(AudioSpec(), coming())
    async with filled(source):
        pieces = source.pieces(START)
        assert await anext(pieces) == BYTES[:100]
        await pieces.aclose()  # type: ignore[attr-defined]
        assert await read(source, AudioCut(50, None)) == BYTES[50:]


async def test_no_more_is_read_than_may_be_kept() -> None:
    source = KeptAudio(AudioSpec(), coming(), max_bytes=1_000)
    async with filled(source):
        pieces = source.pieces(START)
        got = b"".join([await anext(pieces) for _ in range(11)])
        waiting = asyncio.ensure_future(anext(pieces))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        source.release(500)
        got += await waiting
        assert got == BYTES[:1_200]


async def test_a_container_is_kept_from_its_beginning_while_it_fits() -> None:
    kept, too_long = (KeptAudio(AudioSpec("ogg_opus"), coming(), max_bytes=most) for most in (len(BYTES), 1_000))
    for source in (kept, too_long):
        async with filled(source):
            assert await read(source, START) == BYTES
            source.release(10_000)
    assert kept.has(START)
    assert not too_long.has(START)


async def test_an_input_that_breaks_off_says_so_behind_what_came() -> None:
    source = KeptAudio(AudioSpec(), coming(fails=True))
    async with filled(source):
        pieces = source.pieces(START)
        assert b"".join([await anext(pieces) for _ in range(52)]) == BYTES
        with pytest.raises(InputLost, match="gone"):
            await anext(pieces)


async def test_a_file_is_read_again_and_late_pieces_go_at_once(tmp_path: Path) -> None:
    path = tmp_path / "audio.raw"
    path.write_bytes(BYTES)
    source = FileAudio(read_recording(path, AudioSpec()), speed=1.0)
    async with filled(source), asyncio.timeout(60):
        assert await read(source, START) == BYTES
        assert await read(source, AudioCut(2_000, None)) == BYTES[2_000:]
        assert source.has(START)
