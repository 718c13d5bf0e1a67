"""From where a client must send its audio again, so that a session goes on at a given sample. Pure.

Raw audio at 16 kHz can be cut at any sample. At another rate it is resampled, and a resampler needs what lies before to
give the same samples; containers and codecs can be read from their beginning alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from engines.interface import SAMPLE_RATE_HZ, SAMPLES_PER_MS
from gateway.wire.messages import AudioSpec
from policies.facts import AudioEncoding

_WARM_UP_MS = 500


class AudioCut(NamedTuple):
    """`from_byte` of all the audio that was sent; `audio_from_ms` as in gateway.wire.messages.Resume."""

    from_byte: int
    audio_from_ms: int | None


def cut_for(audio: AudioSpec, sample: int) -> AudioCut:
    """Where to send from, for a session that goes on at `sample`."""
    encoding = AudioEncoding(audio.encoding)
    if not encoding.is_raw:
        return AudioCut(0, 0)
    instant_bytes = encoding.bytes_per_sample * audio.channels
    if audio.sample_rate_hz == SAMPLE_RATE_HZ:
        return AudioCut(sample * instant_bytes, None)
    # A whole number of milliseconds that is a whole number of instants too.
    step_ms = 1_000 // math.gcd(1_000, audio.sample_rate_hz)
    step_ms *= -(-10 // step_ms)
    from_ms = max(0, sample // SAMPLES_PER_MS - _WARM_UP_MS) // step_ms * step_ms
    return AudioCut(from_ms * audio.sample_rate_hz // 1_000 * instant_bytes, from_ms)
