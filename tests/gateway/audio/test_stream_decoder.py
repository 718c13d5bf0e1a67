"""Streams that describe themselves, whole: bytes of real encoders in, PCM out, in turns of the loop."""

from __future__ import annotations

import asyncio
import random
import struct

import numpy as np
import pytest

from gateway.audio.decoders import AudioDecoders
from gateway.audio.faults import AUDIO_REASONS
from gateway.audio.settings import AudioSettings
from gateway.errors import ClientFault, Reason
from policies.facts import AudioEncoding

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def files(studio):
    """A second of sound in each encoding."""
    return {
        encoding: studio.encode(encoding, studio.speech_like(48_000, duration_ms=1_000), 48_000)
        for encoding in AudioEncoding
        if encoding.is_self_describing
    }


@pytest.mark.parametrize("seed", range(3))
async def test_the_output_does_not_depend_on_how_the_stream_was_cut(studio, files, self_describing, seed):
    data = files[self_describing]
    whole = await studio.decode(studio.format_of(self_describing), [data])
    dice = random.Random(seed)
    cuts = sorted(dice.sample(range(len(data)), min(len(data), dice.choice([3, 50, 2_000]))))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert (await studio.decode(studio.format_of(self_describing), pieces)).pcm == whole.pcm
    assert len(whole.pcm) >= 31_000


async def test_a_stream_may_come_byte_by_byte(studio, files, self_describing):
    data = files[self_describing][:9_000]
    whole = await studio.decode(studio.format_of(self_describing), [data])
    assert (await studio.decode(studio.format_of(self_describing), studio.cut(data, 1))).pcm == whole.pcm


@pytest.mark.parametrize("channel", [0, 1])
async def test_the_chosen_channel_is_heard(studio, self_describing, channel):
    sound = studio.speech_like(48_000, duration_ms=700, channels=2)
    if self_describing is AudioEncoding.mp3:  # Joint stereo of two unrelated voices needs room.
        data = studio.encode_file("mp3", "libmp3lame", sound, 48_000, bit_rate=256_000)
    else:
        data = studio.encode(self_describing, sound, 48_000)
    listener = await studio.decode(studio.format_of(self_describing, channels=2, channel=channel), [data])
    likeness, shift_ms = studio.alignment(listener.samples, sound[:, channel], 48_000)
    other, _ = studio.alignment(listener.samples, sound[:, 1 - channel], 48_000)
    assert likeness > 0.95
    assert other < 0.75
    assert abs(shift_ms) < 0.3


async def test_a_channel_that_the_stream_lacks_is_refused(studio, files, self_describing):
    listener = await studio.decode(studio.format_of(self_describing, channels=2, channel=1), [files[self_describing]])
    assert [(error.reason, error.detail) for error in listener.errors] == [
        (Reason.bad_audio_format, "channel must be 0 to 0 for this stream, not 1")
    ]


def longest_wait_ms(encoding: AudioEncoding) -> int:
    """From the instant a sound was fed to the instant it is heard, as this module's files are made."""
    packet_ms = {
        AudioEncoding.wav: 0,
        AudioEncoding.flac: 96,  # 4,608 samples: what libav's encoder takes at 48 kHz
        AudioEncoding.mp3: 24 * 4,  # a frame, the next header, the bit reservoir, the encoder's delay
        AudioEncoding.ogg_opus: 20 * 2,
        AudioEncoding.webm_opus: 20 * 2,
    }
    # 20 ms: the pace of feeding. 38 ms: the resampler. 60 ms: headers, which come before any sound.
    return 20 + 38 + 60 + packet_ms[encoding]


