"""Opening decoders: for every format, within bounds, and without loading what is not needed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from gateway.audio.decoders import AudioDecoders
from gateway.audio.settings import AudioSettings
from gateway.errors import ClientFault, Reason, Unavailable
from policies.facts import AudioEncoding

RECORDINGS = sorted((Path(__file__).parents[3] / "engines/models/recordings").glob("*.wav"))


@pytest.mark.unit
async def test_no_more_streams_are_decoded_at_once_than_allowed(studio, self_describing):
    listener = studio.Listener()
    decoders = AudioDecoders(AudioSettings(max_container_decoders=2), asyncio.get_running_loop())

    def open_one():
        return decoders.open(studio.format_of(self_describing), on_pcm=listener.on_pcm, on_error=listener.on_error)

    first, second = open_one(), open_one()
    with pytest.raises(Unavailable) as refused:
        open_one()
    assert refused.value.reason is Reason.too_many_sessions
    # Encodings without a container are not counted.
    decoders.open(studio.format_of(AudioEncoding.opus), on_pcm=listener.on_pcm, on_error=listener.on_error)
    first.close()
    first.close()
    assert decoders.open_streams == 1
    third = open_one()
    second.close()
    third.close()
    assert decoders.open_streams == 0


@pytest.mark.unit
async def test_a_place_is_free_after_the_end_and_after_an_error(studio, self_describing):
    listener = studio.Listener()
    decoders = AudioDecoders(AudioSettings(), asyncio.get_running_loop())
    ending = decoders.open(studio.format_of(self_describing), on_pcm=listener.on_pcm, on_error=listener.on_error)
    failing = decoders.open(studio.format_of(self_describing), on_pcm=listener.on_pcm, on_error=listener.on_error)
    ending.finish(listener.reached("finished"))
    await listener.until(lambda: listener.is_over)
    failing.feed(bytes(100_000))
    await listener.until(lambda: bool(listener.errors))
    assert decoders.open_streams == 0


@pytest.mark.unit
async def test_a_format_that_cannot_be_read_is_refused_with_every_mistake(studio):
    with pytest.raises(
        ClientFault, match=r"sample_rate_hz must be 8000 to 48000, not 7999; channels must be 1 to 8"
    ) as e:
        await studio.decode(studio.format_of(AudioEncoding.mulaw, rate_hz=7_999, channels=9), [])
    assert e.value.reason is Reason.bad_audio_format


@pytest.mark.unit
async def test_many_streams_share_the_loop_and_one_that_sends_much_holds_up_nobody(studio):
    """Ten minutes of FLAC at once, and beside it a stream at the pace of speech."""
    greedy, patient = studio.Listener(), studio.Listener()
    decoders = AudioDecoders(AudioSettings(), asyncio.get_running_loop())
    long = studio.encode_file("flac", "flac", np.zeros((16_000 * 600, 1), np.int16), 16_000)
    short = studio.encode(AudioEncoding.ogg_opus, studio.speech_like(48_000, duration_ms=400), 48_000)
    flood = decoders.open(studio.format_of(AudioEncoding.flac), on_pcm=greedy.on_pcm, on_error=greedy.on_error)
    trickle = decoders.open(studio.format_of(AudioEncoding.ogg_opus), on_pcm=patient.on_pcm, on_error=patient.on_error)
    flood.feed(long)
    flood.finish(greedy.reached("finished"))
    for number, piece in enumerate(studio.cut(short, 500)):
        trickle.feed(piece)
        trickle.mark(patient.reached(f"piece {number}"))
        await patient.until(lambda name=f"piece {number}": name in patient.heard)
    assert not greedy.is_over
    flood.close()
    trickle.close()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("audio_format", "loaded"),
    [
        ("AudioEncoding.pcm_s16le, 16000, 1, 0", []),
        ("AudioEncoding.mulaw, 8000, 1, 0", ["numpy", "soxr"]),
        ("AudioEncoding.wav, 16000, 1, 0", []),
        ("AudioEncoding.opus, 48000, 1, 0", ["av", "numpy", "soxr"]),
    ],
)
def test_libraries_are_loaded_only_for_the_decoder_that_needs_them(audio_format, loaded):
    script = f"""
import asyncio, json, sys
from gateway.audio.decoders import AudioDecoders
from gateway.audio.settings import AudioSettings
from policies.facts import AudioEncoding, AudioFormat
loop = asyncio.new_event_loop()
decoders = AudioDecoders(AudioSettings(), loop)
decoder = decoders.open(AudioFormat({audio_format}), on_pcm=print, on_error=print)
loop.close()
print(json.dumps(sorted({{"av", "numpy", "soxr"}} & set(sys.modules))))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == loaded


@pytest.mark.integration
def test_libraries_can_be_loaded_at_the_start():
    script = """
import asyncio, sys
from gateway.audio.decoders import AudioDecoders
from gateway.audio.settings import AudioSettings
AudioDecoders(AudioSettings(load_libraries_at_start=True), asyncio.new_event_loop())
assert {"av", "numpy", "soxr"} <= set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.unit
@pytest.mark.parametrize("path", RECORDINGS[:3], ids=lambda path: path.stem)
@pytest.mark.parametrize("encoding", [encoding for encoding in AudioEncoding if not encoding.is_raw], ids=str)
async def test_real_speech_is_itself_in_every_encoding(studio, path, encoding):
    with wave.open(str(path)) as file:
        rate_hz = file.getframerate()
        sound = np.frombuffer(file.readframes(5 * rate_hz), "<i2").reshape(-1, file.getnchannels())[:, :1]
    rate_to_encode_hz = rate_hz
    if encoding is AudioEncoding.opus:
        import soxr

        rate_to_encode_hz = 48_000
        sound = soxr.resample(sound, rate_hz, 48_000)
        pieces = studio.encode_opus_packets(sound, bit_rate=48_000)
    else:
        pieces = studio.cut(studio.encode(encoding, sound, rate_hz), 900)
    listener = await studio.decode(studio.format_of(encoding), pieces)
    likeness, shift_ms = studio.alignment(listener.samples, sound[:, 0], rate_to_encode_hz)
    lossless = encoding in (AudioEncoding.wav, AudioEncoding.flac)
    assert likeness > (0.99999 if lossless else 0.97)
    assert abs(shift_ms) < (7 if encoding is AudioEncoding.opus else 0.5)
