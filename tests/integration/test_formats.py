"""Every audio format that a client may send becomes the words of the plain 16 kHz WAV.

The measure is the gateway's own transcript of the WAV. Lossless formats at 16 kHz must give it to the last figure,
times and confidences included; lossless formats at higher rates, the same words. What loses sound (G.711, Opus, MP3,
and anything at 8 kHz, where all above 4 kHz is gone) must give the same words on the 14 recordings that the model
hears without a mistake, and may differ in `MAX_WORD_ERRORS` of all 157 words: the three others have words that are
near to being heard otherwise even without a codec.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.harness.caller import Caller, start_of, transcribe
from tests.harness.encoders import (
    OPUS_RATE_HZ,
    encode_file,
    encode_opus_packets,
    encode_raw,
    resampled,
    side_by_side,
)
from tests.harness.recordings import cut, exact_names, path_of, samples_of, transcripts, word_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.wire.messages import Start
    from tests.harness.encoders import Channels
    from tests.harness.region import Region

pytestmark = pytest.mark.integration

NAMES = sorted(transcripts())
MAX_WORD_ERRORS = 4
RATES_HZ = (8_000, 16_000, 22_050, 44_100, 48_000)
RAW_BYTES_PER_SAMPLE = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1, "alaw": 1}


@dataclass(frozen=True)
class Format:
    """How a client sends a recording: at which rate it is encoded, by what, and what it announces."""

    name: str
    start: Start
    rate_hz: int
    encode: Callable[[Channels], list[bytes]]
    is_lossless: bool

    def pieces(self, recording: str) -> list[bytes]:
        return self.encode(resampled(samples_of(recording), self.rate_hz)[:, None])


def raw(encoding: str, rate_hz: int) -> Format:
    piece_bytes = rate_hz // 10 * RAW_BYTES_PER_SAMPLE[encoding]
    return Format(
        name=f"{encoding}-{rate_hz}",
        start=start_of(encoding, rate_hz),
        rate_hz=rate_hz,
        encode=lambda sound: cut(encode_raw(encoding, sound), piece_bytes),
        is_lossless=encoding.startswith("pcm") and rate_hz >= 16_000,
    )


def file(encoding: str, rate_hz: int, *, bit_rate: int = 0) -> Format:
    """In pieces that have nothing to do with the format's own."""
    return Format(
        name=f"{encoding}-{rate_hz}" + (f"-{bit_rate}" if bit_rate else ""),
        start=start_of(encoding),
        rate_hz=rate_hz,
        encode=lambda sound: cut(encode_file(encoding, sound, rate_hz, bit_rate=bit_rate), 1_733),
        is_lossless=encoding in ("wav", "flac"),
    )


def opus_packets(bit_rate: int) -> Format:
    return Format(
        name=f"opus-{bit_rate}",
        start=start_of("opus", OPUS_RATE_HZ),
        rate_hz=OPUS_RATE_HZ,
        encode=lambda sound: encode_opus_packets(sound, bit_rate=bit_rate),
        is_lossless=False,
    )


FORMATS = [
    *(raw(encoding, rate_hz) for encoding in RAW_BYTES_PER_SAMPLE for rate_hz in RATES_HZ),
    *(file("wav", rate_hz) for rate_hz in (16_000, 44_100)),
    *(file("flac", rate_hz) for rate_hz in (16_000, 44_100)),
    opus_packets(24_000),
    opus_packets(48_000),
    file("ogg_opus", OPUS_RATE_HZ, bit_rate=32_000),
    file("webm_opus", OPUS_RATE_HZ, bit_rate=32_000),
    file("mp3", 16_000, bit_rate=64_000),
    file("mp3", 44_100, bit_rate=128_000),
]


async def heard_by_name(region: Region, pieces_of: Callable[[str], list[bytes]], start: Start) -> dict[str, Caller]:
    """All recordings at once, each a session."""
    callers = await asyncio.gather(*(transcribe(region, pieces_of(name), start=start) for name in NAMES))
    for caller in callers:
        assert caller.is_finished, caller.error or caller.failure
    return dict(zip(NAMES, callers, strict=True))


@pytest.fixture(scope="module")
def plain(region: Region) -> dict[str, Caller]:
    """What the shipped WAV files become, as they are."""
    return asyncio.run(heard_by_name(region, lambda name: cut(path_of(name).read_bytes(), 3_200), start_of("wav")))


def test_the_plain_wav_of_an_exact_recording_becomes_its_transcript(plain: dict[str, Caller]) -> None:
    assert {name: plain[name].text for name in exact_names()} == {name: transcripts()[name] for name in exact_names()}


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
async def test_a_format_becomes_the_words_of_the_plain_wav(
    region: Region, plain: dict[str, Caller], form: Format
) -> None:
    heard = await heard_by_name(region, form.pieces, form.start)
    errors = {name: word_errors(plain[name].words, heard[name].words) for name in NAMES}
    print(f"{form.name}: {sum(errors.values())} of {sum(len(plain[name].words) for name in NAMES)} words differ")
    assert {name: errors[name] for name in exact_names()} == dict.fromkeys(exact_names(), 0)
    assert sum(errors.values()) <= (0 if form.is_lossless else MAX_WORD_ERRORS), errors
    if form.is_lossless and form.rate_hz == 16_000:
        assert {name: heard[name].finals for name in NAMES} == {name: plain[name].finals for name in NAMES}


