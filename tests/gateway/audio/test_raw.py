"""Raw messages: every encoding, rate and channel; what does not hold whole samples."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.audio.interface import MAX_PCM_BYTES
from gateway.errors import Reason
from policies.facts import AudioEncoding

pytestmark = pytest.mark.unit

RAW = [encoding for encoding in AudioEncoding if encoding.is_raw]


def encode_raw(encoding: AudioEncoding, sound: np.ndarray) -> bytes:
    """Interleaved samples. G.711 through libav's encoders."""
    if encoding is AudioEncoding.pcm_s16le:
        return sound.astype("<i2").tobytes()
    if encoding is AudioEncoding.pcm_f32le:
        return (sound / 32_768).astype("<f4").tobytes()
    import av
    from av.codec.context import CodecContext

    encoder = CodecContext.create(f"pcm_{encoding}", "w")
    encoder.layout, encoder.sample_rate, encoder.format = "mono", 8_000, "s16"
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound).reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = 8_000
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("encoding", RAW, ids=str)
async def test_every_encoding_and_rate_is_the_same_sound(studio, encoding, rate_hz):
    sound = studio.speech_like(rate_hz, duration_ms=1_000)
    audio_format = studio.format_of(encoding, rate_hz=rate_hz)
    message_bytes = audio_format.bytes_per_instant * (rate_hz // 50)
    listener = await studio.decode(audio_format, studio.cut(encode_raw(encoding, sound), message_bytes))
    likeness, shift_ms = studio.alignment(listener.samples, sound[:, 0], rate_hz)
    assert likeness > (0.999 if encoding in (AudioEncoding.mulaw, AudioEncoding.alaw) else 0.99999)
    assert abs(shift_ms) < 0.1
    assert abs(len(listener.samples) - 16_000) <= 1


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("encoding", RAW, ids=str)
async def test_only_the_chosen_channel_is_heard(studio, encoding, channel):
    sound = studio.speech_like(16_000, duration_ms=500, channels=3)
    audio_format = studio.format_of(encoding, channels=3, channel=channel)
    mono = studio.format_of(encoding)
    chosen = await studio.decode(audio_format, [encode_raw(encoding, sound)])
    alone = await studio.decode(mono, [encode_raw(encoding, sound[:, channel : channel + 1])])
    assert chosen.pcm == alone.pcm
    assert chosen.pcm


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("encoding", RAW, ids=str)
async def test_the_output_does_not_depend_on_the_messages(studio, encoding, rate_hz):
    audio_format = studio.format_of(encoding, rate_hz=rate_hz, channels=2)
    data = encode_raw(encoding, studio.speech_like(rate_hz, duration_ms=400, channels=2))
    whole = await studio.decode(audio_format, [data])
    for instants in (1, 37, 1_000):
        cut = await studio.decode(audio_format, studio.cut(data, instants * audio_format.bytes_per_instant))
        assert cut.pcm == whole.pcm


@pytest.mark.parametrize(
    ("encoding", "rate_hz", "channels", "num_bytes", "sentence"),
    [
        (
            "pcm_s16le",
            16_000,
            2,
            4_097,
            "a message of pcm_s16le with 2 channels must be a multiple of 4 bytes, not 4097",
        ),
        ("pcm_s16le", 16_000, 1, 33, "a message of pcm_s16le with 1 channel must be a multiple of 2 bytes, not 33"),
        (
            "pcm_s16le",
            8_000,
            1,
            40_001,
            "a message of pcm_s16le with 1 channel must be a multiple of 2 bytes, not 40001",
        ),
        ("pcm_f32le", 48_000, 1, 6, "a message of pcm_f32le with 1 channel must be a multiple of 4 bytes, not 6"),
        ("mulaw", 8_000, 2, 3, "a message of mulaw with 2 channels must be a multiple of 2 bytes, not 3"),
    ],
)
async def test_a_message_of_half_samples_is_refused_with_what_was_expected(
    studio, encoding, rate_hz, channels, num_bytes, sentence
):
    listener = await studio.decode(
        studio.format_of(AudioEncoding(encoding), rate_hz=rate_hz, channels=channels), [bytes(num_bytes)]
    )
    assert [(error.reason, error.detail) for error in listener.errors] == [(Reason.misaligned_audio, sentence)]
    assert listener.heard == []


async def test_nothing_is_heard_after_an_error(studio):
    listener = await studio.decode(studio.format_of(AudioEncoding.pcm_s16le), [b"ab", b"abc", b"cd", b"e"])
    assert listener.heard == [b"ab"]
    assert len(listener.errors) == 1


async def test_16_khz_mono_pcm_is_handed_on_without_a_copy(studio):
    listener = studio.Listener()
    decoder = studio.open(studio.format_of(AudioEncoding.pcm_s16le), listener)
    message = bytes(3_200)
    decoder.feed(message)
    assert listener.heard[0] is message


async def test_a_long_message_of_16_khz_mono_pcm_comes_in_pieces(studio):
    message = bytes(2 * MAX_PCM_BYTES + 2)
    listener = await studio.decode(studio.format_of(AudioEncoding.pcm_s16le), [message])
    assert [len(piece) for piece in listener.heard[:-1]] == [MAX_PCM_BYTES, MAX_PCM_BYTES, 2]


async def test_an_empty_message_is_nothing(studio):
    for rate_hz in (8_000, 16_000):
        listener = await studio.decode(studio.format_of(AudioEncoding.pcm_s16le, rate_hz=rate_hz), [b"", b""])
        assert (listener.heard, listener.errors) == (["finished"], [])


async def test_floats_that_are_no_numbers_are_refused(studio):
    data = np.array([0.1, np.nan], "<f4").tobytes()
    listener = await studio.decode(studio.format_of(AudioEncoding.pcm_f32le), [data])
    assert listener.errors[0].reason is Reason.undecodable_audio


@pytest.mark.parametrize("encoding", RAW, ids=str)
async def test_a_message_gives_at_most_the_stated_amount_of_pcm(studio, encoding):
    listener = await studio.decode(studio.format_of(encoding, rate_hz=8_000), [bytes(8_000)])
    assert len(listener.pcm) <= 4 * 8_000 + 8_000


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("encoding", RAW, ids=str)
async def test_what_is_spoken_before_and_after_a_gap_is_never_joined(studio, encoding, rate_hz):
    sound = studio.speech_like(rate_hz, duration_ms=400)
    data = encode_raw(encoding, sound)
    listener = studio.Listener()
    decoder = studio.open(studio.format_of(encoding, rate_hz=rate_hz), listener)
    decoder.feed(data)
    extent = decoder.extent_of_gap(rate_hz // 5)
    start = len(listener.samples) + extent.held_back_samples
    decoder.feed_silence(rate_hz // 5)
    decoder.feed(data)
    decoder.finish(listener.reached("finished"))
    assert (start, extent.num_samples) == (6_400, 3_200)
    assert abs(len(listener.samples) - 16_000) <= 1
    before, gap, after = np.split(listener.samples[:16_000].astype(float), [start, start + extent.num_samples])
    assert np.abs(gap[400:-400]).max() <= 1
    assert np.abs(before).max() > 1_000
    assert np.abs(after).max() > 1_000


async def test_nothing_comes_of_a_gap_once_a_decoder_is_closed(studio):
    for rate_hz in (8_000, 16_000):
        listener = studio.Listener()
        decoder = studio.open(studio.format_of(AudioEncoding.pcm_s16le, rate_hz=rate_hz), listener)
        decoder.close()
        decoder.feed_silence(800)
        assert not listener.heard
