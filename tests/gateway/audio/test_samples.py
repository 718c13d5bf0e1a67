"""Samples as they lie in bytes."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.audio.samples import SampleReader, SampleType, expand_alaw, expand_mulaw
from gateway.errors import ClientFault, Reason

pytestmark = pytest.mark.unit

VALUES = np.array([0, 1, -1, 12_345, -12_345, 32_767, -32_768], np.int16)


def read(sample_type: SampleType, data: bytes, *, channels: int = 1, channel: int = 0) -> np.ndarray:
    return SampleReader(sample_type, channels=channels, channel=channel).read(data)


@pytest.mark.parametrize(
    ("sample_type", "data"),
    [
        (SampleType.s16le, VALUES.astype("<i2").tobytes()),
        (SampleType.s24le, b"".join((int(value) << 8).to_bytes(3, "little", signed=True) for value in VALUES)),
        (SampleType.s32le, (VALUES.astype("<i4") << 16).tobytes()),
        (SampleType.f32le, (VALUES / 32_768).astype("<f4").tobytes()),
        (SampleType.f64le, (VALUES / 32_768).astype("<f8").tobytes()),
    ],
    ids=str,
)
def test_every_linear_type_reads_to_the_scale_of_16_bits(sample_type, data):
    assert read(sample_type, data).tolist() == VALUES.tolist()


def test_8_bits_are_unsigned():
    assert read(SampleType.u8, bytes([0, 128, 255])).tolist() == [-32_768, 0, 32_512]


@pytest.mark.parametrize("sample_type", [SampleType.s16le, SampleType.s24le, SampleType.f64le, SampleType.mulaw])
def test_only_the_chosen_channel_is_read(sample_type):
    one = bytes(range(1, sample_type.num_bytes + 1))
    other = bytes(sample_type.num_bytes)
    wanted = read(sample_type, one)[0]
    found = read(sample_type, (other + other + one) * 4, channels=3, channel=2)
    assert found.tolist() == [wanted] * 4


# ITU-T G.191's g711 programs give these for the first code of each segment and sign.
@pytest.mark.parametrize(
    ("code", "linear"),
    [(0x00, -32_124), (0x0F, -16_764), (0x10, -15_996), (0x7F, 0), (0x80, 32_124), (0xF0, 120), (0xFE, 8), (0xFF, 0)],
)
def test_mulaw_expands_as_g711_says(code, linear):
    assert expand_mulaw(code) == linear


@pytest.mark.parametrize(
    ("code", "linear"), [(0xD5, 8), (0x55, -8), (0xAA, 32_256), (0x2A, -32_256), (0x80, 5_504), (0x00, -5_504)]
)
def test_alaw_expands_as_g711_says(code, linear):
    assert expand_alaw(code) == linear


@pytest.mark.parametrize("sample_type", ["mulaw", "alaw"])
def test_g711_agrees_with_libav_on_every_code(sample_type):
    from av import Packet
    from av.codec.context import CodecContext

    decoder = CodecContext.create(f"pcm_{sample_type}", "r")
    decoder.layout, decoder.sample_rate = "mono", 8_000
    frames = decoder.decode(Packet(bytes(range(256))))
    assert read(SampleType(sample_type), bytes(range(256))).tolist() == frames[0].to_ndarray()[0].tolist()


def test_floats_beyond_full_scale_are_clipped():
    data = np.array([1.5, -7, 1e30, -3e38], "<f4").tobytes()
    assert read(SampleType.f32le, data).tolist() == [32_768, -32_768, 32_768, -32_768]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(bad):
    with pytest.raises(ClientFault, match="finite") as refused:
        read(SampleType.f32le, np.array([0, bad], "<f4").tobytes())
    assert refused.value.reason is Reason.undecodable_audio


def test_a_channel_nobody_listens_to_may_hold_anything():
    data = np.array([0.5, np.nan], "<f4").tobytes()
    assert read(SampleType.f32le, data, channels=2, channel=0).tolist() == [16_384]