async def test_sound_is_heard_soon_when_it_comes_at_the_pace_of_speech(studio, self_describing):
    noise = (np.random.default_rng(2).standard_normal((96_000, 1)) * 3_000).astype(np.int16)
    data = studio.encode(self_describing, noise, 48_000)  # Noise takes the same number of bytes at all times.
    listener = studio.Listener()
    decoder = studio.open(studio.format_of(self_describing), listener)
    fed_ms = 0
    first_heard_at_ms = None
    for piece in studio.cut(data, len(data) // 100):
        decoder.feed(piece)
        fed_ms += 20
        decoder.mark(listener.reached(f"{fed_ms} ms"))
        await listener.until(lambda name=f"{fed_ms} ms": name in listener.heard)
        if first_heard_at_ms is None and listener.pcm:
            first_heard_at_ms = fed_ms
    assert first_heard_at_ms is not None
    assert first_heard_at_ms <= longest_wait_ms(self_describing)
    decoder.close()


async def test_a_paused_decoder_gives_nothing_and_goes_on_where_it_was(studio, files, self_describing):
    whole = await studio.decode(studio.format_of(self_describing), [files[self_describing]])
    listener = studio.Listener()
    pauses = 0

    def hear_and_pause(pcm16: bytes) -> None:
        nonlocal pauses
        assert not is_paused
        listener.on_pcm(pcm16)
        pauses += 1
        pause()

    is_paused = False

    def pause() -> None:
        nonlocal is_paused
        is_paused = True
        decoder.pause()

    decoders = AudioDecoders(AudioSettings(), asyncio.get_running_loop())
    decoder = decoders.open(studio.format_of(self_describing), on_pcm=hear_and_pause, on_error=listener.on_error)
    decoder.feed(files[self_describing])
    decoder.finish(listener.reached("finished"))
    async with asyncio.timeout(60):
        while not listener.is_over:
            await asyncio.sleep(0)
            if is_paused:
                for _ in range(3):
                    await asyncio.sleep(0)
                is_paused = False
                decoder.resume()
    assert listener.pcm == whole.pcm
    assert pauses >= 1


async def test_more_than_may_wait_is_refused(studio, self_describing):
    listener = studio.Listener()
    settings = AudioSettings(max_pending_bytes=4_096)
    decoder = studio.open(studio.format_of(self_describing), listener, settings)
    decoder.pause()
    decoder.feed(bytes(4_096))
    assert decoder.pending_bytes == 4_096
    assert not listener.errors
    decoder.feed(b"x")
    assert [error.reason for error in listener.errors] == [Reason.message_too_large]
    assert decoder.pending_bytes == 0


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.93])
async def test_a_stream_that_ends_early_gives_what_could_be_decoded(studio, files, self_describing, share):
    data = files[self_describing]
    whole = await studio.decode(studio.format_of(self_describing), [data])
    listener = await studio.decode(studio.format_of(self_describing), [data[: int(len(data) * share)]])
    assert not listener.errors
    heard, length = listener.samples, max(0, len(listener.samples) - 700)
    # All but the end, where the resampler knows of no more sound.
    assert np.array_equal(heard[:length], whole.samples[:length])
    if share == 0.5:
        assert len(heard) > 4_000


async def test_bad_packets_are_left_out_up_to_a_bound(studio, files):
    packets = studio.encode_opus_packets(studio.speech_like(48_000))
    settings = AudioSettings(max_bad_packets=3)

    def webm(blocks: list[bytes]) -> bytes:
        head = files[AudioEncoding.webm_opus]
        start = head[: head.index(b"\x1f\x43\xb6\x75")]
        laid = b"".join(
            b"\xa3" + (len(block) + 4 | 1 << 28).to_bytes(4, "big") + b"\x81\0\0\x80" + block for block in blocks
        )
        return start + b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff" + laid

    bad = [b"\xff"]
    audio_format = studio.format_of(AudioEncoding.webm_opus)
    good = await studio.decode(audio_format, [webm(packets[:20])], settings)
    some = await studio.decode(audio_format, [webm(packets[:10] + bad * 3 + packets[10:20])], settings)
    many = await studio.decode(audio_format, [webm(packets[:10] + bad * 4 + packets[10:20])], settings)
    assert not some.errors
    assert some.pcm == good.pcm
    assert [(error.reason, error.detail) for error in many.errors] == [
        (Reason.undecodable_audio, "4 packets in a row are not webm_opus that can be decoded")
    ]


