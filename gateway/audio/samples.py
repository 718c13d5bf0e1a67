"""Samples as they lie in bytes, turned into one channel of float32 in the scale of 16 bits (±32,768).

numpy is imported by the constructor: a gateway whose clients send 16 kHz PCM never loads it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.audio.faults import undecodable

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]


class SampleType(StrEnum):
    """How one sample of one channel lies in bytes, little-endian."""

    u8 = "u8"
    s16le = "s16le"
    s24le = "s24le"
    s32le = "s32le"
    f32le = "f32le"
    f64le = "f64le"
    mulaw = "mulaw"
    alaw = "alaw"

    @property
    def num_bytes(self) -> int:
        return _NUM_BYTES[self]


_NUM_BYTES = {
    SampleType.u8: 1,
    SampleType.s16le: 2,
    SampleType.s24le: 3,
    SampleType.s32le: 4,
    SampleType.f32le: 4,
    SampleType.f64le: 8,
    SampleType.mulaw: 1,
    SampleType.alaw: 1,
}


class SampleReader:
    """Reads one channel out of interleaved samples."""

    def __init__(self, sample_type: SampleType, *, channels: int, channel: int) -> None:
        import numpy as np

        self._np = np
        self._channels = channels
        self._channel = channel
        self._convert: Callable[[bytes], FloatArray] = {
            SampleType.u8: self._from_u8,
            SampleType.s16le: self._from_s16,
            SampleType.s24le: self._from_s24,
            SampleType.s32le: self._from_s32,
            SampleType.f32le: lambda data: self._from_float(data, "<f4"),
            SampleType.f64le: lambda data: self._from_float(data, "<f8"),
            SampleType.mulaw: self._from_table,
            SampleType.alaw: self._from_table,
        }[sample_type]
        if sample_type in _EXPANSIONS:
            self._table: FloatArray = np.array([_EXPANSIONS[sample_type](code) for code in range(256)], np.float32)

    def read(self, data: bytes) -> FloatArray:
        """Read whole instants.

        Returns:
            (num_instants,) float32 in ±32,768.

        Raises:
            ClientFault: `undecodable_audio`; a float sample is not a number.
        """
        return self._convert(data)

    def _from_u8(self, data: bytes) -> FloatArray:
        one = self._np.frombuffer(data, self._np.uint8)[self._channel :: self._channels]
        return (one.astype(self._np.float32) - 128) * 256

    def _from_s16(self, data: bytes) -> FloatArray:
        return self._np.frombuffer(data, "<i2")[self._channel :: self._channels].astype(self._np.float32)

    def _from_s24(self, data: bytes) -> FloatArray:
        octets = self._np.frombuffer(data, self._np.uint8).reshape(-1, 3)[self._channel :: self._channels]
        # The three octets become the upper ones of an int32, so its sign is right and its scale 2**16 too large.
        wide = self._np.zeros((len(octets), 4), self._np.uint8)
        wide[:, 1:] = octets
        return (wide.view("<i4")[:, 0] / 65_536).astype(self._np.float32)

    def _from_s32(self, data: bytes) -> FloatArray:
        one = self._np.frombuffer(data, "<i4")[self._channel :: self._channels]
        return (one / 65_536).astype(self._np.float32)

    def _from_float(self, data: bytes, layout: str) -> FloatArray:
        one = self._np.frombuffer(data, layout)[self._channel :: self._channels]
        if not self._np.isfinite(one).all():
            raise undecodable("samples of floating-point audio must be finite numbers in [-1, 1]")
        # Clipped while wide: the scaled value of a large float64 would not fit into float32.
        return (one.clip(-1, 1) * 32_768).astype(self._np.float32)

    def _from_table(self, data: bytes) -> FloatArray:
        return self._table[self._np.frombuffer(data, self._np.uint8)[self._channel :: self._channels]]


def expand_mulaw(code: int) -> int:
    """One µ-law octet as a linear sample in ±32,124. Source: ITU-T G.711, table 2."""
    inverted = ~code & 0xFF
    magnitude = (((inverted & 0x0F) << 3) + 0x84) << ((inverted & 0x70) >> 4)
    return 0x84 - magnitude if inverted & 0x80 else magnitude - 0x84


def expand_alaw(code: int) -> int:
    """One A-law octet as a linear sample in ±32,256. Source: ITU-T G.711, table 1."""
    toggled = code ^ 0x55
    exponent = (toggled & 0x70) >> 4
    magnitude = ((toggled & 0x0F) << 4) + 8
    if exponent:
        magnitude = (magnitude + 0x100) << (exponent - 1)
    return magnitude if toggled & 0x80 else -magnitude


_EXPANSIONS = {SampleType.mulaw: expand_mulaw, SampleType.alaw: expand_alaw}