LEFT, RIGHT = "digits_rms.wav", "weather_rp.wav"
STEREO = [(encoding, rate_hz) for encoding in RAW_BYTES_PER_SAMPLE for rate_hz in RATES_HZ]


@pytest.mark.parametrize(("encoding", "rate_hz"), STEREO)
async def test_only_the_chosen_channel_of_raw_stereo_is_heard(
    region: Region, plain: dict[str, Caller], encoding: str, rate_hz: int
) -> None:
    sound = side_by_side(resampled(samples_of(LEFT), rate_hz), resampled(samples_of(RIGHT), rate_hz))
    pieces = cut(encode_raw(encoding, sound), rate_hz // 10 * 2 * RAW_BYTES_PER_SAMPLE[encoding])
    left, right = await asyncio.gather(
        *(
            transcribe(region, pieces, start=start_of(encoding, rate_hz, channels=2, channel=channel))
            for channel in (0, 1)
        )
    )
    assert (left.words, right.words) == (plain[LEFT].words, plain[RIGHT].words)


@pytest.mark.parametrize("encoding", ["wav", "flac", "ogg_opus", "webm_opus", "mp3"])
async def test_only_the_chosen_channel_of_a_stereo_file_is_heard(
    region: Region, plain: dict[str, Caller], encoding: str
) -> None:
    rate_hz = OPUS_RATE_HZ
    sound = side_by_side(resampled(samples_of(LEFT), rate_hz), resampled(samples_of(RIGHT), rate_hz))
    # Enough bits that a codec with joint stereo keeps the two voices apart.
    pieces = cut(encode_file(encoding, sound, rate_hz, bit_rate=0 if encoding in ("wav", "flac") else 192_000), 4_000)
    left, right = await asyncio.gather(
        *(transcribe(region, pieces, start=start_of(encoding, channels=2, channel=channel)) for channel in (0, 1))
    )
    assert (left.words, right.words) == (plain[LEFT].words, plain[RIGHT].words)


async def test_the_chosen_channel_of_stereo_opus_packets_is_heard(region: Region, plain: dict[str, Caller]) -> None:
    sound = side_by_side(resampled(samples_of(LEFT), OPUS_RATE_HZ), resampled(samples_of(RIGHT), OPUS_RATE_HZ))
    packets = encode_opus_packets(sound, bit_rate=128_000)
    left, right = await asyncio.gather(
        *(
            transcribe(region, packets, start=start_of("opus", OPUS_RATE_HZ, channels=2, channel=channel))
            for channel in (0, 1)
        )
    )
    assert (left.words, right.words) == (plain[LEFT].words, plain[RIGHT].words)


@pytest.mark.parametrize("piece_bytes", [1, 7, 100_000])
@pytest.mark.parametrize("encoding", ["wav", "flac", "ogg_opus", "webm_opus", "mp3"])
async def test_how_a_file_is_cut_into_messages_changes_nothing(region: Region, encoding: str, piece_bytes: int) -> None:
    sound = resampled(samples_of("forward_f5.wav"), OPUS_RATE_HZ)[:, None]
    data = encode_file(encoding, sound, OPUS_RATE_HZ, bit_rate=0 if encoding in ("wav", "flac") else 32_000)
    finely_cut_bytes = 3_000  # the headers, where a cut hurts most
    pieces = cut(data[:finely_cut_bytes], piece_bytes) + cut(data[finely_cut_bytes:], max(5_001, piece_bytes))
    whole = await transcribe(region, cut(data, 4_096), start=start_of(encoding))
    heard = await transcribe(region, pieces, start=start_of(encoding))
    assert heard.finals == whole.finals
    assert heard.text


@pytest.mark.parametrize("protocol", ["ws", "grpc"])
@pytest.mark.parametrize(
    ("encoding", "channels", "piece", "expected"),
    [("pcm_s16le", 1, b"\0" * 3, "2"), ("pcm_f32le", 1, b"\0" * 6, "4"), ("pcm_s16le", 2, b"\0" * 6, "4")],
)
async def test_a_misaligned_message_is_refused_and_told_what_was_expected(
    region: Region, protocol: str, encoding: str, channels: int, piece: bytes, expected: str
) -> None:
    caller = await transcribe(region, [piece], start=start_of(encoding, channels=channels), protocol=protocol)
    assert caller.error is not None
    assert caller.error.reason == "misaligned_audio"
    assert expected in caller.error.message


@pytest.mark.parametrize("encoding", ["flac", "ogg_opus", "webm_opus", "wav", "mp3"])
async def test_bytes_that_are_not_of_the_announced_encoding_are_refused(region: Region, encoding: str) -> None:
    letters = b"This is not sound, it is a letter to the maintainers. " * 4_000
    caller = await transcribe(region, cut(letters, 4_000), start=start_of(encoding))
    assert caller.error is not None
    assert caller.error.reason == "undecodable_audio"
    assert not caller.error.retryable