@pytest.mark.parametrize(("rate_hz", "channels"), [(5_999, 1), (192_001, 1), (1, 1), (16_000, 9)])
async def test_rates_and_channels_beyond_the_bounds_are_refused(studio, rate_hz, channels):
    fmt = struct.pack("<HHIIHH", 1, channels, rate_hz, 0, 2 * channels, 16)
    data = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + fmt + b"data\0\0\0\0" + bytes(1_000)
    listener = await studio.decode(studio.format_of(AudioEncoding.wav), [data])
    assert [error.reason for error in listener.errors] == [Reason.bad_audio_format]


async def test_the_rate_may_change_within_a_stream(studio):
    sounds = {rate_hz: studio.speech_like(rate_hz, duration_ms=400) for rate_hz in (16_000, 44_100)}
    data = b"".join(studio.encode_file("flac", "flac", sound, rate_hz) for rate_hz, sound in sounds.items())
    listener = await studio.decode(studio.format_of(AudioEncoding.flac), studio.cut(data, 777))
    assert abs(len(listener.samples) - 2 * 6_400) <= 2
    for start, rate_hz in enumerate(sounds):
        part = listener.samples[start * 6_400 : (start + 1) * 6_400]
        likeness, _ = studio.alignment(part, sounds[rate_hz][:, 0], rate_hz)
        assert likeness > 0.999


async def test_a_bomb_is_defused_by_a_pause(studio):
    """A few bytes of FLAC say 65,535 samples: nothing beyond one frame of it is decoded while nobody listens."""
    silence = np.zeros((400_000, 1), np.int16)
    data = studio.encode_file("flac", "flac", silence, 8_000, codec_options={"frame_size": "65535"})
    assert len(data) < 10_000
    listener = studio.Listener()
    decoders = AudioDecoders(AudioSettings(), asyncio.get_running_loop())

    def hear_once(pcm16: bytes) -> None:
        listener.on_pcm(pcm16)
        decoder.pause()

    decoder = decoders.open(studio.format_of(AudioEncoding.flac), on_pcm=hear_once, on_error=listener.on_error)
    decoder.feed(data)
    await listener.until(lambda: bool(listener.heard))
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(listener.heard) == 1
    decoder.close()


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Bytes like a real stream with one kind of damage."""
    damaged = bytearray(data)
    match dice.randrange(6):
        case 0:
            return dice.randbytes(dice.randrange(3_000))
        case 1:
            for _ in range(dice.randrange(1, 30)):
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        case 2:
            for _ in range(dice.randrange(1, 8)):
                damaged[dice.randrange(min(len(damaged), 300))] = dice.choice([0, 1, 127, 128, 255])
        case 3:
            at = dice.randrange(len(damaged))
            del damaged[at : at + dice.randrange(2_000)]
        case 4:
            at = dice.randrange(len(damaged))
            damaged[at:at] = dice.randbytes(dice.randrange(500))
        case _:
            at = dice.randrange(300)
            damaged[at:] = dice.randbytes(2_000)
    return bytes(damaged)


@pytest.mark.parametrize("seed", range(4))
async def test_any_bytes_are_pcm_or_refused_for_an_audio_reason(studio, files, self_describing, seed):
    dice = random.Random(f"{self_describing} {seed}")
    for _ in range(25):
        data = mutated(files[self_describing], dice)
        pieces = studio.cut(data, dice.choice([41, 700, 5_000]))
        listener = await studio.decode(studio.format_of(self_describing), pieces)
        assert len(listener.errors) <= 1
        assert all(error.reason in AUDIO_REASONS and error.detail for error in listener.errors)


@pytest.mark.parametrize("encoding", [encoding for encoding in AudioEncoding if encoding.is_self_describing], ids=str)
async def test_a_stream_that_tells_positions_itself_has_no_gaps(studio, encoding):
    decoder = studio.open(studio.format_of(encoding), studio.Listener())
    for say in (decoder.extent_of_gap, decoder.feed_silence):
        with pytest.raises(ClientFault, match=f"no place in a stream of {encoding}") as refusal:
            say(1_600)
        assert refusal.value.reason is Reason.unexpected_message
    decoder.close()
