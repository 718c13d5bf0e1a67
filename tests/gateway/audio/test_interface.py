"""What holds for every decoder, whatever the encoding."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.audio.interface import MAX_PCM_BYTES
from policies.facts import AudioEncoding, AudioFormat

if TYPE_CHECKING:
    from typing import Any

pytestmark = pytest.mark.unit


@pytest.fixture(params=list(AudioEncoding), ids=str)
def session(request: pytest.FixtureRequest, studio: Any) -> tuple[AudioFormat, list[bytes]]:
    """A format and messages of three seconds of audio in it."""
    encoding: AudioEncoding = request.param
    if encoding.is_raw:
        message = bytes(range(256)) * (125 * encoding.bytes_per_sample)
        data = message if encoding is not AudioEncoding.pcm_f32le else bytes(32_000 * 4)
        return studio.format_of(encoding), [data, data[: len(data) // 2]]
    sound = studio.speech_like(48_000, duration_ms=3_000)
    if encoding is AudioEncoding.opus:
        return studio.format_of(encoding), studio.encode_opus_packets(sound)
    return studio.format_of(encoding), [studio.encode(encoding, sound, 48_000)]


async def test_pcm_comes_in_whole_samples_of_at_most_a_second(studio, session):
    audio_format, messages = session
    listener = await studio.decode(audio_format, messages)
    sizes = [len(piece) for piece in listener.heard if isinstance(piece, bytes)]
    assert sizes
    assert all(0 < size <= MAX_PCM_BYTES and size % 2 == 0 for size in sizes)


async def test_an_inline_decoder_calls_back_at_once_and_the_others_later(studio, session):
    audio_format, messages = session
    listener = studio.Listener()
    decoder = studio.open(audio_format, listener)
    for message in messages:
        decoder.feed(message)
    decoder.mark(listener.reached("marked"))
    assert ("marked" in listener.heard) is decoder.is_inline
    assert (decoder.pending_bytes == 0) is decoder.is_inline
    await listener.until(lambda: "marked" in listener.heard)
    assert decoder.pending_bytes == 0
    decoder.close()


async def test_marks_and_the_end_come_in_order_with_the_audio(studio, session):
    audio_format, messages = session
    listener = studio.Listener()
    decoder = studio.open(audio_format, listener)
    decoder.mark(listener.reached("before"))
    for message in messages:
        decoder.feed(message)
    decoder.mark(listener.reached("after"))
    decoder.finish(listener.reached("finished"))
    await listener.until(lambda: listener.is_over)
    assert not listener.errors
    assert listener.heard[0] == "before"
    assert listener.heard[-1] == "finished"
    pcm_before_mark = [piece for piece in listener.heard[: listener.heard.index("after")] if isinstance(piece, bytes)]
    # Held back at most: the resampler's 40 ms and an incomplete packet (a frame of FLAC as encoded here: 96 ms).
    assert len(listener.pcm) - sum(map(len, pcm_before_mark)) <= 32 * 136


async def test_nothing_is_called_back_after_close(studio, session):
    audio_format, messages = session
    listener = studio.Listener()
    decoder = studio.open(audio_format, listener)
    decoder.close()
    decoder.close()
    for message in messages:
        decoder.feed(message)
    decoder.mark(listener.reached("marked"))
    decoder.finish(listener.reached("finished"))
    decoder.pause()
    decoder.resume()
    for _ in range(5):
        await asyncio.sleep(0)
    assert (listener.heard, listener.errors, decoder.pending_bytes) == ([], [], 0)


async def test_a_callback_may_close_the_decoder(studio, session):
    audio_format, messages = session
    listener = studio.Listener()

    def close_at_once(pcm16: bytes) -> None:
        listener.on_pcm(pcm16)
        decoder.close()

    from gateway.audio.decoders import AudioDecoders
    from gateway.audio.settings import AudioSettings

    decoders = AudioDecoders(AudioSettings(), asyncio.get_running_loop())
    decoder = decoders.open(audio_format, on_pcm=close_at_once, on_error=listener.on_error)
    for message in messages:
        decoder.feed(message)
    decoder.finish(listener.reached("finished"))
    await listener.until(lambda: bool(listener.heard))
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(listener.heard) == 1
    assert decoders.open_streams == 0


async def test_a_session_without_audio_finishes(studio, session):
    audio_format, _ = session
    listener = await studio.decode(audio_format, [])
    assert (listener.heard, listener.errors) == (["finished"], [])
