"""Which encodings may come in datagrams, and how many samples one holds. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.audio.opus_packet import OPUS_RATE_HZ, packet_samples
from policies.facts import MAX_CHANNELS, MAX_SAMPLE_RATE_HZ, MIN_SAMPLE_RATE_HZ, AudioEncoding

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.wire.messages import AudioSpec

_OPUS_STEP_HZ = 400
"""A packet is a multiple of 2.5 ms: whole samples at every rate that is a multiple of this."""


def datagram_measure(audio: AudioSpec) -> Callable[[bytes], int] | str:
    """How many samples of one channel at the announced rate the audio of a datagram holds, 0 for what is none; or a
    sentence for the client that says why its audio cannot come in datagrams.
    """
    try:
        encoding = AudioEncoding(audio.encoding)
    except ValueError:
        encoding = None
    if encoding is None or not (encoding.is_raw or encoding is AudioEncoding.opus):
        return "audio in datagrams must be raw or `opus`: a container cannot lose a piece"
    if not 1 <= audio.channels <= MAX_CHANNELS or not MIN_SAMPLE_RATE_HZ <= audio.sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
        return "audio in datagrams needs a sample rate and channels that can be served"
    if encoding.is_raw:
        bytes_per_instant = encoding.bytes_per_sample * audio.channels
        return lambda data: len(data) // bytes_per_instant
    rate_hz = audio.sample_rate_hz
    if rate_hz % _OPUS_STEP_HZ:
        return f"opus in datagrams needs a sample rate that is a multiple of {_OPUS_STEP_HZ}"
    return lambda packet: (packet_samples(packet) or 0) * rate_hz // OPUS_RATE_HZ
